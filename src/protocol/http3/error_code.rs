//! The error codes of HTTP/3 and QPACK, which name the reason for the end of a stream or connection on the wire.

/// The code of a RESET_STREAM, STOP_SENDING or CONNECTION_CLOSE frame of the application (RFC 9114 §8.1, RFC 9204 §6).
/// Codes without a name are kept as they came.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct ErrorCode(pub u64);

impl ErrorCode {
    /// No error: a graceful end.
    pub(crate) const NO_ERROR: Self = Self(0x100);
    /// This side failed.
    pub(crate) const INTERNAL_ERROR: Self = Self(0x102);
    /// A stream of a kind that the peer must not open, or not again.
    pub(crate) const STREAM_CREATION_ERROR: Self = Self(0x103);
    /// A stream that the connection needs was closed.
    pub(crate) const CLOSED_CRITICAL_STREAM: Self = Self(0x104);
    /// A frame where its type must not be.
    pub(crate) const FRAME_UNEXPECTED: Self = Self(0x105);
    /// A frame whose length does not fit its type.
    pub(crate) const FRAME_ERROR: Self = Self(0x106);
    /// The peer asks for too much.
    pub(crate) const EXCESSIVE_LOAD: Self = Self(0x107);
    /// A number of a stream or push that must not be used.
    pub(crate) const ID_ERROR: Self = Self(0x108);
    /// A setting with a value that it must not have.
    pub(crate) const SETTINGS_ERROR: Self = Self(0x109);
    /// A control stream without SETTINGS.
    pub(crate) const MISSING_SETTINGS: Self = Self(0x10a);
    /// The request was not processed at all; it may be sent again.
    pub(crate) const REQUEST_REJECTED: Self = Self(0x10b);
    /// The request or its response is not needed any more.
    pub(crate) const REQUEST_CANCELLED: Self = Self(0x10c);
    /// A request stream that ended before its request was complete.
    pub(crate) const REQUEST_INCOMPLETE: Self = Self(0x10d);
    /// A malformed message.
    pub(crate) const MESSAGE_ERROR: Self = Self(0x10e);
    /// The resource can only be had over HTTP/1.1.
    pub(crate) const VERSION_FALLBACK: Self = Self(0x110);
    /// A field section that cannot be decoded.
    pub(crate) const QPACK_DECOMPRESSION_FAILED: Self = Self(0x200);
    /// An instruction on the encoder stream that cannot be followed.
    pub(crate) const QPACK_ENCODER_STREAM_ERROR: Self = Self(0x201);
    /// An instruction on the decoder stream that cannot be followed.
    pub(crate) const QPACK_DECODER_STREAM_ERROR: Self = Self(0x202);

    /// Its name in RFC 9114 §8.1 or RFC 9204 §6; empty for a code that has none.
    #[must_use]
    pub(crate) const fn name(self) -> &'static str {
        match self.0 {
            0x100 => "H3_NO_ERROR",
            0x101 => "H3_GENERAL_PROTOCOL_ERROR",
            0x102 => "H3_INTERNAL_ERROR",
            0x103 => "H3_STREAM_CREATION_ERROR",
            0x104 => "H3_CLOSED_CRITICAL_STREAM",
            0x105 => "H3_FRAME_UNEXPECTED",
            0x106 => "H3_FRAME_ERROR",
            0x107 => "H3_EXCESSIVE_LOAD",
            0x108 => "H3_ID_ERROR",
            0x109 => "H3_SETTINGS_ERROR",
            0x10a => "H3_MISSING_SETTINGS",
            0x10b => "H3_REQUEST_REJECTED",
            0x10c => "H3_REQUEST_CANCELLED",
            0x10d => "H3_REQUEST_INCOMPLETE",
            0x10e => "H3_MESSAGE_ERROR",
            0x10f => "H3_CONNECT_ERROR",
            0x110 => "H3_VERSION_FALLBACK",
            0x200 => "QPACK_DECOMPRESSION_FAILED",
            0x201 => "QPACK_ENCODER_STREAM_ERROR",
            0x202 => "QPACK_DECODER_STREAM_ERROR",
            _ => "",
        }
    }
}

/// The code with which a peer ended a stream, in a byte, as a cause has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct StreamCode(u8);

impl From<ErrorCode> for StreamCode {
    fn from(code: ErrorCode) -> Self {
        let byte = match code.0 {
            0x100..=0x110 => code.0 - 0x100,
            0x200..=0x202 => code.0 - 0x200 + QPACK,
            _ => return Self::ANY,
        };
        Self(u8::try_from(byte).unwrap_or(u8::MAX))
    }
}

impl StreamCode {
    /// A placeholder for any code.
    pub(crate) const ANY: Self = Self(u8::MAX);

