//! Rules of HTTP/3 that a client can break.

use std::borrow::Cow;

pub(crate) use super::error_code::ErrorCode;
use crate::protocol::cause::Cause;
use crate::protocol::multiplexed::malformed::Malformed;

/// What an error ends (RFC 9114 §8).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scope {
    /// The connection, and all its streams.
    Connection,
    /// One stream.
    Stream,
}

/// A rule of HTTP/3 that the peer broke, or a limit it exceeded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub(crate) enum Http3Error {
    /// RFC 9114 §6.2.1: there is one control stream.
    #[error("a client must open one control stream, and one of each kind of QPACK (RFC 9114 section 6.2.1)")]
    RepeatedStream,
    /// RFC 9114 §6.2.2: clients do not push.
    #[error("a client must not open a push stream (RFC 9114 section 6.2.2)")]
    PushStream,
    /// RFC 9114 §6.2.1: the control stream and those of QPACK stay open.
    #[error("the control stream and those of QPACK must stay open (RFC 9114 section 6.2.1)")]
    ClosedCriticalStream,
    /// RFC 9114 §6.2.1: the first frame of the control stream is SETTINGS.
    #[error("the first frame of the control stream must be SETTINGS (RFC 9114 section 6.2.1)")]
    ExpectedSettings,
    /// RFC 9114 §7.2.4: SETTINGS are sent once.
    #[error("SETTINGS must be sent once (RFC 9114 section 7.2.4)")]
    RepeatedSettings,
    /// RFC 9114 §7: a frame of the control stream on a request stream, or the reverse.
    #[error("a frame is on a stream where its type must not be (RFC 9114 section 7)")]
    UnexpectedFrame,
    /// RFC 9114 §7.2.8: a type that HTTP/2 used.
    #[error("a frame of HTTP/2 that HTTP/3 does not have (RFC 9114 section 7.2.8)")]
    ReservedFrame,
    /// RFC 9114 §4.1: DATA before HEADERS.
    #[error("a request must start with HEADERS (RFC 9114 section 4.1)")]
    ExpectedHeaders,
    /// RFC 9114 §4.1: DATA or HEADERS behind the trailers.
    #[error("nothing may follow the trailers of a request (RFC 9114 section 4.1)")]
    FrameAfterTrailers,
    /// RFC 9114 §7.2.5: clients do not push.
    #[error("a client must not send PUSH_PROMISE (RFC 9114 section 7.2.5)")]
    PushPromise,
    /// RFC 9114 §7.1: a frame that is shorter or longer than its fields.
    #[error("the length of a frame does not fit its type (RFC 9114 section 7.1)")]
    InvalidFrameLength,
    /// RFC 9114 §7.1: a stream that ends within a frame.
    #[error("a stream must not end within a frame (RFC 9114 section 7.1)")]
    TruncatedFrame,
    /// A frame of the control stream that is longer than this server accepts.
    #[error("a frame of the control stream is longer than this server accepts (RFC 9114 section 10.5)")]
    FrameTooLong,
    /// RFC 9114 §7.2.4.1: a setting of HTTP/2, or one with a value that it must not have.
    #[error("a setting is reserved or out of its range (RFC 9114 section 7.2.4.1)")]
    InvalidSetting,
    /// RFC 9114 §7.2.4: a setting that occurs twice.
    #[error("a setting must not occur twice (RFC 9114 section 7.2.4)")]
    RepeatedSetting,
    /// RFC 9114 §7.2.3, §7.2.7: a push that was not promised, or a smaller MAX_PUSH_ID than before.
    #[error("a push id that was not promised, or that falls (RFC 9114 section 7.2.7)")]
    InvalidPushId,
    /// RFC 9114 §5.2: the number in GOAWAY does not rise.
    #[error("the number in GOAWAY must not rise (RFC 9114 section 5.2)")]
    InvalidGoAway,
    /// RFC 9218 §7.2: PRIORITY_UPDATE for a number that is not that of a request.
    #[error("PRIORITY_UPDATE must name the stream of a request (RFC 9218 section 7.2)")]
    InvalidPriorityUpdate,
    /// RFC 9204 §2.2: a field section that cannot be decoded.
    #[error("a field section must be encoded by QPACK (RFC 9204 section 4.5)")]
    InvalidFieldSection,
    /// RFC 9204 §2.1.2: more streams that wait for the dynamic table than SETTINGS_QPACK_BLOCKED_STREAMS.
    #[error("more blocked streams than this server allows (RFC 9204 section 2.1.2)")]
    TooManyBlockedStreams,
    /// RFC 9204 §4.3: an instruction that the decoder cannot follow.
    #[error("an instruction of the encoder stream cannot be followed (RFC 9204 section 4.3)")]
    InvalidEncoderInstruction,
    /// RFC 9204 §4.4: an instruction that the encoder cannot follow.
    #[error("an instruction of the decoder stream cannot be followed (RFC 9204 section 4.4)")]
    InvalidDecoderInstruction,

    /// RFC 9114 §4.3: a pseudo-header field that requests do not have.
    #[error("a pseudo-header field that requests do not have (RFC 9114 section 4.3)")]
    UnknownPseudoField,
    /// RFC 9114 §4.3.1: a pseudo-header field that is missing, or must not be there.
    #[error("the pseudo-header fields must be those of the method, each once (RFC 9114 section 4.3.1)")]
    InvalidPseudoFields,
    /// RFC 9114 §4.3: a pseudo-header field behind another field, or in trailers.
    #[error("pseudo-header fields must precede all others (RFC 9114 section 4.3)")]
    MisplacedPseudoField,
    /// RFC 9114 §4.2: a name that is no token, or has capitals.
    #[error("a field name must be a token without capitals (RFC 9114 section 4.2)")]
    InvalidFieldName,
    /// RFC 9114 §10.3: a value with control bytes, or with whitespace around it.
    #[error("a field value must have no control bytes, and no whitespace around it (RFC 9114 section 10.3)")]
    InvalidFieldValue,
    /// RFC 9114 §4.2: Connection, Keep-Alive, Proxy-Connection, Transfer-Encoding, Upgrade, or TE.
    #[error("fields of the connection have no place in HTTP/3 (RFC 9114 section 4.2)")]
    ConnectionField,
    /// RFC 9110 §9.1: the method is a token.
    #[error("the method must be a token (RFC 9110 section 9.1)")]
    InvalidMethod,
    /// RFC 9114 §4.3.1: the path is that of an origin-form target, or `*` of OPTIONS.
    #[error("the path must start with a slash, or be the asterisk of OPTIONS (RFC 9114 section 4.3.1)")]
    InvalidPath,
    /// RFC 9114 §4.3.1: authority or Host is missing or invalid, or the two differ.
    #[error("the request must have one valid authority (RFC 9114 section 4.3.1)")]
    InvalidAuthority,
    /// RFC 9110 §8.6: Content-Length is one number.
    #[error("Content-Length must be one decimal number (RFC 9110 section 8.6)")]
    InvalidContentLength,
    /// RFC 9114 §4.1.2: the DATA frames do not add up to Content-Length.
    #[error("Content-Length must be the sum of the DATA frames (RFC 9114 section 4.1.2)")]
    ContentLengthMismatch,
    /// RFC 9220 §3: a protocol other than WebSocket.
    #[error("the only protocol of an extended CONNECT is websocket here (RFC 9220 section 3)")]
    UnknownProtocol,
    /// RFC 9114 §4.1.1: a stream that ends before its request is complete.
    #[error("a stream must not end before its request is complete (RFC 9114 section 4.1.1)")]
    IncompleteRequest,
    /// RFC 9114 §5.2: a request behind the last one that is served.
    #[error("the connection takes no further requests (RFC 9114 section 5.2)")]
    RequestAfterGoAway,
    /// Request heads of which a part is missing take up too much, all streams of the connection together.
    #[error("the request heads that have arrived in part are too long together (RFC 9114 section 10.5)")]
    TooLongPartialHeads,

    /// Too many streams ended in error.
    #[error("too many streams were reset (RFC 9114 section 10.5)")]
    TooManyResets,
    /// Too many frames that ask for nothing.
    #[error("too many frames that ask for nothing (RFC 9114 section 10.5)")]
    TooManyIdleFrames,
    /// What this side says of the connection is not read.
    #[error("the control stream and those of QPACK must be read (RFC 9114 section 6.2)")]
    UnreadStream,
    /// The first request did not arrive in time.
    #[error("a request did not arrive in time (RFC 9110 section 15.5.9)")]
    HeadersTimeout,
    /// No further request arrived in time.
    #[error("no further request arrived in time (RFC 9114 section 5.1)")]
    NoRequest,
}

