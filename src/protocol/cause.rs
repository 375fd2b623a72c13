//! Why a connection ended. [`CloseCause`] is the one type that carries the answer from the socket to JavaScript; only
//! [`CloseCause::verdict`] turns it into codes and texts. [`Cause`] is the interface that it shares with the causes of
//! all other failures.

use std::borrow::Cow;
use std::mem::discriminant;

use super::http2::error_code::ResetCode;
use super::http3::error_code::{StreamCode, TransportCode};

/// Why something ended or failed. Implemented by [`CloseCause`] (an open connection),
/// [`ConnectCause`](super::connect::ConnectCause) and [`ConnectFailure`](super::connect::ConnectFailure) (a connect),
/// [`HttpError`](super::http::error::HttpError) (a request), [`ProxyError`](super::proxy::ProxyError) (a PROXY header),
/// [`TlsFault`](crate::tls::fault::TlsFault) (a TLS handshake) and
/// [`OptionError`](crate::tls::error::OptionError) (a TLS option).
pub(crate) trait Cause {
    /// For programs: never changes once it is released. Starts with `ERR_`, or with `CLOSED_` if nothing went wrong.
    fn code(&self) -> &'static str;
    /// For people: what happened, without the code. Never empty; may change between versions.
    fn text(&self) -> Cow<'static, str>;
}

