//! The error codes of HTTP/2, which name the reason for the end of a stream or connection on the wire.

/// The code of a RST_STREAM or GOAWAY frame (RFC 9113 §7). Codes without a name are kept as they came.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct ErrorCode(pub u32);

impl ErrorCode {
    /// No error: a graceful end.
    pub(crate) const NO_ERROR: Self = Self(0x0);
    /// A rule was broken, and no other code is more specific.
    pub(crate) const PROTOCOL_ERROR: Self = Self(0x1);
    /// This side failed.
    pub(crate) const INTERNAL_ERROR: Self = Self(0x2);
    /// More was sent than flow control allows.
    pub(crate) const FLOW_CONTROL_ERROR: Self = Self(0x3);
    /// A frame for a stream that is half-closed or closed.
    pub(crate) const STREAM_CLOSED: Self = Self(0x5);
    /// A frame of the wrong length.
    pub(crate) const FRAME_SIZE_ERROR: Self = Self(0x6);
    /// The stream was not processed at all; the request may be sent again.
    pub(crate) const REFUSED_STREAM: Self = Self(0x7);
    /// The stream is not needed any more.
    pub(crate) const CANCEL: Self = Self(0x8);
    /// A header block that cannot be decoded.
    pub(crate) const COMPRESSION_ERROR: Self = Self(0x9);
    /// The peer asks for too much.
    pub(crate) const ENHANCE_YOUR_CALM: Self = Self(0xb);
    /// The resource can only be had over HTTP/1.1.
    pub(crate) const HTTP_1_1_REQUIRED: Self = Self(0xd);

    /// Its name in RFC 9113 §7; empty for a code that has none.
    #[must_use]
    pub(crate) const fn name(self) -> &'static str {
        match self.0 {
            0x0 => "NO_ERROR",
            0x1 => "PROTOCOL_ERROR",
            0x2 => "INTERNAL_ERROR",
            0x3 => "FLOW_CONTROL_ERROR",
            0x4 => "SETTINGS_TIMEOUT",
            0x5 => "STREAM_CLOSED",
            0x6 => "FRAME_SIZE_ERROR",
            0x7 => "REFUSED_STREAM",
            0x8 => "CANCEL",
            0x9 => "COMPRESSION_ERROR",
            0xa => "CONNECT_ERROR",
            0xb => "ENHANCE_YOUR_CALM",
            0xc => "INADEQUATE_SECURITY",
            0xd => "HTTP_1_1_REQUIRED",
            _ => "",
        }
    }
}

/// The code of a RST_STREAM frame in a byte, as a cause has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ResetCode(u8);

impl From<ErrorCode> for ResetCode {
    fn from(code: ErrorCode) -> Self {
        Self(u8::try_from(code.0).unwrap_or(u8::MAX))
    }
}

impl ResetCode {
    /// A placeholder for any code.
    pub(crate) const ANY: Self = Self(u8::MAX);

    /// A sentence that says with which code the peer has reset a stream.
    #[must_use]
    pub(crate) const fn text(self) -> &'static str {
        match self.0 {
            0x0 => "Peer reset the stream: NO_ERROR (0)",
            0x1 => "Peer reset the stream: PROTOCOL_ERROR (1)",
            0x2 => "Peer reset the stream: INTERNAL_ERROR (2)",
            0x3 => "Peer reset the stream: FLOW_CONTROL_ERROR (3)",
            0x4 => "Peer reset the stream: SETTINGS_TIMEOUT (4)",
            0x5 => "Peer reset the stream: STREAM_CLOSED (5)",
            0x6 => "Peer reset the stream: FRAME_SIZE_ERROR (6)",
            0x7 => "Peer reset the stream: REFUSED_STREAM (7)",
            0x8 => "Peer reset the stream: CANCEL (8)",
            0x9 => "Peer reset the stream: COMPRESSION_ERROR (9)",
            0xa => "Peer reset the stream: CONNECT_ERROR (10)",
            0xb => "Peer reset the stream: ENHANCE_YOUR_CALM (11)",
            0xc => "Peer reset the stream: INADEQUATE_SECURITY (12)",
            0xd => "Peer reset the stream: HTTP_1_1_REQUIRED (13)",
            _ => "Peer reset the stream",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn codes_have_the_names_of_the_rfc_and_others_none() {
        let names: HashSet<_> = (0..=0xd).map(|code| ErrorCode(code).name()).collect();
        assert_eq!(names.len(), 14);
        assert!(!names.contains(""));
        assert_eq!(ErrorCode(0xe).name(), "");
        assert_eq!(ErrorCode::HTTP_1_1_REQUIRED.name(), "HTTP_1_1_REQUIRED");
    }

    #[test]
    fn a_reset_is_told_with_its_code() {
        assert_eq!(ResetCode::from(ErrorCode::CANCEL).text(), "Peer reset the stream: CANCEL (8)");
        for code in [0xe, 0x108, u32::MAX] {
            assert_eq!(ResetCode::from(ErrorCode(code)).text(), "Peer reset the stream", "{code}");
        }
        for code in (0..=0xd).map(ErrorCode) {
            assert!(ResetCode::from(code).text().contains(code.name()), "{code:?}");
        }
    }
}