impl Http3Error {
    /// Every error, in the order of declaration.
    pub(crate) const ALL: [Self; 42] = [
        Self::RepeatedStream,
        Self::PushStream,
        Self::ClosedCriticalStream,
        Self::ExpectedSettings,
        Self::RepeatedSettings,
        Self::UnexpectedFrame,
        Self::ReservedFrame,
        Self::ExpectedHeaders,
        Self::FrameAfterTrailers,
        Self::PushPromise,
        Self::InvalidFrameLength,
        Self::TruncatedFrame,
        Self::FrameTooLong,
        Self::InvalidSetting,
        Self::RepeatedSetting,
        Self::InvalidPushId,
        Self::InvalidGoAway,
        Self::InvalidPriorityUpdate,
        Self::InvalidFieldSection,
        Self::TooManyBlockedStreams,
        Self::InvalidEncoderInstruction,
        Self::InvalidDecoderInstruction,
        Self::UnknownPseudoField,
        Self::InvalidPseudoFields,
        Self::MisplacedPseudoField,
        Self::InvalidFieldName,
        Self::InvalidFieldValue,
        Self::ConnectionField,
        Self::InvalidMethod,
        Self::InvalidPath,
        Self::InvalidAuthority,
        Self::InvalidContentLength,
        Self::ContentLengthMismatch,
        Self::UnknownProtocol,
        Self::IncompleteRequest,
        Self::RequestAfterGoAway,
        Self::TooLongPartialHeads,
        Self::TooManyResets,
        Self::TooManyIdleFrames,
        Self::UnreadStream,
        Self::HeadersTimeout,
        Self::NoRequest,
    ];

