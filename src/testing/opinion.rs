//! The result of another parser for a request head, with which our own must agree.

/// Runs another parser on the bytes. It is passed in because `httparse` is a dependency of the tests and of the fuzz
/// targets, not of the crate.
pub type Ask = fn(&[u8]) -> Opinion;

/// Its result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Opinion {
    /// A rule is broken.
    Refused,
    /// Bytes are missing.
    Partial,
    /// A head.
    Head(ParsedHead),
}

/// A head as read by another parser.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParsedHead {
    /// Bytes up to and including the empty line.
    pub len: usize,
    /// The method.
    pub method: Vec<u8>,
    /// The request target.
    pub target: Vec<u8>,
    /// Names in lower case, and values.
    pub fields: Vec<(Vec<u8>, Vec<u8>)>,
}
