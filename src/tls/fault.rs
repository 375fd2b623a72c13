//! Errors of TLS handshakes and connections.

use std::borrow::Cow;
use std::io;

use rustls::{AlertDescription, CertificateError};
use thiserror::Error;

use crate::protocol::cause::{Alert, Cause, CloseCause};
use crate::protocol::http::error::encode_refusal;

/// Why a TLS connection, or the handshake for one, is over.
#[derive(Clone, Debug, Error, PartialEq)]
pub enum TlsFault {
    /// The stream ended before the peer had sent a byte: a port scan, a health check, or a connection opened in
    /// advance.
    #[error("the peer has left without a word")]
    Silent,
    /// The stream ended in the middle of the handshake.
    #[error("the peer has left in the middle of the handshake")]
    Abandoned,
    /// The stream ended without `close_notify`: data may be missing at its end (RFC 8446 §6.1).
    #[error("the stream was cut off")]
    Truncated,
    /// The peer sent an error alert (RFC 8446 §6.2).
    #[error("the peer sent the alert {0:?}")]
    Alert(AlertDescription),
    /// This side may not encrypt any more records with its keys: see [`key_usage`](super::key_usage).
    #[error("the keys of this side are used up")]
    KeysExhausted,
    /// The first bytes are a request of HTTP.
    #[error("the peer speaks HTTP without TLS")]
    PlainHttp,
    /// The first bytes are a header of the PROXY protocol, from a peer that is not trusted to send one.
    #[error(
        "the peer sent a header of the PROXY protocol, and the option proxyProtocol.trust does not name it"
    )]
    ProxyHeader,
    /// The first bytes are of another protocol.
    #[error("the peer does not speak TLS")]
    NotTls,
    /// The peer broke a rule of TLS, requires a feature that this side does not support, or a record was tampered with.
    #[error("{}", words(.0))]
    Invalid(rustls::Error),
}

impl From<rustls::Error> for TlsFault {
    fn from(error: rustls::Error) -> Self {
        match error {
            rustls::Error::AlertReceived(alert) => Self::Alert(alert),
            error => Self::Invalid(error),
        }
    }
}

impl From<TlsFault> for io::Error {
    fn from(fault: TlsFault) -> Self {
        Self::other(fault)
    }
}

impl TlsFault {
    /// The TLS fault in an error of a transport, if there is one.
    #[must_use]
    pub fn of(error: &io::Error) -> Option<&Self> {
        error.get_ref()?.downcast_ref()
    }

    /// The cause that is reported to the application for an open connection.
    #[must_use]
    pub fn cause(&self) -> CloseCause {
        match self {
            Self::Silent | Self::Abandoned | Self::Truncated => CloseCause::TlsTruncated,
            Self::Alert(alert) => CloseCause::TlsAlert(Alert(u8::from(*alert))),
            Self::KeysExhausted => CloseCause::TlsKeysExhausted,
            Self::PlainHttp | Self::ProxyHeader | Self::NotTls | Self::Invalid(_) => CloseCause::TlsInvalid,
        }
    }
}

impl Cause for TlsFault {
    /// The code for a handshake that failed with this fault. An open connection closes for [`Self::cause`].
    fn code(&self) -> &'static str {
        match self {
            Self::Silent => "CLOSED_WITHOUT_REQUEST",
            Self::Abandoned | Self::Truncated => "ERR_TLS_TRUNCATED",
            Self::Alert(_) => "ERR_TLS_ALERT",
            Self::PlainHttp => "ERR_TLS_PLAIN_HTTP",
            Self::ProxyHeader | Self::NotTls => "ERR_TLS_NOT_TLS",
            Self::KeysExhausted | Self::Invalid(_) => "ERR_TLS_HANDSHAKE",
        }
    }

    fn text(&self) -> Cow<'static, str> {
        self.to_string().into()
    }
}

/// The message of rustls; a sentence of our own for errors for which rustls has only a name.
#[must_use]
pub(crate) fn words(error: &rustls::Error) -> String {
    let named = match error {
        rustls::Error::InvalidCertificate(CertificateError::Other(other)) => other.0.to_string(),
        other => return other.to_string(),
    };
    let rule = match named.as_str() {
        "UnsupportedCertVersion" => {
            "it has version 1 of X.509, in which there is no subjectAltName that could say for whom it is \
             (UnsupportedCertVersion)"
        }
        "UnsupportedCriticalExtension" => {
            "it has a critical extension that nobody here knows (UnsupportedCriticalExtension)"
        }
        "CaUsedAsEndEntity" => "it is the certificate of an authority, CA:TRUE (CaUsedAsEndEntity)",
        other => other,
    };
    format!("invalid peer certificate: {rule}")
}

/// Appends the response for a client that sends plaintext HTTP to a TLS port.
pub(crate) fn encode_plain_http_answer(date: &[u8; 29], out: &mut Vec<u8>) {
    let text = "ERR_TLS_PLAIN_HTTP: this port speaks HTTP over TLS only; use https:// or wss://\n";
    encode_refusal("400 Bad Request", text, date, out);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_survives_the_way_through_an_io_error() {
        let error: io::Error = TlsFault::Alert(AlertDescription::BadRecordMac).into();
        let fault = TlsFault::of(&error).unwrap();
        assert_eq!(fault.cause(), CloseCause::TlsAlert(Alert(20)));
        assert_eq!(fault.cause().verdict().text, "Peer sent a TLS alert: bad_record_mac (20)");
        assert_eq!(TlsFault::of(&io::ErrorKind::ConnectionReset.into()), None);
    }
}