    /// A sentence that says with which code the peer has ended a stream.
    #[must_use]
    pub(crate) const fn text(self) -> &'static str {
        match self.0 {
            0x00 => "Peer reset the stream: H3_NO_ERROR (0x100)",
            0x01 => "Peer reset the stream: H3_GENERAL_PROTOCOL_ERROR (0x101)",
            0x02 => "Peer reset the stream: H3_INTERNAL_ERROR (0x102)",
            0x03 => "Peer reset the stream: H3_STREAM_CREATION_ERROR (0x103)",
            0x04 => "Peer reset the stream: H3_CLOSED_CRITICAL_STREAM (0x104)",
            0x05 => "Peer reset the stream: H3_FRAME_UNEXPECTED (0x105)",
            0x06 => "Peer reset the stream: H3_FRAME_ERROR (0x106)",
            0x07 => "Peer reset the stream: H3_EXCESSIVE_LOAD (0x107)",
            0x08 => "Peer reset the stream: H3_ID_ERROR (0x108)",
            0x09 => "Peer reset the stream: H3_SETTINGS_ERROR (0x109)",
            0x0a => "Peer reset the stream: H3_MISSING_SETTINGS (0x10a)",
            0x0b => "Peer reset the stream: H3_REQUEST_REJECTED (0x10b)",
            0x0c => "Peer reset the stream: H3_REQUEST_CANCELLED (0x10c)",
            0x0d => "Peer reset the stream: H3_REQUEST_INCOMPLETE (0x10d)",
            0x0e => "Peer reset the stream: H3_MESSAGE_ERROR (0x10e)",
            0x0f => "Peer reset the stream: H3_CONNECT_ERROR (0x10f)",
            0x10 => "Peer reset the stream: H3_VERSION_FALLBACK (0x110)",
            0x20 => "Peer reset the stream: QPACK_DECOMPRESSION_FAILED (0x200)",
            0x21 => "Peer reset the stream: QPACK_ENCODER_STREAM_ERROR (0x201)",
            0x22 => "Peer reset the stream: QPACK_DECODER_STREAM_ERROR (0x202)",
            _ => "Peer reset the stream",
        }
    }

    /// A sentence that says with which code the peer has closed the whole connection.
    #[must_use]
    pub(crate) const fn connection_text(self) -> &'static str {
        match self.0 {
            0x00 => "Peer closed the QUIC connection: H3_NO_ERROR (0x100)",
            0x01 => "Peer closed the QUIC connection: H3_GENERAL_PROTOCOL_ERROR (0x101)",
            0x02 => "Peer closed the QUIC connection: H3_INTERNAL_ERROR (0x102)",
            0x03 => "Peer closed the QUIC connection: H3_STREAM_CREATION_ERROR (0x103)",
            0x04 => "Peer closed the QUIC connection: H3_CLOSED_CRITICAL_STREAM (0x104)",
            0x05 => "Peer closed the QUIC connection: H3_FRAME_UNEXPECTED (0x105)",
            0x06 => "Peer closed the QUIC connection: H3_FRAME_ERROR (0x106)",
            0x07 => "Peer closed the QUIC connection: H3_EXCESSIVE_LOAD (0x107)",
            0x08 => "Peer closed the QUIC connection: H3_ID_ERROR (0x108)",
            0x09 => "Peer closed the QUIC connection: H3_SETTINGS_ERROR (0x109)",
            0x0a => "Peer closed the QUIC connection: H3_MISSING_SETTINGS (0x10a)",
            0x0b => "Peer closed the QUIC connection: H3_REQUEST_REJECTED (0x10b)",
            0x0c => "Peer closed the QUIC connection: H3_REQUEST_CANCELLED (0x10c)",
            0x0d => "Peer closed the QUIC connection: H3_REQUEST_INCOMPLETE (0x10d)",
            0x0e => "Peer closed the QUIC connection: H3_MESSAGE_ERROR (0x10e)",
            0x0f => "Peer closed the QUIC connection: H3_CONNECT_ERROR (0x10f)",
            0x10 => "Peer closed the QUIC connection: H3_VERSION_FALLBACK (0x110)",
            0x20 => "Peer closed the QUIC connection: QPACK_DECOMPRESSION_FAILED (0x200)",
            0x21 => "Peer closed the QUIC connection: QPACK_ENCODER_STREAM_ERROR (0x201)",
            0x22 => "Peer closed the QUIC connection: QPACK_DECODER_STREAM_ERROR (0x202)",
            _ => "Peer closed the QUIC connection",
        }
    }
}

/// The code with which the QUIC of a peer closed a connection (RFC 9000 §20.1), in a byte, as a cause has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TransportCode(u8);

