//! Version 1 of the header: a line of text (<https://www.haproxy.org/download/3.0/doc/proxy-protocol.txt>, section
//! 2.1).
//!
//! ```text
//!   PROXY TCP4 203.0.113.7 192.0.2.1 51966 443 CRLF
//!   PROXY UNKNOWN … CRLF                              the rest is to be ignored
//! ```

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use super::{ProxyError, ProxyHeader};

/// The first bytes of a line. An HTTP request with a method of this name could not be distinguished from a malformed
/// line; there is no such method.
pub(crate) const SIGNATURE: &[u8] = b"PROXY ";
/// Bytes of the longest line, CRLF included.
pub(crate) const MAX_LINE: usize = 107;

/// Reads a line, which starts with [`SIGNATURE`].
///
/// # Errors
/// A rule that the line breaks, once its end has arrived or the line is too long.
pub(crate) fn read(input: &[u8]) -> Result<ProxyHeader, ProxyError> {
    let window = &input[..input.len().min(MAX_LINE)];
    let Some(end) = memchr::memchr(b'\n', window) else {
        return if input.len() < MAX_LINE { Ok(ProxyHeader::Partial) } else { Err(ProxyError::LineEnd) };
    };
    let line = window[..end].strip_suffix(b"\r").ok_or(ProxyError::LineEnd)?;
    let client = read_client(&line[SIGNATURE.len()..]).ok_or(ProxyError::Line)?;
    Ok(ProxyHeader::Complete { len: end + 1, client })
}

/// Parses the text after the signature: `None` if it is malformed, `Some(None)` if it names no client.
fn read_client(text: &[u8]) -> Option<Option<SocketAddr>> {
    if text == b"UNKNOWN" || text.starts_with(b"UNKNOWN ") {
        return Some(None);
    }
    let mut words = std::str::from_utf8(text).ok()?.split(' ');
    let family = words.next()?;
    let (source, _) = (address(family, words.next()?)?, address(family, words.next()?)?);
    let (port, _) = (port(words.next()?)?, port(words.next()?)?);
    words.next().is_none().then_some(Some(SocketAddr::new(source, port)))
}

fn address(family: &str, text: &str) -> Option<IpAddr> {
    match family {
        "TCP4" => text.parse::<Ipv4Addr>().map(IpAddr::from).ok(),
        "TCP6" => text.parse::<Ipv6Addr>().map(IpAddr::from).ok(),
        _ => None,
    }
}

/// Decimal digits without leading zeros.
fn port(text: &str) -> Option<u16> {
    let is_plain = text.bytes().all(|byte| byte.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
    if is_plain { text.parse().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::proxy::{read_proxy_header, tests};
    use proptest::prelude::*;

    fn verdict(line: &str) -> Result<ProxyHeader, ProxyError> {
        tests::verdict(line.as_bytes())
    }

    #[test]
    fn the_client_address_is_found_at_every_split() {
        let longest = format!("UNKNOWN {}", "x".repeat(MAX_LINE - "PROXY UNKNOWN \r\n".len()));
        for (text, client) in [
            ("TCP4 203.0.113.7 192.0.2.1 51966 443", Some("203.0.113.7:51966")),
            ("TCP4 255.255.255.255 255.255.255.255 65535 65535", Some("255.255.255.255:65535")),
            ("TCP4 0.0.0.0 0.0.0.0 0 0", Some("0.0.0.0:0")),
            ("TCP6 2001:db8::7 ::1 51966 443", Some("[2001:db8::7]:51966")),
            ("TCP6 2001:DB8:0:0:0:0:0:7 ::1 1 2", Some("[2001:db8::7]:1")),
            ("TCP6 ::ffff:203.0.113.7 ::ffff:192.0.2.1 1 2", Some("[::ffff:203.0.113.7]:1")),
            ("UNKNOWN", None),
            ("UNKNOWN TCP4 \0\u{ff} whatever 1", None),
            ("UNKNOWN ffff:f...f:ffff ffff:f...f:ffff 65535 65535", None),
            (&longest, None),
        ] {
            let line = format!("PROXY {text}\r\n");
            let client = client.map(|client| client.parse().unwrap());
            let expected = Ok(ProxyHeader::Complete { len: line.len(), client });
            assert_eq!(verdict(&format!("{line}GET / HTTP/1.1\r\n\r\n")), expected, "{text}");
        }
    }

    #[test]
    fn every_broken_rule_is_found_at_every_split() {
        for text in [
            "",
            " ",
            "TCP4",
            "TCP5 1.1.1.1 2.2.2.2 1 2",
            "tcp4 1.1.1.1 2.2.2.2 1 2",
            "UNKNOWNS",
            "TCP4  1.1.1.1 2.2.2.2 1 2",
            "TCP4 1.1.1.1 2.2.2.2 1 2 ",
            "TCP4 1.1.1.1 2.2.2.2 1",
            "TCP4 1.1.1.1 2.2.2.2 1 2 3",
            "TCP4 1.1.1.01 2.2.2.2 1 2",
            "TCP4 1.1.1.256 2.2.2.2 1 2",
            "TCP4 1.1.1 2.2.2.2 1 2",
            "TCP4 ::1 ::1 1 2",
            "TCP4 1.1.1.1 x 1 2",
            "TCP6 1.1.1.1 2.2.2.2 1 2",
            "TCP6 ::1%eth0 ::1 1 2",
            "TCP6 1::2::3 ::1 1 2",
            "TCP6 12345::1 ::1 1 2",
            "TCP4 1.1.1.1 2.2.2.2 65536 2",
            "TCP4 1.1.1.1 2.2.2.2 1 65536",
            "TCP4 1.1.1.1 2.2.2.2 01 2",
            "TCP4 1.1.1.1 2.2.2.2 00 2",
            "TCP4 1.1.1.1 2.2.2.2 +1 2",
            "TCP4 1.1.1.1 2.2.2.2 -1 2",
            "TCP4 1.1.1.1 2.2.2.2 0x1 2",
            "TCP4\t1.1.1.1 2.2.2.2 1 2",
            "/ HTTP/1.1",
        ] {
            assert_eq!(verdict(&format!("PROXY {text}\r\n")), Err(ProxyError::Line), "{text:?}");
        }
        let too_long = format!("PROXY UNKNOWN {}\r\n", "x".repeat(MAX_LINE - "PROXY UNKNOWN \r".len()));
        for line in ["PROXY UNKNOWN\n", "PROXY TCP4 1.1.1.1 2.2.2.2 1 2\n", "PROXY \n", &too_long] {
            assert_eq!(verdict(line), Err(ProxyError::LineEnd), "{line:?}");
        }
        assert_eq!(verdict(&too_long[..MAX_LINE - 1]), Ok(ProxyHeader::Partial));
    }

    proptest! {
        #[test]
        fn every_client_is_read_as_it_was_written(client: SocketAddr, server: SocketAddr) {
            let (family, server) = match client {
                SocketAddr::V4(_) => ("TCP4", IpAddr::from([192, 0, 2, 1])),
                SocketAddr::V6(_) => ("TCP6", server.ip().to_canonical()),
            };
            let server = match server {
                IpAddr::V4(ip) if client.is_ipv6() => IpAddr::V6(ip.to_ipv6_mapped()),
                server => server,
            };
            let line = format!("PROXY {family} {} {server} {} 443\r\n", client.ip(), client.port());
            let client = SocketAddr::new(client.ip(), client.port());
            prop_assert_eq!(read_proxy_header(line.as_bytes()), Ok(ProxyHeader::Complete { len: line.len(), client: Some(client) }));
        }
    }
}