/// Why a WebSocket closed or an HTTP response was aborted.
///
/// In groups: closed by the peer, protocol errors of the peer, transport errors, timeouts, and closed by this side.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CloseCause {
    /// The peer sent a Close frame with a status code (RFC 6455 §7.1.5).
    PeerClosed,
    /// The peer sent a Close frame without a status code; reported as 1005 (RFC 6455 §7.1.5).
    PeerClosedWithoutCode,

    /// RSV1, RSV2 or RSV3 was set and no negotiated extension gives it a meaning (RFC 6455 §5.2).
    ReservedBits,
    /// RSV1, which permessage-deflate sets on the first frame of a message, was set on another (RFC 7692 §6).
    MisplacedCompression,
    /// The opcode is one of 3–7 or 11–15 (RFC 6455 §5.2).
    ReservedOpcode,
    /// A control frame without FIN (RFC 6455 §5.5).
    FragmentedControl,
    /// A control frame whose payload exceeds 125 bytes (RFC 6455 §5.5).
    ControlTooLong,
    /// A continuation frame while no message was in progress (RFC 6455 §5.4).
    UnexpectedContinuation,
    /// A new text or binary frame while a fragmented message was in progress (RFC 6455 §5.4).
    ExpectedContinuation,
    /// A client frame without a mask (RFC 6455 §5.1).
    UnmaskedFrame,
    /// A server frame with a mask (RFC 6455 §5.1).
    MaskedFrame,
    /// A payload length that would have fitted a shorter form (RFC 6455 §5.2).
    NonMinimalLength,
    /// A 64-bit payload length with its most significant bit set (RFC 6455 §5.2).
    LengthOverflow,
    /// A Close frame with a payload of one byte, which cannot hold a status code (RFC 6455 §5.5.1).
    ClosePayloadTruncated,
    /// A Close frame with a status code that must not be sent (RFC 6455 §7.4).
    CloseCodeInvalid,
    /// A Close frame whose reason is not UTF-8 (RFC 6455 §5.5.1).
    CloseReasonNotUtf8,
    /// A frame declared more bytes than `maxPayloadLength`.
    FrameTooBig,
    /// The fragments of a message together exceed `maxPayloadLength`.
    MessageTooBig,
    /// A message has more frames than the application allows (`maxFragments` of `ws`).
    TooManyFragments,
    /// A compressed message is longer than `maxPayloadLength` once it is decompressed.
    InflatedTooBig,
    /// A compressed message is not what deflate makes (RFC 7692 §7.2.2).
    InvalidDeflate,
    /// A text message that is not UTF-8 (RFC 6455 §8.1).
    InvalidUtf8,
    /// The peer broke a rule of HTTP/1.1 while sending a request body (RFC 9112 §6, §7).
    InvalidRequestBody,
    /// The body of an HTTP request exceeds `maxBodySize`.
    BodyTooLarge,

    /// The TCP stream ended without a Close frame.
    FinWithoutClose,
    /// The TCP stream ended while an HTTP response was outstanding.
    FinBeforeResponse,
    /// The peer reset the TCP connection (ECONNRESET, EPIPE).
    Reset,
    /// The kernel gave up on the peer: nothing was acknowledged in time (ETIMEDOUT).
    TransportTimedOut,
    /// The network reported that the peer cannot be reached (EHOSTUNREACH, ENETUNREACH, ENETDOWN).
    Unreachable,
    /// Reading or writing the socket failed in another way.
    TransportFailed,
    /// The TCP stream ended without the `close_notify` of TLS (RFC 8446 §6.1): the peer, or an attacker on the way,
    /// ended it.
    TlsTruncated,
    /// The peer sent an alert of TLS (RFC 8446 §6.2).
    TlsAlert(Alert),
    /// A record of TLS broke a rule, or was tampered with.
    TlsInvalid,
    /// The keys of TLS 1.2 with which this side seals are used up (RFC 8446 §5.5).
    TlsKeysExhausted,
    /// The peer ended its TLS because its keys were used up.
    TlsPeerKeysExhausted,
    /// The peer reset the stream of HTTP/2 (RFC 9113 §6.4).
    StreamReset(ResetCode),
    /// The peer broke a rule of HTTP/2.
    InvalidHttp2,
    /// The peer abandoned the stream of HTTP/3 (RFC 9114 §4.1.1).
    Http3StreamReset(StreamCode),
    /// The peer broke a rule of HTTP/3.
    InvalidHttp3,
    /// The peer closed its connection of QUIC (RFC 9114 §5.3).
    QuicClosed(StreamCode),
    /// The peer closed its connection of QUIC because of an error in the transport (RFC 9000 §20.1).
    QuicPeerError(TransportCode),
    /// The peer broke a rule of QUIC.
    InvalidQuic,
    /// The peer has lost its connection of QUIC (RFC 9000 §10.3).
    QuicReset,
    /// Nothing arrived on the connection of QUIC for its idle timeout (RFC 9000 §10.1).
    QuicTimedOut,

    /// No bytes from the peer for `idleTimeout`, automatic pings unanswered.
    IdleTimeout,
    /// The application has started the closing handshake, and the peer's Close frame did not come in time.
    CloseTimeout,
    /// The WebSocket reached `maxLifetime`.
    MaxLifetime,
    /// The request body arrived too slowly.
    BodyTimeout,
    /// The response could not be delivered: the peer stopped reading.
    ResponseTimeout,

    /// More than `maxBackpressure` waited for the peer, and `closeOnBackpressureLimit` is set.
    BackpressureLimit,
    /// More than `maxBufferedOutput` waited for all clients of the app together, and this one was among the slowest.
    OutputLimit,

    /// The application called `ws.close()` or `res.close()`.
    ApplicationClosed,
    /// The application called `ws.end()`.
    ApplicationEnded,
    /// The application called `app.close()`.
    AppClosed,
    /// The application called `app.shutdown()`.
    ServerShutdown,
}

/// The description of a TLS alert, by its number on the wire (RFC 8446 §6).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Alert(pub u8);

impl Alert {
    /// A placeholder for any alert.
    const ANY: Self = Self(255);

