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
}
