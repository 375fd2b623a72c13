//! A PEM document among the options: its origin and its contents.

use pem::Pem;

use super::error::{OptionError, OptionFault};

/// A PEM document that an option gives, directly or by the path of its file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Source {
    /// The option, and the path if it names a file; for messages.
    pub place: String,
    /// The document.
    pub text: Vec<u8>,
}

impl Source {
    /// Its blocks, in their order. Text between them is a comment (RFC 7468 §2).
    ///
    /// # Errors
    /// A block is malformed. The error has the kind `fault`.
    pub(crate) fn blocks(&self, fault: OptionFault) -> Result<Vec<Pem>, OptionError> {
        let blocks = pem::parse_many(&self.text).map_err(|error| self.error(fault, error.to_string()))?;
        if blocks.is_empty() {
            // Mostly a certificate in DER.
            return Err(self.error(fault, "there is no PEM block in it"));
        }
        Ok(blocks)
    }

    /// A fault of this document.
    #[must_use]
    pub(crate) fn error(&self, fault: OptionFault, text: impl Into<String>) -> OptionError {
        OptionError::new(fault, self.place.clone(), text)
    }
}
