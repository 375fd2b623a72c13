//! Rules of HTTP/2 that a client can break.

use std::borrow::Cow;

pub(crate) use super::error_code::ErrorCode;
use crate::protocol::cause::Cause;
use crate::protocol::multiplexed::malformed::Malformed;

/// What an error ends (RFC 9113 §5.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scope {
    /// The connection, and all its streams.
    Connection,
    /// One stream.
    Stream,
}

/// A rule of HTTP/2 that the peer broke, or a limit it exceeded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub(crate) enum Http2Error {
    /// RFC 9113 §3.4: the connection starts with a fixed sequence of 24 bytes.
    #[error("the connection must start with the client connection preface (RFC 9113 section 3.4)")]
    InvalidPreface,
    /// RFC 9113 §3.4: the first frame is SETTINGS.
    #[error("the first frame must be SETTINGS (RFC 9113 section 3.4)")]
    ExpectedSettings,
    /// RFC 9113 §4.2: a payload of more than 16,384 bytes.
    #[error("a frame must not be longer than SETTINGS_MAX_FRAME_SIZE (RFC 9113 section 4.2)")]
    FrameTooLong,
    /// RFC 9113 §6: a frame that is shorter or longer than its type allows.
    #[error("the length of a frame does not fit its type (RFC 9113 section 4.2)")]
    InvalidFrameLength,
    /// RFC 9113 §6.3: a PRIORITY frame has five bytes.
    #[error("a PRIORITY frame must have five bytes (RFC 9113 section 6.3)")]
    InvalidPriorityLength,
    /// RFC 9113 §6: a frame of the connection on a stream, or the reverse.
    #[error("a frame is on a stream where its type must not be (RFC 9113 section 6)")]
    InvalidStream,
    /// RFC 9113 §5.1.1: clients open streams with odd numbers, which rise.
    #[error("a client must open streams with odd numbers that rise (RFC 9113 section 5.1.1)")]
    InvalidStreamId,
    /// RFC 9113 §5.1: a frame for a stream that was not opened.
    #[error("a stream must be opened by HEADERS before any other frame (RFC 9113 section 5.1)")]
    IdleStream,
    /// RFC 9113 §5.1: DATA or HEADERS for a stream that the client has ended.
    #[error("nothing may follow END_STREAM on a stream (RFC 9113 section 5.1)")]
    StreamEnded,
    /// RFC 9113 §5.1: a header block for a stream that is closed.
    #[error("a closed stream must not be used again (RFC 9113 section 5.1)")]
    StreamClosed,
    /// RFC 9113 §6.1, §6.2: padding that is as long as the payload or longer.
    #[error("padding must be shorter than the payload that it is in (RFC 9113 section 6.1)")]
    InvalidPadding,
    /// RFC 9113 §6.10: between the frames of a header block there are no others.
    #[error("the frames of a header block must follow each other (RFC 9113 section 6.10)")]
    ExpectedContinuation,
    /// RFC 9113 §6.10: CONTINUATION without a header block to continue.
    #[error("CONTINUATION must follow a header block that is not complete (RFC 9113 section 6.10)")]
    UnexpectedContinuation,
    /// RFC 9113 §6.6: clients do not push.
    #[error("a client must not send PUSH_PROMISE (RFC 9113 section 8.4)")]
    PushPromise,
    /// RFC 9113 §6.5.2: a setting with a value that it must not have.
    #[error("a setting is out of its range (RFC 9113 section 6.5.2)")]
    InvalidSetting,
    /// RFC 9113 §6.5.2: an initial window above 2^31-1.
    #[error("SETTINGS_INITIAL_WINDOW_SIZE must be below 2^31 (RFC 9113 section 6.5.2)")]
    InvalidInitialWindow,
    /// RFC 9113 §6.9: WINDOW_UPDATE by 0 on a stream.
    #[error("WINDOW_UPDATE must not be 0 (RFC 9113 section 6.9)")]
    EmptyWindowUpdate,
    /// RFC 9113 §6.9: WINDOW_UPDATE by 0 on the connection.
    #[error("WINDOW_UPDATE of the connection must not be 0 (RFC 9113 section 6.9)")]
    EmptyConnectionWindowUpdate,
    /// RFC 9113 §6.9.1: the window of a stream above 2^31-1.
    #[error("the window of a stream must not exceed 2^31-1 (RFC 9113 section 6.9.1)")]
    WindowTooLarge,
    /// RFC 9113 §6.9.1: the window of the connection above 2^31-1, or of all streams by a setting.
    #[error("the window of the connection must not exceed 2^31-1 (RFC 9113 section 6.9.1)")]
    ConnectionWindowTooLarge,
    /// RFC 9113 §6.9: more DATA than the window of the stream allows.
    #[error("more data than the window of the stream allows (RFC 9113 section 6.9)")]
    WindowExceeded,
    /// RFC 9113 §6.9: more DATA than the window of the connection allows.
    #[error("more data than the window of the connection allows (RFC 9113 section 6.9)")]
    ConnectionWindowExceeded,
    /// RFC 7541: a header block that cannot be decoded.
    #[error("a header block must be encoded by HPACK (RFC 7541)")]
    InvalidHeaderBlock,
    /// RFC 7540 §5.3.1: a stream that depends on itself.
    #[error("a stream must not depend on itself (RFC 7540 section 5.3.1)")]
    SelfDependency,
    /// RFC 9218 §7.1: PRIORITY_UPDATE for a number that is not that of a request.
    #[error("PRIORITY_UPDATE must name the stream of a request (RFC 9218 section 7.1)")]
    InvalidPriorityUpdate,

    /// RFC 9113 §8.3: a pseudo-header field that requests do not have.
    #[error("a pseudo-header field that requests do not have (RFC 9113 section 8.3)")]
    UnknownPseudoField,
    /// RFC 9113 §8.3.1: a pseudo-header field that is missing, or must not be there.
    #[error("the pseudo-header fields must be those of the method, each once (RFC 9113 section 8.3.1)")]
    InvalidPseudoFields,
    /// RFC 9113 §8.3: a pseudo-header field behind another field, or in trailers.
    #[error("pseudo-header fields must precede all others (RFC 9113 section 8.3)")]
    MisplacedPseudoField,
    /// RFC 9113 §8.2.1: a name that is no token, or has capitals.
    #[error("a field name must be a token without capitals (RFC 9113 section 8.2.1)")]
    InvalidFieldName,
    /// RFC 9113 §8.2.1: a value with control bytes, or with whitespace around it.
    #[error("a field value must have no control bytes, and no whitespace around it (RFC 9113 section 8.2.1)")]
    InvalidFieldValue,
    /// RFC 9113 §8.2.2: Connection, Keep-Alive, Proxy-Connection, Transfer-Encoding, Upgrade, or TE.
    #[error("fields of the connection have no place in HTTP/2 (RFC 9113 section 8.2.2)")]
    ConnectionField,
    /// RFC 9110 §9.1: the method is a token.
    #[error("the method must be a token (RFC 9110 section 9.1)")]
    InvalidMethod,
    /// RFC 9113 §8.3.1: the path is that of an origin-form target, or `*` of OPTIONS.
    #[error("the path must start with a slash, or be the asterisk of OPTIONS (RFC 9113 section 8.3.1)")]
    InvalidPath,
    /// RFC 9113 §8.3.1: authority or Host is missing or invalid, or the two differ.
    #[error("the request must have one valid authority (RFC 9113 section 8.3.1)")]
    InvalidAuthority,
    /// RFC 9110 §8.6: Content-Length is one number.
    #[error("Content-Length must be one decimal number (RFC 9110 section 8.6)")]
    InvalidContentLength,
    /// RFC 9113 §8.1.1: the DATA frames do not add up to Content-Length.
    #[error("Content-Length must be the sum of the DATA frames (RFC 9113 section 8.1.1)")]
    ContentLengthMismatch,
    /// RFC 8441 §4: a protocol other than WebSocket.
    #[error("the only protocol of an extended CONNECT is websocket here (RFC 8441 section 4)")]
    UnknownProtocol,
    /// RFC 9113 §8.1: trailers are the last frame of a request.
    #[error("trailers must end their stream (RFC 9113 section 8.1)")]
    UnfinishedTrailers,

    /// More streams than SETTINGS_MAX_CONCURRENT_STREAMS (RFC 9113 §5.1.2).
    #[error("more streams than this server allows at a time (RFC 9113 section 5.1.2)")]
    TooManyStreams,
    /// A header block with more CONTINUATION frames, or that is longer, than this server accepts.
    #[error("a header block is longer than this server accepts (RFC 9113 section 10.5.1)")]
    HeaderBlockTooLong,
    /// Too many streams ended in error.
    #[error("too many streams were reset (RFC 9113 section 10.5)")]
    TooManyResets,
    /// Too many frames that ask for nothing.
    #[error("too many frames that ask for nothing (RFC 9113 section 10.5)")]
    TooManyIdleFrames,
    /// The first request, or the rest of a header block, did not arrive in time.
    #[error("a request did not arrive in time (RFC 9110 section 15.5.9)")]
    HeadersTimeout,
}

