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
