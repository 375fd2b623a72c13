//! Why TLS options cannot be used: becomes an exception whose message names the option.

use std::borrow::Cow;
use std::fmt;

use crate::protocol::cause::Cause;

/// An option, or its file, that cannot be used. Never depends on what a peer sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct OptionError {
    /// What kind of fault it is.
    pub fault: OptionFault,
    /// The option, and the path of its file if it has one.
    pub place: String,
    /// What is wrong with it.
    pub text: String,
}

/// The kinds of faults, each with the `code` of the exception.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OptionFault {
    /// A file that cannot be read.
    File,
    /// No private key where one is needed, or one that is malformed or of a kind that cannot be used.
    Key,
    /// An encrypted private key without passphrase, or with another one.
    Passphrase,
    /// No certificate where one is needed, or one that is malformed.
    Certificate,
    /// The private key is not that of the certificate.
    KeyMismatch,
    /// No certificate of an authority where one is needed, or one that is malformed.
    Authority,
    /// A list of cipher suites with an unknown name, or without any suite that is available.
    Ciphers,
    /// A file without Diffie-Hellman parameters.
    DhParameters,
}

impl OptionError {
    /// A fault at a place.
    #[must_use]
    pub(crate) fn new(fault: OptionFault, place: impl Into<String>, text: impl Into<String>) -> Self {
        Self { fault, place: place.into(), text: text.into() }
    }
}

impl Cause for OptionError {
    /// The `code` property of the exception.
    fn code(&self) -> &'static str {
        match self.fault {
            OptionFault::File => "ERR_TLS_FILE",
            OptionFault::Key => "ERR_TLS_KEY",
            OptionFault::Passphrase => "ERR_TLS_PASSPHRASE",
            OptionFault::Certificate => "ERR_TLS_CERTIFICATE",
            OptionFault::KeyMismatch => "ERR_TLS_KEY_MISMATCH",
            OptionFault::Authority => "ERR_TLS_CA",
            OptionFault::Ciphers => "ERR_TLS_CIPHERS",
            OptionFault::DhParameters => "ERR_TLS_DH_PARAMS",
        }
    }

    fn text(&self) -> Cow<'static, str> {
        self.to_string().into()
    }
}

impl fmt::Display for OptionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.text)
    }
}

impl std::error::Error for OptionError {}
