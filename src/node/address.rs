//! An address of a peer in the forms in which JavaScript gets it.

use std::net::SocketAddr;

/// 0 where there is no address.
#[must_use]
pub(crate) fn port(peer: Option<SocketAddr>) -> f64 {
    peer.map_or(0.0, |peer| f64::from(peer.port()))
}

/// 4 or 16 bytes, none on a Unix socket.
#[must_use]
pub(crate) fn bytes(peer: Option<SocketAddr>) -> Vec<u8> {
    match peer {
        Some(SocketAddr::V4(peer)) => peer.ip().octets().to_vec(),
        Some(SocketAddr::V6(peer)) => peer.ip().octets().to_vec(),
        None => Vec::new(),
    }
}

/// Dotted for IPv4; eight zero-padded groups for IPv6, as in uWebSockets.js.
#[must_use]
pub(crate) fn text(peer: Option<SocketAddr>) -> String {
    match peer {
        Some(SocketAddr::V4(peer)) => peer.ip().to_string(),
        Some(SocketAddr::V6(peer)) => peer.ip().segments().map(|group| format!("{group:04x}")).join(":"),
        None => String::new(),
    }
}

/// As people write it: dotted for IPv4, however the socket was opened; with `::` for IPv6 (RFC 5952).
#[must_use]
pub(crate) fn canonical(peer: SocketAddr) -> String {
    peer.ip().to_canonical().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_have_the_form_of_uwebsockets() {
        let peer = Some("[::ffff:127.0.0.1]:80".parse().unwrap());
        assert_eq!(text(peer), "0000:0000:0000:0000:0000:ffff:7f00:0001");
        assert_eq!(bytes(peer).len(), 16);
        let peer = Some("127.0.0.1:80".parse().unwrap());
        assert_eq!(text(peer), "127.0.0.1");
        assert_eq!(bytes(peer), [127, 0, 0, 1]);
        assert_eq!(text(None), "");
    }

    #[test]
    fn people_write_addresses_in_their_shortest_form() {
        for (peer, written) in [
            ("[::ffff:127.0.0.1]:80", "127.0.0.1"),
            ("192.0.2.1:80", "192.0.2.1"),
            ("[::1]:80", "::1"),
            ("[2001:db8:0:0:1:0:0:1]:80", "2001:db8::1:0:0:1"),
        ] {
            assert_eq!(canonical(peer.parse().unwrap()), written);
        }
    }
}