    /// A sentence that says which alert it is, in the words of RFC 8446 §6 and RFC 5246 §7.2.
    #[must_use]
    pub const fn text(self) -> &'static str {
        match self.0 {
            10 => "Peer sent a TLS alert: unexpected_message (10)",
            20 => "Peer sent a TLS alert: bad_record_mac (20)",
            21 => "Peer sent a TLS alert: decryption_failed (21)",
            22 => "Peer sent a TLS alert: record_overflow (22)",
            30 => "Peer sent a TLS alert: decompression_failure (30)",
            40 => "Peer sent a TLS alert: handshake_failure (40)",
            42 => "Peer sent a TLS alert: bad_certificate (42)",
            43 => "Peer sent a TLS alert: unsupported_certificate (43)",
            44 => "Peer sent a TLS alert: certificate_revoked (44)",
            45 => "Peer sent a TLS alert: certificate_expired (45)",
            46 => "Peer sent a TLS alert: certificate_unknown (46)",
            47 => "Peer sent a TLS alert: illegal_parameter (47)",
            48 => "Peer sent a TLS alert: unknown_ca (48)",
            49 => "Peer sent a TLS alert: access_denied (49)",
            50 => "Peer sent a TLS alert: decode_error (50)",
            51 => "Peer sent a TLS alert: decrypt_error (51)",
            70 => "Peer sent a TLS alert: protocol_version (70)",
            71 => "Peer sent a TLS alert: insufficient_security (71)",
            80 => "Peer sent a TLS alert: internal_error (80)",
            86 => "Peer sent a TLS alert: inappropriate_fallback (86)",
            90 => "Peer sent a TLS alert: user_canceled (90)",
            100 => "Peer sent a TLS alert: no_renegotiation (100)",
            109 => "Peer sent a TLS alert: missing_extension (109)",
            110 => "Peer sent a TLS alert: unsupported_extension (110)",
            112 => "Peer sent a TLS alert: unrecognized_name (112)",
            113 => "Peer sent a TLS alert: bad_certificate_status_response (113)",
            115 => "Peer sent a TLS alert: unknown_psk_identity (115)",
            116 => "Peer sent a TLS alert: certificate_required (116)",
            120 => "Peer sent a TLS alert: no_application_protocol (120)",
            _ => "Peer sent a TLS alert",
        }
    }
}

/// Which side ended a connection: the `initiator` of a close event's `info`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Initiator {
    /// The peer closed, or broke a rule.
    Peer,
    /// This server decided it.
    Local,
    /// Neither side: the transport failed.
    Transport,
}

impl Initiator {
    /// `info.initiator`.
    #[must_use]
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Peer => "peer",
            Self::Local => "local",
            Self::Transport => "transport",
        }
    }
}

/// How a [`CloseCause`] is reported to the application and to the peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// `info.cause`: stable, for programs. `ERR_…` where something went wrong, `CLOSED_…` where it did not.
    pub name: &'static str,
    /// `info.initiator`.
    pub initiator: Initiator,
    /// `info.wasClean`: Close frames were exchanged or are being exchanged, in the sense of RFC 6455 §7.1.4.
    pub was_clean: bool,
    /// The code passed to the close handler, unless a Close frame, `ws.end()` or `app.shutdown()` gave one.
    pub local_code: u16,
    /// The status code of the Close frame sent to the peer; `None` where no frame of our own can or should go out.
    pub wire_code: Option<u16>,
    /// The reason text, where neither peer nor application gave one. Never empty.
    pub text: &'static str,
}

impl CloseCause {
    /// Every cause, in the order of declaration; the position is the number that crosses to JavaScript.
    pub const ALL: [Self; 55] = [
        Self::PeerClosed,
        Self::PeerClosedWithoutCode,
        Self::ReservedBits,
        Self::MisplacedCompression,
        Self::ReservedOpcode,
        Self::FragmentedControl,
        Self::ControlTooLong,
        Self::UnexpectedContinuation,
        Self::ExpectedContinuation,
        Self::UnmaskedFrame,
        Self::MaskedFrame,
        Self::NonMinimalLength,
        Self::LengthOverflow,
        Self::ClosePayloadTruncated,
        Self::CloseCodeInvalid,
        Self::CloseReasonNotUtf8,
        Self::FrameTooBig,
        Self::MessageTooBig,
        Self::TooManyFragments,
        Self::InflatedTooBig,
        Self::InvalidDeflate,
        Self::InvalidUtf8,
        Self::InvalidRequestBody,
        Self::BodyTooLarge,
        Self::FinWithoutClose,
        Self::FinBeforeResponse,
        Self::Reset,
        Self::TransportTimedOut,
        Self::Unreachable,
        Self::TransportFailed,
        Self::TlsTruncated,
        Self::TlsAlert(Alert::ANY),
        Self::TlsInvalid,
        Self::TlsKeysExhausted,
        Self::TlsPeerKeysExhausted,
        Self::StreamReset(ResetCode::ANY),
        Self::InvalidHttp2,
        Self::Http3StreamReset(StreamCode::ANY),
        Self::InvalidHttp3,
        Self::QuicClosed(StreamCode::ANY),
        Self::QuicPeerError(TransportCode::ANY),
        Self::InvalidQuic,
        Self::QuicReset,
        Self::QuicTimedOut,
        Self::IdleTimeout,
        Self::CloseTimeout,
        Self::MaxLifetime,
        Self::BodyTimeout,
        Self::ResponseTimeout,
        Self::BackpressureLimit,
        Self::OutputLimit,
        Self::ApplicationClosed,
        Self::ApplicationEnded,
        Self::AppClosed,
        Self::ServerShutdown,
    ];

