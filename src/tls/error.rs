//! Why TLS options cannot be used: becomes an exception whose message names the option.

use std::fmt;

/// An option, or its file, that cannot be used. Never depends on what a peer sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OptionError {
    /// What kind of fault it is.
    pub fault: OptionFault,
    /// Where it lies: the option, and the path of its file if it has one.
    pub place: String,
    /// What is wrong there.
    pub text: String,
}

/// The kinds of faults, each with the `code` of the exception.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OptionFault {
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

impl OptionFault {
    /// The `code` property of the exception.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::File => "ERR_TLS_FILE",
            Self::Key => "ERR_TLS_KEY",
            Self::Passphrase => "ERR_TLS_PASSPHRASE",
            Self::Certificate => "ERR_TLS_CERTIFICATE",
            Self::KeyMismatch => "ERR_TLS_KEY_MISMATCH",
            Self::Authority => "ERR_TLS_CA",
            Self::Ciphers => "ERR_TLS_CIPHERS",
            Self::DhParameters => "ERR_TLS_DH_PARAMS",
        }
    }
}

impl OptionError {
    /// A fault at a place.
    #[must_use]
    pub fn new(fault: OptionFault, place: impl Into<String>, text: impl Into<String>) -> Self {
        Self { fault, place: place.into(), text: text.into() }
    }
}

impl fmt::Display for OptionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.text)
    }
}

impl std::error::Error for OptionError {}
