//! Rules for the fields of a message that a client can break, in HTTP/2 (RFC 9113 §8.1.1) as in HTTP/3 (RFC 9114 §4.1.2).
//! Each protocol has an error of its own for each of them, which cites its RFC.

/// What makes a request malformed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::protocol) enum Malformed {
    /// A pseudo-header field that requests do not have.
    UnknownPseudoField,
    /// A pseudo-header field that is missing, or must not be there.
    PseudoFields,
    /// A pseudo-header field behind another field, or in trailers.
    MisplacedPseudoField,
    /// A name that is no token, or has capitals.
    FieldName,
    /// A value with control bytes, or with whitespace around it.
    FieldValue,
    /// Connection, Keep-Alive, Proxy-Connection, Transfer-Encoding, Upgrade, or TE.
    ConnectionField,
    /// A method that is no token.
    Method,
    /// A path that is not that of an origin-form target, nor `*` of OPTIONS.
    Path,
    /// Authority or Host is missing or invalid, or the two differ.
    Authority,
    /// A Content-Length that is not one number.
    ContentLength,
    /// A body that is not as long as Content-Length says.
    ContentLengthMismatch,
    /// An extended CONNECT with a protocol other than WebSocket.
    Protocol,
}