    /// The cause for the failure of a connection whose bytes go through Node, by the name of the system error; the name
    /// is empty if the connection closed without one.
    #[must_use]
    pub(crate) fn of_system_error(name: &str) -> Self {
        match name {
            "" | "ECONNRESET" | "EPIPE" | "ECONNABORTED" => Self::Reset,
            "ETIMEDOUT" => Self::TransportTimedOut,
            "EHOSTUNREACH" | "ENETUNREACH" | "EHOSTDOWN" | "ENETDOWN" => Self::Unreachable,
            _ => Self::TransportFailed,
        }
    }

    /// The cause's position in [`Self::ALL`].
    #[must_use]
    pub fn number(self) -> u8 {
        let is_same = |known: &Self| discriminant(known) == discriminant(&self);
        // There are fewer than 256, and `ALL` lists them all.
        Self::ALL.iter().zip(0..).find_map(|(known, number)| is_same(known).then_some(number)).unwrap_or(0)
    }

    /// How this cause is reported to the application, to the peer and to people.
    #[must_use]
    #[expect(clippy::too_many_lines, reason = "one table, read as one")]
    pub const fn verdict(self) -> Verdict {
        match self {
            Self::PeerClosed => peer("CLOSED_BY_PEER", "Peer closed without a reason"),
            Self::PeerClosedWithoutCode => Verdict {
                local_code: 1005,
                ..peer("CLOSED_BY_PEER_WITHOUT_CODE", "Peer closed without a code")
            },

            Self::ReservedBits => frame(
                "ERR_FRAME_RESERVED_BITS",
                "Received invalid WebSocket frame: RSV bits must be 0 unless an extension was negotiated",
            ),
            Self::MisplacedCompression => frame(
                "ERR_FRAME_MISPLACED_COMPRESSION",
                "Received invalid WebSocket frame: RSV1 must be 0 on control frames and continuations",
            ),
            Self::ReservedOpcode => {
                frame("ERR_FRAME_RESERVED_OPCODE", "Received invalid WebSocket frame: opcode is reserved")
            }
            Self::FragmentedControl => frame(
                "ERR_FRAME_FRAGMENTED_CONTROL",
                "Received invalid WebSocket frame: FIN must be set on control frames",
            ),
            Self::ControlTooLong => frame(
                "ERR_FRAME_CONTROL_TOO_LONG",
                "Received invalid WebSocket frame: control frame payload must not exceed 125 bytes",
            ),
            Self::UnexpectedContinuation => frame(
                "ERR_FRAME_UNEXPECTED_CONTINUATION",
                "Received invalid WebSocket frame: continuation without a message to continue",
            ),
            Self::ExpectedContinuation => frame(
                "ERR_FRAME_EXPECTED_CONTINUATION",
                "Received invalid WebSocket frame: expected a continuation of the fragmented message",
            ),
            Self::UnmaskedFrame => frame(
                "ERR_FRAME_UNMASKED",
                "Received invalid WebSocket frame: MASK must be set on client frames",
            ),
            Self::MaskedFrame => frame(
                "ERR_FRAME_MASKED",
                "Received invalid WebSocket frame: MASK must not be set on server frames",
            ),
            Self::NonMinimalLength => frame(
                "ERR_FRAME_NON_MINIMAL_LENGTH",
                "Received invalid WebSocket frame: payload length must be encoded minimally",
            ),
            Self::LengthOverflow => frame(
                "ERR_FRAME_LENGTH_OVERFLOW",
                "Received invalid WebSocket frame: 64-bit payload length must not exceed 2^63-1",
            ),
            Self::ClosePayloadTruncated => frame(
                "ERR_CLOSE_PAYLOAD_TRUNCATED",
                "Received invalid close payload: one byte cannot hold a status code",
            ),
            Self::CloseCodeInvalid => {
                frame("ERR_CLOSE_CODE", "Received invalid close payload: status code must not be sent")
            }
            Self::CloseReasonNotUtf8 => with_wire_code(
                frame("ERR_CLOSE_REASON_UTF8", "Received invalid close payload: reason must be UTF-8"),
                1007,
            ),
            Self::FrameTooBig => with_wire_code(
                frame(
                    "ERR_FRAME_TOO_BIG",
                    "Received too big message: declared length exceeds maxPayloadLength",
                ),
                1009,
            ),
            Self::MessageTooBig => with_wire_code(
                frame("ERR_MESSAGE_TOO_BIG", "Received too big message: fragments exceed maxPayloadLength"),
                1009,
            ),
            Self::TooManyFragments => with_wire_code(
                frame("ERR_TOO_MANY_FRAGMENTS", "Received too many fragments of one message"),
                1008,
            ),
            Self::InflatedTooBig => with_wire_code(
                frame(
                    "ERR_INFLATED_TOO_BIG",
                    "Received too big message, or other inflation error: inflated length exceeds maxPayloadLength",
                ),
                1009,
            ),
            // RFC 7692 names no code. RFC 6455 §7.4.1: "data within a message that was not consistent with the type
            // of the message".
            Self::InvalidDeflate => with_wire_code(
                frame(
                    "ERR_INVALID_DEFLATE",
                    "Received too big message, or other inflation error: compressed data must be valid",
                ),
                1007,
            ),
            Self::InvalidUtf8 => with_wire_code(
                frame("ERR_INVALID_UTF8", "Received invalid UTF-8: text messages must be UTF-8"),
                1007,
            ),
            Self::InvalidRequestBody => Verdict {
                wire_code: None,
                ..frame("ERR_HTTP_INVALID_BODY", "Received invalid HTTP request body")
            },
            Self::BodyTooLarge => Verdict {
                wire_code: None,
                ..frame("ERR_HTTP_BODY_TOO_LARGE", "HTTP request body exceeds maxBodySize")
            },

            Self::FinWithoutClose => {
                transport("ERR_FIN_WITHOUT_CLOSE", "Received TCP FIN before WebSocket close frame")
            }
            Self::FinBeforeResponse => {
                transport("ERR_FIN_BEFORE_RESPONSE", "Received TCP FIN before the response was complete")
            }
            Self::Reset => transport("ERR_CONNECTION_RESET", "Connection reset by peer"),
            Self::TransportTimedOut => {
                transport("ERR_TRANSPORT_TIMED_OUT", "Connection timed out: peer stopped acknowledging")
            }
            Self::Unreachable => transport("ERR_UNREACHABLE", "Peer became unreachable"),
            Self::TransportFailed => transport("ERR_TRANSPORT", "Transport error"),
            Self::TlsTruncated => transport(
                "ERR_TLS_TRUNCATED",
                "Received TCP FIN before TLS close_notify: the stream was cut off",
            ),
            Self::TlsAlert(alert) => Verdict {
                initiator: Initiator::Peer,
                text: alert.text(),
                ..transport("ERR_TLS_ALERT", "Peer sent a TLS alert")
            },
            Self::TlsInvalid => Verdict {
                initiator: Initiator::Peer,
                ..transport("ERR_TLS_INVALID", "Received invalid TLS record")
            },
            Self::TlsKeysExhausted => with_wire_code(
                local("ERR_TLS_KEYS_EXHAUSTED", "TLS keys are used up: please reconnect"),
                1001,
            ),
            Self::TlsPeerKeysExhausted => Verdict {
                initiator: Initiator::Peer,
                ..transport("ERR_TLS_PEER_KEYS_EXHAUSTED", "Peer closed because its TLS keys are used up")
            },
            Self::StreamReset(code) => Verdict {
                initiator: Initiator::Peer,
                text: code.text(),
                ..transport("ERR_HTTP2_STREAM_RESET", "Peer reset the stream")
            },
            Self::InvalidHttp2 => Verdict {
                initiator: Initiator::Peer,
                ..transport("ERR_HTTP2_INVALID", "Received invalid HTTP/2")
            },
            Self::Http3StreamReset(code) => Verdict {
                initiator: Initiator::Peer,
                text: code.text(),
                ..transport("ERR_HTTP3_STREAM_RESET", "Peer reset the stream")
            },
            Self::InvalidHttp3 => Verdict {
                initiator: Initiator::Peer,
                ..transport("ERR_HTTP3_INVALID", "Received invalid HTTP/3")
            },
            Self::QuicClosed(code) => Verdict {
                initiator: Initiator::Peer,
                text: code.connection_text(),
                ..transport("ERR_QUIC_CLOSED", "Peer closed the QUIC connection")
            },
            Self::QuicPeerError(code) => Verdict {
                initiator: Initiator::Peer,
                text: code.text(),
                ..transport("ERR_QUIC_PEER", "Peer closed the QUIC connection because of a transport error")
            },
            Self::InvalidQuic => Verdict {
                initiator: Initiator::Peer,
                ..transport("ERR_QUIC_INVALID", "Received invalid QUIC")
            },
            Self::QuicReset => {
                transport("ERR_QUIC_RESET", "Peer has lost the QUIC connection: stateless reset")
            }
            Self::QuicTimedOut => {
                transport("ERR_QUIC_IDLE_TIMEOUT", "QUIC connection timed out: nothing arrived from the peer")
            }

            Self::IdleTimeout => {
                with_wire_code(local("ERR_IDLE_TIMEOUT", "WebSocket timed out from inactivity"), 1001)
            }
            Self::CloseTimeout => {
                local("ERR_CLOSE_TIMEOUT", "Closing handshake timed out: peer sent no Close frame")
            }
            Self::MaxLifetime => Verdict {
                local_code: 1000,
                was_clean: true,
                ..with_wire_code(local("CLOSED_MAX_LIFETIME", "please reconnect"), 1000)
            },
            Self::BodyTimeout => local("ERR_HTTP_BODY_TIMEOUT", "HTTP request body timed out"),
            Self::ResponseTimeout => {
                local("ERR_HTTP_RESPONSE_TIMEOUT", "HTTP response timed out: peer stopped reading")
            }

            Self::BackpressureLimit => with_wire_code(
                local("ERR_BACKPRESSURE_LIMIT", "Back-pressure limit exceeded: peer reads too slowly"),
                1008,
            ),
            Self::OutputLimit => {
                local("ERR_OUTPUT_LIMIT", "Output limit of the app exceeded: peer reads too slowly")
            }
            Self::ApplicationClosed => local("CLOSED_BY_APPLICATION", "Application called close()"),
            Self::ApplicationEnded => Verdict {
                was_clean: true,
                local_code: 0,
                ..local("CLOSED_BY_END", "Application called end() without a reason")
            },
            Self::AppClosed => {
                with_wire_code(local("CLOSED_BY_APP_CLOSE", "Application called app.close()"), 1001)
            }
            Self::ServerShutdown => Verdict {
                was_clean: true,
                local_code: 1001,
                ..with_wire_code(local("CLOSED_BY_SHUTDOWN", "Server is shutting down"), 1001)
            },
        }
    }
}

