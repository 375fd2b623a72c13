//! Topics as NATS subjects (docs/broker-format.md).

use std::fmt::Write;

use sha2::{Digest, Sha256};

/// Appends the subject of a topic to its prefix, which ends with a dot. What a subject may not contain is
/// percent-encoded; of a topic that is too long, it is the hash.
pub(crate) fn append(subject: &mut Vec<u8>, topic: &[u8]) {
    let start = subject.len();
    if topic.is_empty() {
        subject.push(b'%');
    }
    for (place, byte) in topic.iter().copied().enumerate() {
        let is_plain = match byte {
            // A dot separates tokens, and none may be empty.
            b'.' => place > 0 && place + 1 < topic.len() && topic[place - 1] != b'.',
            b'%' | b'*' | b'>' => false,
            _ => byte.is_ascii_graphic(),
        };
        if is_plain {
            subject.push(byte);
        } else {
            subject.extend([b'%', digit(byte >> 4), digit(byte & 15)]);
        }
        if subject.len() - start > MAX_LENGTH {
            subject.truncate(start);
            subject.extend(hashed(topic).bytes());
            return;
        }
    }
}

fn hashed(topic: &[u8]) -> String {
    Sha256::digest(topic).iter().fold("%%".to_owned(), |mut text, byte| {
        // A string takes what is written to it.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

const fn digit(number: u8) -> u8 {
    b"0123456789ABCDEF"[number as usize]
}

/// Bytes of a topic in a subject. A server accepts lines of 4096 bytes unless it is told otherwise, and ends the
/// connection at one that is longer.
const MAX_LENGTH: usize = 512;

#[cfg(test)]
mod tests {
    use super::*;
    use percent_encoding::percent_decode;
    use proptest::prelude::*;

    fn subject(topic: &[u8]) -> String {
        let mut subject = b"chat.".to_vec();
        append(&mut subject, topic);
        String::from_utf8(subject).unwrap()
    }

    #[test]
    fn topics_that_are_subjects_are_themselves_and_others_are_encoded() {
        for (topic, expected) in [
            ("news", "chat.news"),
            ("sensors.kitchen/1", "chat.sensors.kitchen/1"),
            ("", "chat.%"),
            (".", "chat.%2E"),
            (".a.", "chat.%2Ea%2E"),
            ("a..b...c", "chat.a.%2Eb.%2E%2Ec"),
            ("a b\r\n", "chat.a%20b%0D%0A"),
            ("*", "chat.%2A"),
            ("a.>", "chat.a.%3E"),
            ("100%", "chat.100%25"),
            ("grüß", "chat.gr%C3%BC%C3%9F"),
        ] {
            assert_eq!(subject(topic.as_bytes()), expected);
        }
    }

    #[test]
    fn a_topic_that_is_too_long_is_hashed() {
        let longest = "x".repeat(MAX_LENGTH);
        assert_eq!(subject(longest.as_bytes()), format!("chat.{longest}"));
        let longer = subject(&[b'x'; MAX_LENGTH + 1]);
        assert_eq!(longer.len(), "chat.%%".len() + 64);
        assert_eq!(subject(b"\xff".repeat(400).as_slice()).len(), longer.len());
        assert_ne!(longer, subject(&[b'x'; MAX_LENGTH + 2]));
    }

    proptest! {
        #[test]
        fn every_topic_has_a_subject_of_its_own(topic: Vec<u8>) {
            let subject = subject(&topic);
            let of_topic = subject.strip_prefix("chat.").unwrap();
            prop_assert!(of_topic.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'*' && byte != b'>'));
            prop_assert!(of_topic.split('.').all(|token| !token.is_empty()));
            if of_topic != "%" && !of_topic.starts_with("%%") {
                prop_assert_eq!(percent_decode(of_topic.as_bytes()).collect::<Vec<_>>(), topic);
            }
        }
    }
}
