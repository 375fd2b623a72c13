//! Target `proxy_header`: the first bytes of a trusted peer, and where they are cut.

use super::scenario::Scenario;
use crate::protocol::proxy::line::MAX_LINE;
use crate::protocol::proxy::{MAX_LENGTH, ProxyHeader, read_proxy_header};

/// Asserts of the bytes in `data` (the wire of a [`Scenario`], whose steps cut it):
/// - the verdict does not depend on how they are split, and more bytes do not change it;
/// - a header is not longer than the protocol allows, nor than the input;
/// - a line of version 1 that names a client has the canonical form of that address and port.
///
/// # Panics
/// If one of them does not hold.
pub fn proxy_header(data: &[u8]) {
    let scenario = Scenario::of(data);
    let bytes = scenario.wire;
    let whole = read_proxy_header(bytes);
    let mut seen = Vec::new();
    let mut verdict = Ok(ProxyHeader::Partial);
    for piece in scenario.pieces() {
        seen.extend_from_slice(piece);
        if verdict == Ok(ProxyHeader::Partial) {
            verdict = read_proxy_header(&seen);
        }
    }
    assert_eq!(verdict, whole, "{:?}", scenario.steps);
    let Ok(ProxyHeader::Complete { len, client }) = whole else { return };
    assert!(len <= bytes.len() && len <= 16 + MAX_LENGTH);
    assert_eq!(read_proxy_header(&bytes[..len]), whole);
    assert_eq!(read_proxy_header(&bytes[..len - 1]), Ok(ProxyHeader::Partial));
    if bytes.starts_with(b"PROXY ") {
        assert!(len <= MAX_LINE && bytes[..len].ends_with(b"\r\n"));
        if let Some(client) = client {
            let line = std::str::from_utf8(&bytes[..len]).unwrap_or_default();
            let words: Vec<_> = line.trim_end().split(' ').collect();
            assert_eq!(words[2].parse(), Ok(client.ip()));
            assert_eq!(words[4], client.port().to_string());
        }
    }
}
