//! What another parser says of a request head: the second opinion that our own has to agree with.

/// Asks another parser about the bytes. Passed in, because the one there is, `httparse`, is a dependency of the tests
/// and of the fuzz targets, not of the crate.
pub type Ask = fn(&[u8]) -> Opinion;

/// What it says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Opinion {
    /// A rule is broken.
    Refused,
    /// Bytes are missing.
    Partial,
    /// A head.
    Head(Reading),
}

/// A head as read by another parser.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reading {
    /// Bytes up to and including the empty line.
    pub len: usize,
    /// The method.
    pub method: Vec<u8>,
    /// The request target.
    pub target: Vec<u8>,
    /// Names in lower case, and values.
    pub fields: Vec<(Vec<u8>, Vec<u8>)>,
}