impl Cause for CloseCause {
    fn code(&self) -> &'static str {
        self.verdict().name
    }

    fn text(&self) -> Cow<'static, str> {
        Cow::Borrowed(self.verdict().text)
    }
}

/// The peer sent a valid Close frame, which is echoed (RFC 6455 §5.5.1).
const fn peer(name: &'static str, text: &'static str) -> Verdict {
    Verdict { name, initiator: Initiator::Peer, was_clean: true, local_code: 1006, wire_code: None, text }
}

/// The peer broke a rule of the frame layer: the Close frame sent to it has 1002 (RFC 6455 §7.4.1).
const fn frame(name: &'static str, text: &'static str) -> Verdict {
    Verdict {
        name,
        initiator: Initiator::Peer,
        was_clean: false,
        local_code: 1006,
        wire_code: Some(1002),
        text,
    }
}

/// The transport failed: no Close frame can be sent.
const fn transport(name: &'static str, text: &'static str) -> Verdict {
    Verdict {
        name,
        initiator: Initiator::Transport,
        was_clean: false,
        local_code: 1006,
        wire_code: None,
        text,
    }
}

/// This side decided; no Close frame unless [`with_wire_code`] adds one.
const fn local(name: &'static str, text: &'static str) -> Verdict {
    Verdict { name, initiator: Initiator::Local, was_clean: false, local_code: 1006, wire_code: None, text }
}