impl From<u64> for TransportCode {
    fn from(code: u64) -> Self {
        u8::try_from(code).map_or(Self::ANY, Self)
    }
}

impl TransportCode {
    /// A placeholder for any code.
    pub(crate) const ANY: Self = Self(u8::MAX);

    /// A sentence that says which error the peer has found.
    #[must_use]
    pub(crate) const fn text(self) -> &'static str {
        match self.0 {
            0x01 => "Peer closed the QUIC connection because of a transport error: INTERNAL_ERROR (0x1)",
            0x02 => "Peer closed the QUIC connection because of a transport error: CONNECTION_REFUSED (0x2)",
            0x03 => "Peer closed the QUIC connection because of a transport error: FLOW_CONTROL_ERROR (0x3)",
            0x04 => "Peer closed the QUIC connection because of a transport error: STREAM_LIMIT_ERROR (0x4)",
            0x05 => "Peer closed the QUIC connection because of a transport error: STREAM_STATE_ERROR (0x5)",
            0x06 => "Peer closed the QUIC connection because of a transport error: FINAL_SIZE_ERROR (0x6)",
            0x07 => {
                "Peer closed the QUIC connection because of a transport error: FRAME_ENCODING_ERROR (0x7)"
            }
            0x08 => {
                "Peer closed the QUIC connection because of a transport error: TRANSPORT_PARAMETER_ERROR (0x8)"
            }
            0x09 => {
                "Peer closed the QUIC connection because of a transport error: CONNECTION_ID_LIMIT_ERROR (0x9)"
            }
            0x0a => "Peer closed the QUIC connection because of a transport error: PROTOCOL_VIOLATION (0xa)",
            0x0b => "Peer closed the QUIC connection because of a transport error: INVALID_TOKEN (0xb)",
            0x0c => "Peer closed the QUIC connection because of a transport error: APPLICATION_ERROR (0xc)",
            0x0d => {
                "Peer closed the QUIC connection because of a transport error: CRYPTO_BUFFER_EXCEEDED (0xd)"
            }
            0x0e => "Peer closed the QUIC connection because of a transport error: KEY_UPDATE_ERROR (0xe)",
            0x0f => "Peer closed the QUIC connection because of a transport error: AEAD_LIMIT_REACHED (0xf)",
            0x10 => "Peer closed the QUIC connection because of a transport error: NO_VIABLE_PATH (0x10)",
            0x11 => {
                "Peer closed the QUIC connection because of a transport error: VERSION_NEGOTIATION_ERROR (0x11)"
            }
            _ => "Peer closed the QUIC connection because of a transport error",
        }
    }
}

/// Where the codes of QPACK start among the bytes of [`StreamCode`].
const QPACK: u64 = 0x20;

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn codes_have_the_names_of_the_rfcs_and_others_none() {
        let codes = (0x100..=0x110).chain(0x200..=0x202);
        let names: HashSet<_> = codes.map(|code| ErrorCode(code).name()).collect();
        assert_eq!(names.len(), 20);
        assert!(!names.contains(""));
        for code in [0, 0xff, 0x111, 0x1ff, 0x203, u64::MAX] {
            assert_eq!(ErrorCode(code).name(), "", "{code:#x}");
        }
    }

    #[test]
    fn the_end_of_a_stream_is_told_with_its_code() {
        for code in (0x100..=0x110).chain(0x200..=0x202).map(ErrorCode) {
            let text = StreamCode::from(code).text();
            assert_eq!(text, format!("Peer reset the stream: {} ({:#x})", code.name(), code.0));
            let text = StreamCode::from(code).connection_text();
            assert_eq!(text, format!("Peer closed the QUIC connection: {} ({:#x})", code.name(), code.0));
        }
        for code in [0, 0x20, 0x111, 0x120, 0x203, 0x222, u64::MAX] {
            let code = StreamCode::from(ErrorCode(code));
            assert_eq!(code.text(), "Peer reset the stream", "{code:?}");
            assert_eq!(code.connection_text(), "Peer closed the QUIC connection", "{code:?}");
        }
    }

    #[test]
    fn what_the_quic_of_a_peer_has_found_is_told_with_its_code() {
        let start = "Peer closed the QUIC connection because of a transport error";
        let texts: HashSet<_> = (0x01..=0x11_u64)
            .map(|code| {
                let text = TransportCode::from(code).text();
                assert!(text.starts_with(start) && text.ends_with(&format!(" ({code:#x})")), "{text}");
                text
            })
            .collect();
        assert_eq!(texts.len(), 17);
        for code in [0, 0x12, 0xff, 0x101, u64::MAX] {
            assert_eq!(TransportCode::from(code).text(), start, "{code:#x}");
        }
    }
}
