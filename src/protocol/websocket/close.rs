//! Close frames (RFC 6455 §5.5.1, §7.4): validates those of the peer, and writes ours.

use std::str;

use tokio_tungstenite::tungstenite::protocol::frame::coding::{Control, OpCode};

use super::frame::{self, MAX_CONTROL_LENGTH};
use crate::protocol::cause::CloseCause;

/// The most bytes of reason that fit a Close frame behind the status code.
pub(crate) const MAX_REASON_LENGTH: usize = MAX_CONTROL_LENGTH - 2;

/// The content of a peer's Close frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PeerClose<'a> {
    /// No status code; reported as 1005 (RFC 6455 §7.1.5).
    WithoutCode,
    /// A status code that may be sent, and a reason, which may be empty.
    WithCode(u16, &'a str),
}

/// Reads the (unmasked) payload of a peer's Close frame.
pub(crate) fn parse(payload: &[u8]) -> Result<PeerClose<'_>, CloseCause> {
    match payload {
        [] => Ok(PeerClose::WithoutCode),
        [_] => Err(CloseCause::ClosePayloadTruncated),
        [high, low, reason @ ..] => {
            let code = u16::from_be_bytes([*high, *low]);
            if !may_be_sent(code) {
                return Err(CloseCause::CloseCodeInvalid);
            }
            let reason = str::from_utf8(reason).map_err(|_| CloseCause::CloseReasonNotUtf8)?;
            Ok(PeerClose::WithCode(code, reason))
        }
    }
}

/// Whether `code` may be sent in a Close frame (RFC 6455 §7.4). 1004–1006 and 1015 mean something only locally,
/// 1012–1014 were registered after the RFC, 1016–2999 are reserved for later versions.
#[must_use]
pub(crate) const fn may_be_sent(code: u16) -> bool {
    matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999)
}

/// Appends a Close frame. The reason is cut at 123 bytes, between characters. A `code` that must not be sent (an
/// application passes 0, 1005 or 1006 for "no code") gives a frame without a payload.
pub(crate) fn encode(code: u16, reason: &str, out: &mut Vec<u8>) {
    if !may_be_sent(code) {
        return encode_empty(out);
    }
    let reason = truncate(reason);
    let mut payload = [0; MAX_CONTROL_LENGTH];
    payload[..2].copy_from_slice(&code.to_be_bytes());
    payload[2..][..reason.len()].copy_from_slice(reason.as_bytes());
    frame::encode(OpCode::Control(Control::Close), &payload[..2 + reason.len()], out);
}

/// Appends a Close frame without a code.
pub(crate) fn encode_empty(out: &mut Vec<u8>) {
    frame::encode(OpCode::Control(Control::Close), b"", out);
}

/// As much of `reason` as fits, in whole characters.
fn truncate(reason: &str) -> &str {
    let mut end = reason.len().min(MAX_REASON_LENGTH);
    while !reason.is_char_boundary(end) {
        end -= 1;
    }
    &reason[..end]
}