/// The same verdict with another status code for the peer.
const fn with_wire_code(verdict: Verdict, wire_code: u16) -> Verdict {
    Verdict { wire_code: Some(wire_code), ..verdict }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn a_number_is_the_position_in_all() {
        for (position, cause) in CloseCause::ALL.into_iter().enumerate() {
            assert_eq!(usize::from(cause.number()), position, "{cause:?}");
        }
    }

    #[test]
    fn errors_of_the_system_are_known_by_their_names() {
        for (name, cause) in [
            ("", CloseCause::Reset),
            ("ECONNRESET", CloseCause::Reset),
            ("ETIMEDOUT", CloseCause::TransportTimedOut),
            ("EHOSTUNREACH", CloseCause::Unreachable),
            ("EPROTO", CloseCause::TransportFailed),
        ] {
            assert_eq!(CloseCause::of_system_error(name), cause, "{name}");
        }
    }

    #[test]
    fn no_cause_is_without_words_and_no_two_share_a_name() {
        let mut names = HashSet::new();
        for cause in CloseCause::ALL {
            let verdict = cause.verdict();
            assert!(!verdict.text.is_empty(), "{cause:?}");
            assert!(verdict.text.len() <= 123, "{cause:?}: the text must fit a Close frame (RFC 6455 §5.5)");
            assert!(verdict.name.starts_with("ERR_") || verdict.name.starts_with("CLOSED_"), "{cause:?}");
            assert!(names.insert(verdict.name), "{} is used twice", verdict.name);
        }
    }

    #[test]
    fn the_fixed_texts_of_uwebsockets_are_kept_to_the_letter() {
        let starts = [
            (CloseCause::CloseCodeInvalid, "Received invalid close payload"),
            (CloseCause::FrameTooBig, "Received too big message"),
            (CloseCause::MessageTooBig, "Received too big message"),
            (CloseCause::InflatedTooBig, "Received too big message, or other inflation error"),
            (CloseCause::InvalidDeflate, "Received too big message, or other inflation error"),
            (CloseCause::InvalidUtf8, "Received invalid UTF-8"),
            (CloseCause::FragmentedControl, "Received invalid WebSocket frame"),
            (CloseCause::IdleTimeout, "WebSocket timed out from inactivity"),
            (CloseCause::FinWithoutClose, "Received TCP FIN before WebSocket close frame"),
            (CloseCause::MaxLifetime, "please reconnect"),
        ];
        for (cause, start) in starts {
            assert!(cause.verdict().text.starts_with(start), "{cause:?}");
        }
    }

    #[test]
    fn only_clean_ends_are_called_closed_and_clean() {
        for cause in CloseCause::ALL {
            let verdict = cause.verdict();
            if verdict.was_clean {
                assert!(verdict.name.starts_with("CLOSED_"), "{cause:?}");
            }
        }
    }
}
