//! How connections of QUIC end: what the client is told, and what the application is.

use quinn_proto::ConnectionError;

use crate::protocol::cause::{Alert, CloseCause};
use crate::protocol::http3::error_code::{ErrorCode, StreamCode};
use crate::tls::quic::alert_of;

/// What a client is told at the end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct End {
    /// The code of CONNECTION_CLOSE.
    pub code: ErrorCode,
    /// For people.
    pub reason: String,
}

/// How a connection is to be closed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Ending {
    /// When all is acknowledged, without an error.
    Gently {
        /// For people.
        reason: String,
    },
    /// So, whatever is under way.
    AtOnce(End),
    /// It is closed.
    Over,
}

impl Default for Ending {
    fn default() -> Self {
        Self::Gently { reason: String::new() }
    }
}

impl Ending {
    /// What the client is told; it is closed from now on.
    pub(super) fn take(&mut self) -> End {
        match std::mem::replace(self, Self::Over) {
            Self::AtOnce(end) => end,
            Self::Gently { reason } => End { code: ErrorCode::NO_ERROR, reason },
            Self::Over => End { code: ErrorCode::NO_ERROR, reason: String::new() },
        }
    }
}

/// Why a handshake has failed, for the log.
pub(super) fn handshake_fault(error: &ConnectionError) -> &'static str {
    match error {
        ConnectionError::TransportError(error) if alert_of(error.code).is_some() => "ERR_TLS_INVALID",
        ConnectionError::TransportError(_) => CloseCause::InvalidQuic.verdict().name,
        ConnectionError::ConnectionClosed(frame) if alert_of(frame.error_code).is_some() => "ERR_TLS_ALERT",
        ConnectionError::ConnectionClosed(_) | ConnectionError::ApplicationClosed(_) => "ERR_TLS_ABANDONED",
        ConnectionError::Reset => CloseCause::QuicReset.verdict().name,
        ConnectionError::TimedOut => "ERR_TLS_HANDSHAKE_TIMEOUT",
        ConnectionError::VersionMismatch
        | ConnectionError::LocallyClosed
        | ConnectionError::CidsExhausted => CloseCause::TransportFailed.verdict().name,
    }
}

/// What is told of the end of a connection whose client has said something about it: the text of the cause, and behind it
/// the client's reason phrase (RFC 9000 §19.19).
pub(super) fn reason_of(error: &ConnectionError, cause: CloseCause) -> Option<String> {
    let phrase = match error {
        ConnectionError::ConnectionClosed(frame) => &frame.reason,
        ConnectionError::ApplicationClosed(frame) => &frame.reason,
        ConnectionError::TransportError(_)
        | ConnectionError::Reset
        | ConnectionError::TimedOut
        | ConnectionError::VersionMismatch
        | ConnectionError::LocallyClosed
        | ConnectionError::CidsExhausted => return None,
    };
    let mut reason = format!("{}: ", cause.verdict().text);
    let bare = reason.len();
    append_phrase(&String::from_utf8_lossy(phrase), &mut reason);
    (reason.len() > bare).then_some(reason)
}

/// Appends the start of what a stranger has written, as text that can do no harm where it is shown.
fn append_phrase(phrase: &str, out: &mut String) {
    let most = out.len() + MAX_PHRASE;
    for character in phrase.trim().chars() {
        let before = out.len();
        match character {
            '"' | '\'' => out.push(character),
            // A control character, or one that is not seen.
            _ => out.extend(character.escape_debug()),
        }
        if out.len() > most {
            out.truncate(before);
            return out.push('…');
        }
    }
}

/// Bytes of a client's reason phrase that are told; what is left out of a longer one is told as `…`.
const MAX_PHRASE: usize = 256;

/// Why a connection has ended, and whether that is the regular end of one without open streams.
pub(super) fn cause_of(error: &ConnectionError) -> (CloseCause, bool) {
    match error {
        ConnectionError::TransportError(_) => (CloseCause::InvalidQuic, false),
        ConnectionError::ConnectionClosed(frame) => match alert_of(frame.error_code) {
            Some(alert) => (CloseCause::TlsAlert(Alert(alert)), false),
            None if u64::from(frame.error_code) == 0 => (CloseCause::QuicClosed(StreamCode::ANY), true),
            None => (CloseCause::QuicPeerError(u64::from(frame.error_code).into()), false),
        },
        ConnectionError::ApplicationClosed(frame) => {
            (CloseCause::QuicClosed(ErrorCode(frame.error_code.into_inner()).into()), true)
        }
        ConnectionError::Reset => (CloseCause::QuicReset, false),
        // Clients leave without a word, as those of TCP do with FIN.
        ConnectionError::TimedOut => (CloseCause::QuicTimedOut, true),
        ConnectionError::VersionMismatch
        | ConnectionError::LocallyClosed
        | ConnectionError::CidsExhausted => (CloseCause::TransportFailed, false),
    }
}

#[cfg(test)]
mod tests {
    use quinn_proto::{ApplicationClose, ConnectionClose, TransportErrorCode, VarInt};

    use super::*;

    fn told(error: &ConnectionError) -> Option<String> {
        reason_of(error, cause_of(error).0)
    }

    fn by_application(reason: &[u8]) -> Option<String> {
        let error_code = VarInt::from_u32(0x107);
        told(&ConnectionError::ApplicationClosed(ApplicationClose {
            error_code,
            reason: reason.to_vec().into(),
        }))
    }

    #[test]
    fn the_clients_words_follow_the_text_of_the_cause() {
        let text = "Peer closed the QUIC connection: H3_EXCESSIVE_LOAD (0x107)";
        assert_eq!(by_application(b"too much").unwrap(), format!("{text}: too much"));
        assert_eq!(by_application(b" it's \"all\" over\n").unwrap(), format!("{text}: it's \"all\" over"));
        let frame = ConnectionClose {
            error_code: TransportErrorCode::PROTOCOL_VIOLATION,
            frame_type: None,
            reason: "früh".to_owned().into(),
        };
        let text = "Peer closed the QUIC connection because of a transport error: PROTOCOL_VIOLATION (0xa)";
        assert_eq!(told(&ConnectionError::ConnectionClosed(frame)).unwrap(), format!("{text}: früh"));
    }

    #[test]
    fn silence_has_no_words() {
        assert_eq!(by_application(b""), None);
        assert_eq!(by_application(b" \r\n"), None);
        assert_eq!(told(&ConnectionError::TimedOut), None);
    }

    #[test]
    fn what_cannot_be_printed_is_escaped_and_what_is_long_is_cut_between_characters() {
        let phrase =
            |bytes: &[u8]| by_application(bytes).unwrap().split_once("(0x107): ").unwrap().1.to_owned();
        assert_eq!(phrase(b"a\0\x1b[2J\\\xff"), "a\\0\\u{1b}[2J\\\\\u{fffd}");
        assert_eq!(phrase(&[b'a'; 256]), "a".repeat(256));
        assert_eq!(phrase(&[b'a'; 257]), format!("{}…", "a".repeat(256)));
        assert_eq!(phrase(&[0x1b; 9000]), format!("{}…", "\\u{1b}".repeat(42)));
    }
}