    /// What the error ends.
    #[must_use]
    pub(crate) const fn scope(self) -> Scope {
        self.verdict().0
    }

    /// The code on the wire.
    #[must_use]
    pub(crate) const fn error_code(self) -> ErrorCode {
        self.verdict().1
    }

    /// Scope, code on the wire and code for programs of every rule.
    const fn verdict(self) -> (Scope, ErrorCode, &'static str) {
        use Scope::{Connection, Stream};
        const CREATION: ErrorCode = ErrorCode::STREAM_CREATION_ERROR;
        const UNEXPECTED: ErrorCode = ErrorCode::FRAME_UNEXPECTED;
        const MESSAGE: ErrorCode = ErrorCode::MESSAGE_ERROR;
        const LOAD: ErrorCode = ErrorCode::EXCESSIVE_LOAD;
        const DECOMPRESSION: ErrorCode = ErrorCode::QPACK_DECOMPRESSION_FAILED;
        match self {
            Self::RepeatedStream => (Connection, CREATION, "ERR_HTTP3_REPEATED_STREAM"),
            Self::PushStream => (Connection, CREATION, "ERR_HTTP3_PUSH_STREAM"),
            Self::ClosedCriticalStream => {
                (Connection, ErrorCode::CLOSED_CRITICAL_STREAM, "ERR_HTTP3_CLOSED_CRITICAL_STREAM")
            }
            Self::ExpectedSettings => {
                (Connection, ErrorCode::MISSING_SETTINGS, "ERR_HTTP3_EXPECTED_SETTINGS")
            }
            Self::RepeatedSettings => (Connection, UNEXPECTED, "ERR_HTTP3_REPEATED_SETTINGS"),
            Self::UnexpectedFrame => (Connection, UNEXPECTED, "ERR_HTTP3_UNEXPECTED_FRAME"),
            Self::ReservedFrame => (Connection, UNEXPECTED, "ERR_HTTP3_RESERVED_FRAME"),
            Self::ExpectedHeaders => (Connection, UNEXPECTED, "ERR_HTTP3_EXPECTED_HEADERS"),
            Self::FrameAfterTrailers => (Connection, UNEXPECTED, "ERR_HTTP3_FRAME_AFTER_TRAILERS"),
            Self::PushPromise => (Connection, UNEXPECTED, "ERR_HTTP3_PUSH_PROMISE"),
            Self::InvalidFrameLength => (Connection, ErrorCode::FRAME_ERROR, "ERR_HTTP3_FRAME_LENGTH"),
            Self::TruncatedFrame => (Connection, ErrorCode::FRAME_ERROR, "ERR_HTTP3_TRUNCATED_FRAME"),
            Self::FrameTooLong => (Connection, LOAD, "ERR_HTTP3_FRAME_TOO_LONG"),
            Self::InvalidSetting => (Connection, ErrorCode::SETTINGS_ERROR, "ERR_HTTP3_SETTING"),
            Self::RepeatedSetting => (Connection, ErrorCode::SETTINGS_ERROR, "ERR_HTTP3_REPEATED_SETTING"),
            Self::InvalidPushId => (Connection, ErrorCode::ID_ERROR, "ERR_HTTP3_PUSH_ID"),
            Self::InvalidGoAway => (Connection, ErrorCode::ID_ERROR, "ERR_HTTP3_GOAWAY"),
            Self::InvalidPriorityUpdate => (Connection, ErrorCode::ID_ERROR, "ERR_HTTP3_PRIORITY_UPDATE"),
            Self::InvalidFieldSection => (Connection, DECOMPRESSION, "ERR_HTTP3_FIELD_SECTION"),
            Self::TooManyBlockedStreams => (Connection, DECOMPRESSION, "ERR_HTTP3_TOO_MANY_BLOCKED_STREAMS"),
            Self::InvalidEncoderInstruction => {
                (Connection, ErrorCode::QPACK_ENCODER_STREAM_ERROR, "ERR_HTTP3_ENCODER_INSTRUCTION")
            }
            Self::InvalidDecoderInstruction => {
                (Connection, ErrorCode::QPACK_DECODER_STREAM_ERROR, "ERR_HTTP3_DECODER_INSTRUCTION")
            }
            Self::UnknownPseudoField => (Stream, MESSAGE, "ERR_HTTP3_UNKNOWN_PSEUDO_FIELD"),
            Self::InvalidPseudoFields => (Stream, MESSAGE, "ERR_HTTP3_PSEUDO_FIELDS"),
            Self::MisplacedPseudoField => (Stream, MESSAGE, "ERR_HTTP3_MISPLACED_PSEUDO_FIELD"),
            Self::InvalidFieldName => (Stream, MESSAGE, "ERR_HTTP3_FIELD_NAME"),
            Self::InvalidFieldValue => (Stream, MESSAGE, "ERR_HTTP3_FIELD_VALUE"),
            Self::ConnectionField => (Stream, MESSAGE, "ERR_HTTP3_CONNECTION_FIELD"),
            Self::InvalidMethod => (Stream, MESSAGE, "ERR_HTTP3_METHOD"),
            Self::InvalidPath => (Stream, MESSAGE, "ERR_HTTP3_PATH"),
            Self::InvalidAuthority => (Stream, MESSAGE, "ERR_HTTP3_AUTHORITY"),
            Self::InvalidContentLength => (Stream, MESSAGE, "ERR_HTTP3_CONTENT_LENGTH"),
            Self::ContentLengthMismatch => (Stream, MESSAGE, "ERR_HTTP3_CONTENT_LENGTH_MISMATCH"),
            Self::UnknownProtocol => (Stream, ErrorCode::REQUEST_CANCELLED, "ERR_HTTP3_UNKNOWN_PROTOCOL"),
            Self::IncompleteRequest => {
                (Stream, ErrorCode::REQUEST_INCOMPLETE, "ERR_HTTP3_INCOMPLETE_REQUEST")
            }
            Self::RequestAfterGoAway => {
                (Stream, ErrorCode::REQUEST_REJECTED, "ERR_HTTP3_REQUEST_AFTER_GOAWAY")
            }
            Self::TooLongPartialHeads => (Stream, ErrorCode::REQUEST_REJECTED, "ERR_HTTP3_PARTIAL_HEADS"),
            Self::TooManyResets => (Connection, LOAD, "ERR_HTTP3_TOO_MANY_RESETS"),
            Self::TooManyIdleFrames => (Connection, LOAD, "ERR_HTTP3_TOO_MANY_IDLE_FRAMES"),
            Self::UnreadStream => (Connection, LOAD, "ERR_HTTP3_UNREAD_STREAM"),
            Self::HeadersTimeout => (Connection, ErrorCode::NO_ERROR, "ERR_HTTP3_HEADERS_TIMEOUT"),
            Self::NoRequest => (Connection, ErrorCode::NO_ERROR, "ERR_HTTP3_NO_REQUEST"),
        }
    }
}