/// The name of a status code in IANA's WebSocket Close Code Number Registry, shortened where that has a sentence.
#[must_use]
pub(crate) const fn name(code: u16) -> &'static str {
    match code {
        1000 => "Normal Closure",
        1001 => "Going Away",
        1002 => "Protocol Error",
        1003 => "Unsupported Data",
        1005 => "No Status Received",
        1006 => "Abnormal Closure",
        1007 => "Invalid Frame Payload Data",
        1008 => "Policy Violation",
        1009 => "Message Too Big",
        1010 => "Mandatory Extension",
        1011 => "Internal Error",
        1012 => "Service Restart",
        1013 => "Try Again Later",
        1014 => "Bad Gateway",
        1015 => "TLS Handshake",
        3000 => "Unauthorized",
        3003 => "Forbidden",
        3008 => "Timeout",
        3001..=4999 => "application code",
        0..=999 | 1004 | 1016..=2999 | 5000.. => "reserved code",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;

    /// The payload of the one unmasked, short Close frame that `out` must be.
    fn payload_of(code: u16, reason: &str) -> Vec<u8> {
        let mut out = Vec::new();
        encode(code, reason, &mut out);
        assert_eq!(out[0], 0x88);
        assert_eq!(usize::from(out[1]), out.len() - 2);
        out.split_off(2)
    }

    #[test]
    fn a_payload_is_empty_or_starts_with_a_code() {
        assert_eq!(parse(b""), Ok(PeerClose::WithoutCode));
        for byte in 0..=255 {
            assert_eq!(parse(&[byte]), Err(CloseCause::ClosePayloadTruncated));
        }
        assert_eq!(parse(b"\x03\xe8"), Ok(PeerClose::WithCode(1000, "")));
        assert_eq!(parse(b"\x0f\xa1bye"), Ok(PeerClose::WithCode(4001, "bye")));
    }

    #[test]
    fn every_code_is_accepted_or_refused() {
        for code in 0..=u16::MAX {
            let allowed = match code {
                1000..=1003 | 1007..=1011 => true,
                // Contract section 6: unlike uWebSockets.js, which refuses them.
                1012..=1014 | 3000..=3999 => true,
                4000..=4999 => true,
                _ => false,
            };
            let expected =
                if allowed { Ok(PeerClose::WithCode(code, "")) } else { Err(CloseCause::CloseCodeInvalid) };
            assert_eq!(parse(&code.to_be_bytes()), expected, "{code}");
            // tungstenite does not know 1014.
            assert!(CloseCode::from(code).is_allowed() == allowed || code == 1014, "{code}");
        }
    }

    #[test]
    fn a_reason_must_be_utf8() {
        assert_eq!(parse(b"\x03\xe8\xff"), Err(CloseCause::CloseReasonNotUtf8));
        assert_eq!(parse(b"\x03\xe8\xe2\x82"), Err(CloseCause::CloseReasonNotUtf8));
        assert_eq!(parse(b"\x03\xe8\xe2\x82\xac"), Ok(PeerClose::WithCode(1000, "€")));
        assert_eq!(parse(b"\x03\xed\xff"), Err(CloseCause::CloseCodeInvalid), "the code is judged first");
    }

    #[test]
    fn code_and_reason_are_written() {
        assert_eq!(payload_of(1001, "bye"), b"\x03\xe9bye");
        assert_eq!(payload_of(4999, ""), b"\x13\x87");
    }

    #[test]
    fn no_code_that_must_not_be_sent_is_written() {
        for code in 0..=u16::MAX {
            let payload = payload_of(code, "reason");
            match parse(&payload) {
                Ok(PeerClose::WithCode(written, "reason")) => assert_eq!(written, code),
                parsed => {
                    assert_eq!((parsed, may_be_sent(code)), (Ok(PeerClose::WithoutCode), false), "{code}")
                }
            }
        }
        for code in [0, 1005, 1006] {
            assert_eq!(payload_of(code, "reason"), b"", "{code}");
        }
    }

    #[test]
    fn a_reason_is_cut_between_characters() {
        assert_eq!(payload_of(1000, &"x".repeat(123))[2..], *"x".repeat(123).as_bytes());
        assert_eq!(payload_of(1000, &"x".repeat(124))[2..], *"x".repeat(123).as_bytes());
        for (character, shift) in [("é", 0), ("é", 1), ("€", 0), ("€", 1), ("€", 2), ("😀", 0), ("😀", 2)]
        {
            let reason = "x".repeat(shift) + &character.repeat(100);
            let payload = payload_of(1000, &reason);
            let written = str::from_utf8(&payload[2..]).unwrap();
            assert!(reason.starts_with(written));
            assert!(written.len() > MAX_REASON_LENGTH - character.len());
            assert!(written.len() <= MAX_REASON_LENGTH);
        }
    }

    #[test]
    fn every_code_that_may_be_sent_has_a_name_and_no_other_is_an_application_code() {
        for code in 0..=u16::MAX {
            assert!(!name(code).is_empty());
            assert_eq!(
                name(code) == "reserved code",
                !may_be_sent(code) && !matches!(code, 1005 | 1006 | 1015)
            );
        }
        assert_eq!(name(1001), "Going Away");
        assert_eq!(name(3999), "application code");
        assert_eq!(name(4000), "application code");
    }
}