impl Http2Error {
    /// Every error, in the order of declaration.
    pub(crate) const ALL: [Self; 43] = [
        Self::InvalidPreface,
        Self::ExpectedSettings,
        Self::FrameTooLong,
        Self::InvalidFrameLength,
        Self::InvalidPriorityLength,
        Self::InvalidStream,
        Self::InvalidStreamId,
        Self::IdleStream,
        Self::StreamEnded,
        Self::StreamClosed,
        Self::InvalidPadding,
        Self::ExpectedContinuation,
        Self::UnexpectedContinuation,
        Self::PushPromise,
        Self::InvalidSetting,
        Self::InvalidInitialWindow,
        Self::EmptyWindowUpdate,
        Self::EmptyConnectionWindowUpdate,
        Self::WindowTooLarge,
        Self::ConnectionWindowTooLarge,
        Self::WindowExceeded,
        Self::ConnectionWindowExceeded,
        Self::InvalidHeaderBlock,
        Self::SelfDependency,
        Self::InvalidPriorityUpdate,
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
        Self::UnfinishedTrailers,
        Self::TooManyStreams,
        Self::HeaderBlockTooLong,
        Self::TooManyResets,
        Self::TooManyIdleFrames,
        Self::HeadersTimeout,
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
        const PROTOCOL: ErrorCode = ErrorCode::PROTOCOL_ERROR;
        const FLOW: ErrorCode = ErrorCode::FLOW_CONTROL_ERROR;
        const SIZE: ErrorCode = ErrorCode::FRAME_SIZE_ERROR;
        const CLOSED: ErrorCode = ErrorCode::STREAM_CLOSED;
        const CALM: ErrorCode = ErrorCode::ENHANCE_YOUR_CALM;
        match self {
            Self::InvalidPreface => (Connection, PROTOCOL, "ERR_HTTP2_PREFACE"),
            Self::ExpectedSettings => (Connection, PROTOCOL, "ERR_HTTP2_EXPECTED_SETTINGS"),
            Self::FrameTooLong => (Connection, SIZE, "ERR_HTTP2_FRAME_TOO_LONG"),
            Self::InvalidFrameLength => (Connection, SIZE, "ERR_HTTP2_FRAME_LENGTH"),
            Self::InvalidPriorityLength => (Stream, SIZE, "ERR_HTTP2_PRIORITY_LENGTH"),
            Self::InvalidStream => (Connection, PROTOCOL, "ERR_HTTP2_STREAM"),
            Self::InvalidStreamId => (Connection, PROTOCOL, "ERR_HTTP2_STREAM_ID"),
            Self::IdleStream => (Connection, PROTOCOL, "ERR_HTTP2_IDLE_STREAM"),
            Self::StreamEnded => (Stream, CLOSED, "ERR_HTTP2_STREAM_ENDED"),
            Self::StreamClosed => (Connection, CLOSED, "ERR_HTTP2_STREAM_CLOSED"),
            Self::InvalidPadding => (Connection, PROTOCOL, "ERR_HTTP2_PADDING"),
            Self::ExpectedContinuation => (Connection, PROTOCOL, "ERR_HTTP2_EXPECTED_CONTINUATION"),
            Self::UnexpectedContinuation => (Connection, PROTOCOL, "ERR_HTTP2_UNEXPECTED_CONTINUATION"),
            Self::PushPromise => (Connection, PROTOCOL, "ERR_HTTP2_PUSH_PROMISE"),
            Self::InvalidSetting => (Connection, PROTOCOL, "ERR_HTTP2_SETTING"),
            Self::InvalidInitialWindow => (Connection, FLOW, "ERR_HTTP2_INITIAL_WINDOW"),
            Self::EmptyWindowUpdate => (Stream, PROTOCOL, "ERR_HTTP2_EMPTY_WINDOW_UPDATE"),
            Self::EmptyConnectionWindowUpdate => {
                (Connection, PROTOCOL, "ERR_HTTP2_EMPTY_CONNECTION_WINDOW_UPDATE")
            }
            Self::WindowTooLarge => (Stream, FLOW, "ERR_HTTP2_WINDOW_TOO_LARGE"),
            Self::ConnectionWindowTooLarge => (Connection, FLOW, "ERR_HTTP2_CONNECTION_WINDOW_TOO_LARGE"),
            Self::WindowExceeded => (Stream, FLOW, "ERR_HTTP2_WINDOW_EXCEEDED"),
            Self::ConnectionWindowExceeded => (Connection, FLOW, "ERR_HTTP2_CONNECTION_WINDOW_EXCEEDED"),
            Self::InvalidHeaderBlock => (Connection, ErrorCode::COMPRESSION_ERROR, "ERR_HTTP2_HEADER_BLOCK"),
            Self::SelfDependency => (Stream, PROTOCOL, "ERR_HTTP2_SELF_DEPENDENCY"),
            Self::InvalidPriorityUpdate => (Connection, PROTOCOL, "ERR_HTTP2_PRIORITY_UPDATE"),
            Self::UnknownPseudoField => (Stream, PROTOCOL, "ERR_HTTP2_UNKNOWN_PSEUDO_FIELD"),
            Self::InvalidPseudoFields => (Stream, PROTOCOL, "ERR_HTTP2_PSEUDO_FIELDS"),
            Self::MisplacedPseudoField => (Stream, PROTOCOL, "ERR_HTTP2_MISPLACED_PSEUDO_FIELD"),
            Self::InvalidFieldName => (Stream, PROTOCOL, "ERR_HTTP2_FIELD_NAME"),
            Self::InvalidFieldValue => (Stream, PROTOCOL, "ERR_HTTP2_FIELD_VALUE"),
            Self::ConnectionField => (Stream, PROTOCOL, "ERR_HTTP2_CONNECTION_FIELD"),
            Self::InvalidMethod => (Stream, PROTOCOL, "ERR_HTTP2_METHOD"),
            Self::InvalidPath => (Stream, PROTOCOL, "ERR_HTTP2_PATH"),
            Self::InvalidAuthority => (Stream, PROTOCOL, "ERR_HTTP2_AUTHORITY"),
            Self::InvalidContentLength => (Stream, PROTOCOL, "ERR_HTTP2_CONTENT_LENGTH"),
            Self::ContentLengthMismatch => (Stream, PROTOCOL, "ERR_HTTP2_CONTENT_LENGTH_MISMATCH"),
            Self::UnknownProtocol => (Stream, ErrorCode::CANCEL, "ERR_HTTP2_UNKNOWN_PROTOCOL"),
            Self::UnfinishedTrailers => (Stream, PROTOCOL, "ERR_HTTP2_UNFINISHED_TRAILERS"),
            Self::TooManyStreams => (Stream, ErrorCode::REFUSED_STREAM, "ERR_HTTP2_TOO_MANY_STREAMS"),
            Self::HeaderBlockTooLong => (Connection, CALM, "ERR_HTTP2_HEADER_BLOCK_TOO_LONG"),
            Self::TooManyResets => (Connection, CALM, "ERR_HTTP2_TOO_MANY_RESETS"),
            Self::TooManyIdleFrames => (Connection, CALM, "ERR_HTTP2_TOO_MANY_IDLE_FRAMES"),
            Self::HeadersTimeout => (Connection, ErrorCode::NO_ERROR, "ERR_HTTP2_HEADERS_TIMEOUT"),
        }
    }
}

impl From<Malformed> for Http2Error {
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

impl Cause for Http2Error {
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
        for (position, error) in Http2Error::ALL.into_iter().enumerate() {
            assert_eq!(error as usize, position, "{error:?}");
            assert!(codes.insert(error.code()), "{error:?}");
            assert!(error.code().starts_with("ERR_HTTP2_"), "{error:?}");
            assert!(error.to_string().contains("(RFC "), "{error:?}");
            assert!(!error.error_code().name().is_empty(), "{error:?}");
        }
    }
}