impl From<Malformed> for Http3Error {
    fn from(rule: Malformed) -> Self {
        match rule {
            Malformed::UnknownPseudoField => Self::UnknownPseudoField,
            Malformed::PseudoFields => Self::InvalidPseudoFields,
            Malformed::MisplacedPseudoField => Self::MisplacedPseudoField,
            Malformed::FieldName => Self::InvalidFieldName,
            Malformed::FieldValue => Self::InvalidFieldValue,
            Malformed::ConnectionField => Self::ConnectionField,
            Malformed::Method => Self::InvalidMethod,
            Malformed::Path => Self::InvalidPath,
            Malformed::Authority => Self::InvalidAuthority,
            Malformed::ContentLength => Self::InvalidContentLength,
            Malformed::ContentLengthMismatch => Self::ContentLengthMismatch,
            Malformed::Protocol => Self::UnknownProtocol,
        }
    }
}

impl Cause for Http3Error {
    fn code(&self) -> &'static str {
        self.verdict().2
    }

    fn text(&self) -> Cow<'static, str> {
        self.to_string().into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn all_lists_every_error_once_under_a_name_of_its_own() {
        let mut codes = HashSet::new();
        for (position, error) in Http3Error::ALL.into_iter().enumerate() {
            assert_eq!(error as usize, position, "{error:?}");
            assert!(codes.insert(error.code()), "{error:?}");
            assert!(error.code().starts_with("ERR_HTTP3_"), "{error:?}");
            assert!(error.to_string().contains("(RFC "), "{error:?}");
            assert!(!error.error_code().name().is_empty(), "{error:?}");
        }
    }
}
