//! The header of the PROXY protocol: a proxy sends it in front of the client's first byte, with the addresses of the
//! client's connection (<https://www.haproxy.org/download/3.0/doc/proxy-protocol.txt>). Version 1 is a [`line`] of
//! text; this is version 2 (section 2.2):
//!
//! ```text
//!   0               12          13            14       16
//!   ├── signature ──┼ ver │ cmd ┼ fam │ trans ┼ length ┼── addresses ──┬── TLVs, skipped ──┤
//!                                                      └───────────── length ──────────────┘
//! ```
//! A peer that may send a header can claim any address, so it is read from trusted peers only ([`TrustedPeers`]). From
//! other peers it is a malformed request, and the answer says so ([`super::http::error::HttpError::ProxyHeader`]).

pub(crate) mod line;

use std::borrow::Cow;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use ipnet::IpNet;

use super::cause::Cause;
use super::http::error::{encode_refusal, refusal_body};

/// What the first bytes of a connection turned out to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ProxyHeader {
    /// A header or something else: more bytes are needed to decide.
    Partial,
    /// No header: the bytes are the client's own.
    Absent,
    /// A complete header.
    Complete {
        /// Its bytes; the client's own follow.
        len: usize,
        /// The client. `None` for a connection of the proxy's own (`LOCAL`), or without a TCP address.
        client: Option<SocketAddr>,
    },
}

/// A rule that a header broke. The connection ends, because the end of the header is unknown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ProxyError {
    /// §2.2, byte 13: the version is 2.
    #[error("the version must be 2 (PROXY protocol section 2.2)")]
    Version,
    /// §2.2, byte 13: the command is LOCAL or PROXY; receivers must drop others.
    #[error("the command must be LOCAL or PROXY (PROXY protocol section 2.2)")]
    Command,
    /// §2.2, byte 14: family and transport are known ones; receivers must reject others.
    #[error("address family and transport must be known ones (PROXY protocol section 2.2)")]
    Family,
    /// §2.2, bytes 15 and 16: the length covers the addresses of the family.
    #[error("the length must cover the addresses of the family (PROXY protocol section 2.2)")]
    TooShort,
    /// More than [`MAX_LENGTH`] bytes of addresses and TLVs.
    #[error("the header is longer than this server accepts (PROXY protocol section 2.2)")]
    TooLong,
    /// The app requires a header, and the first bytes are none.
    #[error("a header of version 1 or 2 must come first (PROXY protocol section 2)")]
    Missing,
    /// §2.1: the line of version 1 ends with CRLF, and has no more than 107 bytes.
    #[error("the line of version 1 must end with CRLF within 107 bytes (PROXY protocol section 2.1)")]
    LineEnd,
    /// §2.1: the line of version 1 is made of these words, separated by one space.
    #[error(
        "the line of version 1 must be PROXY, TCP4 or TCP6, two addresses of that family and two ports, or PROXY UNKNOWN (PROXY protocol section 2.1)"
    )]
    Line,
}

impl ProxyError {
    /// Every error, in the order of declaration.
    pub(crate) const ALL: [Self; 8] = [
        Self::Version,
        Self::Command,
        Self::Family,
        Self::TooShort,
        Self::TooLong,
        Self::Missing,
        Self::LineEnd,
        Self::Line,
    ];

    /// Appends an answer for an HTTP client that connected without a proxy, or whose proxy broke the rule.
    pub(crate) fn encode_answer(self, date: &[u8; 29], out: &mut Vec<u8>) {
        encode_refusal("400 Bad Request", &refusal_body(&self), date, out);
    }
}

impl Cause for ProxyError {
    fn code(&self) -> &'static str {
        match self {
            Self::Version => "ERR_PROXY_VERSION",
            Self::Command => "ERR_PROXY_COMMAND",
            Self::Family => "ERR_PROXY_FAMILY",
            Self::TooShort => "ERR_PROXY_TOO_SHORT",
            Self::TooLong => "ERR_PROXY_TOO_LONG",
            Self::Missing => "ERR_PROXY_MISSING",
            Self::LineEnd => "ERR_PROXY_LINE_END",
            Self::Line => "ERR_PROXY_LINE",
        }
    }

    fn text(&self) -> Cow<'static, str> {
        self.to_string().into()
    }
}

/// Reads the header from all bytes received on a connection so far.
///
/// # Errors
/// A header that breaks a rule, once its first 16 bytes or its line have arrived.
pub(crate) fn read_proxy_header(input: &[u8]) -> Result<ProxyHeader, ProxyError> {
    if input.starts_with(line::SIGNATURE) {
        return line::read(input);
    }
    if line::SIGNATURE.starts_with(input) {
        return Ok(ProxyHeader::Partial);
    }
    let common = input.len().min(SIGNATURE.len());
    if input[..common] != SIGNATURE[..common] {
        return Ok(ProxyHeader::Absent);
    }
    let Some((fixed, rest)) = input.split_first_chunk::<FIXED>() else { return Ok(ProxyHeader::Partial) };
    let [.., command, family, high, low] = *fixed;
    let length = usize::from(u16::from_be_bytes([high, low]));
    if command >> 4 != 2 {
        return Err(ProxyError::Version);
    }
    if length > MAX_LENGTH {
        return Err(ProxyError::TooLong);
    }
    let addresses = match command & 0xf {
        // A connection of the proxy's own, such as a health check; receivers ignore the addresses.
        LOCAL => Addresses::Other(0),
        PROXY => Addresses::of(family)?,
        _ => return Err(ProxyError::Command),
    };
    if length < addresses.len() {
        return Err(ProxyError::TooShort);
    }
    match rest.get(..length) {
        Some(rest) => Ok(ProxyHeader::Complete { len: FIXED + length, client: addresses.source(rest) }),
        None => Ok(ProxyHeader::Partial),
    }
}

/// What the addresses of a header are.
#[derive(Clone, Copy)]
enum Addresses {
    Tcp4,
    Tcp6,
    /// This many bytes, which are no TCP addresses: unspecified, UDP, Unix sockets. Receivers fall back to the
    /// addresses of the connection itself (section 2.2).
    Other(usize),
}

impl Addresses {
    fn of(family: u8) -> Result<Self, ProxyError> {
        match (family >> 4, family & 0xf) {
            (1, 1) => Ok(Self::Tcp4),
            (2, 1) => Ok(Self::Tcp6),
            (0, 0..=2) => Ok(Self::Other(0)),
            (1, 0 | 2) => Ok(Self::Other(12)),
            (2, 0 | 2) => Ok(Self::Other(36)),
            (3, 0..=2) => Ok(Self::Other(216)),
            _ => Err(ProxyError::Family),
        }
    }

    /// Bytes of both addresses and ports.
    const fn len(self) -> usize {
        match self {
            Self::Tcp4 => 12,
            Self::Tcp6 => 36,
            Self::Other(len) => len,
        }
    }

    /// Source address, destination address, source port, destination port, in network byte order.
    fn source(self, bytes: &[u8]) -> Option<SocketAddr> {
        let (ip, port) = match self {
            Self::Tcp4 => (IpAddr::V4(Ipv4Addr::from(*bytes.first_chunk::<4>()?)), bytes.get(8..10)?),
            Self::Tcp6 => (IpAddr::V6(Ipv6Addr::from(*bytes.first_chunk::<16>()?)), bytes.get(32..34)?),
            Self::Other(_) => return None,
        };
        Some(SocketAddr::new(ip, u16::from_be_bytes(port.try_into().ok()?)))
    }
}

/// Whether a header is required.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Presence {
    /// Trusted peers may also connect without.
    Optional,
    /// A trusted peer without one is refused.
    Required,
}

/// Peers that may send a PROXY header.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct TrustedPeers {
    networks: Vec<IpNet>,
    /// Peers on Unix sockets.
    unix: bool,
}

/// Where a connection comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    /// An address.
    Address(IpAddr),
    /// A Unix socket.
    Unix,
    /// A TCP peer that had disconnected before its address was read.
    Unknown,
}

impl TrustedPeers {
    /// Adds an address (`192.0.2.1`, `::1`), a network in CIDR notation (`10.0.0.0/8`, `fd00::/8`), or `unix`. Returns
    /// whether it is one.
    #[must_use]
    pub(crate) fn add(&mut self, entry: &str) -> bool {
        if entry == "unix" {
            self.unix = true;
            return true;
        }
        let network = entry.parse().or_else(|_| entry.parse::<IpAddr>().map(IpNet::from));
        network.map(|network: IpNet| self.networks.push(network)).is_ok()
    }

    /// Whether the list names this peer. An IPv4 peer of a dual-stack socket is meant by its IPv4 address, too.
    #[must_use]
    pub(crate) fn includes(&self, origin: Origin) -> bool {
        match origin {
            Origin::Address(ip) => {
                let plain = ip.to_canonical();
                self.networks.iter().any(|network| network.contains(&ip) || network.contains(&plain))
            }
            Origin::Unix => self.unix,
            Origin::Unknown => false,
        }
    }
}

/// The authors of the protocol chose bytes that every other protocol refuses.
const SIGNATURE: [u8; 12] = *b"\r\n\r\n\0\r\nQUIT\n";
/// Bytes in front of the addresses.
const FIXED: usize = 16;
/// Addresses take at most 216 bytes; TLVs of proxies and cloud load balancers some hundred more.
pub(crate) const MAX_LENGTH: usize = 4096;
const LOCAL: u8 = 0;
const PROXY: u8 = 1;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::split::same_at_every_split;
    use proptest::prelude::*;

    /// A header of these fields, its length corrected by `surplus` bytes of TLVs.
    fn header(command: u8, family: u8, addresses: &[u8], tlvs: &[u8]) -> Vec<u8> {
        let length = u16::try_from(addresses.len() + tlvs.len()).unwrap().to_be_bytes();
        [&SIGNATURE[..], &[command, family], &length, addresses, tlvs].concat()
    }

    fn tcp4() -> Vec<u8> {
        [&[203, 0, 113, 7][..], &[192, 0, 2, 1], &51_966_u16.to_be_bytes(), &443_u16.to_be_bytes()].concat()
    }

    fn tcp6() -> Vec<u8> {
        let (from, to): (Ipv6Addr, Ipv6Addr) = ("2001:db8::7".parse().unwrap(), "::1".parse().unwrap());
        [&from.octets()[..], &to.octets(), &51_966_u16.to_be_bytes(), &443_u16.to_be_bytes()].concat()
    }

    /// The result for a connection on which these bytes arrive one by one.
    pub(super) fn verdict(bytes: &[u8]) -> Result<ProxyHeader, ProxyError> {
        same_at_every_split(bytes, |pieces| {
            let mut seen = Vec::new();
            let mut verdict = Ok(ProxyHeader::Partial);
            for piece in pieces {
                seen.extend_from_slice(piece);
                if verdict == Ok(ProxyHeader::Partial) {
                    verdict = read_proxy_header(&seen);
                }
            }
            verdict
        })
    }

    #[test]
    fn the_client_address_is_found_at_every_split() {
        let request = b"GET / HTTP/1.1\r\n\r\n";
        for (family, addresses, client) in [
            (0x11, tcp4(), Some("203.0.113.7:51966")),
            (0x21, tcp6(), Some("[2001:db8::7]:51966")),
            (0x00, vec![], None),
            (0x02, vec![], None),
            (0x12, tcp4(), None),
            (0x22, tcp6(), None),
            (0x31, vec![b'x'; 216], None),
            (0x32, vec![0; 216], None),
        ] {
            for tlvs in [&b""[..], b"\x04\0\0", &[0xEE; 700]] {
                let bytes = header(0x21, family, &addresses, tlvs);
                let expected = ProxyHeader::Complete {
                    len: bytes.len(),
                    client: client.map(|client| client.parse().unwrap()),
                };
                assert_eq!(verdict(&[&bytes[..], request].concat()), Ok(expected), "family {family:#x}");
            }
        }
    }

    #[test]
    fn a_local_connection_speaks_for_itself_whatever_else_it_says() {
        for (family, addresses) in [(0x00, vec![]), (0x11, tcp4()), (0xff, vec![1, 2, 3])] {
            let bytes = header(0x20, family, &addresses, b"");
            assert_eq!(verdict(&bytes), Ok(ProxyHeader::Complete { len: bytes.len(), client: None }));
        }
    }

    #[test]
    fn every_broken_rule_is_found_at_every_split() {
        let long = vec![0; MAX_LENGTH + 1];
        for (bytes, error) in [
            (header(0x11, 0x11, &tcp4(), b""), ProxyError::Version),
            (header(0x31, 0x11, &tcp4(), b""), ProxyError::Version),
            (header(0x22, 0x11, &tcp4(), b""), ProxyError::Command),
            (header(0x2f, 0x11, &tcp4(), b""), ProxyError::Command),
            (header(0x21, 0x41, &tcp4(), b""), ProxyError::Family),
            (header(0x21, 0x13, &tcp4(), b""), ProxyError::Family),
            (header(0x21, 0x11, &tcp4()[..11], b""), ProxyError::TooShort),
            (header(0x21, 0x21, &tcp6()[..35], b""), ProxyError::TooShort),
            (header(0x21, 0x31, &[0; 215], b""), ProxyError::TooShort),
            (header(0x21, 0x11, &long, b""), ProxyError::TooLong),
            (header(0x20, 0x00, &long, b""), ProxyError::TooLong),
        ] {
            let shown = &bytes[..bytes.len().min(40)];
            assert_eq!(verdict(shown), Err(error), "{shown:?}");
            assert!(error.code().starts_with("ERR_PROXY_"));
        }
        assert!(read_proxy_header(&header(0x21, 0x11, &[0; MAX_LENGTH], b"")).is_ok());
    }

    #[test]
    fn what_is_no_header_is_the_clients_own() {
        for bytes in [
            "GET / HTTP/1.1\r\n",
            "\r\nGET /",
            "\r\n\r\nGET /",
            "PROXYS / HTTP/1.1\r\n",
            "PROPFIND /",
            "POST /",
        ] {
            assert_eq!(verdict(bytes.as_bytes()), Ok(ProxyHeader::Absent), "{bytes:?}");
        }
        assert_eq!(verdict(b"\r\n\r\n\0\r\nQUIT"), Ok(ProxyHeader::Partial));
        assert_eq!(verdict(b""), Ok(ProxyHeader::Partial));
    }

    #[test]
    fn trust_is_by_address_network_and_kind_of_socket() {
        let mut trust = TrustedPeers::default();
        for entry in ["10.0.0.0/8", "::1", "fd00::/8", "192.0.2.1"] {
            assert!(trust.add(entry), "{entry}");
        }
        let includes = |ip: &str| trust.includes(Origin::Address(ip.parse().unwrap()));
        for ip in ["10.1.2.3", "::ffff:10.1.2.3", "::1", "fdff::1", "192.0.2.1", "::ffff:192.0.2.1"] {
            assert!(includes(ip), "{ip}");
        }
        for ip in ["11.0.0.1", "::ffff:11.0.0.1", "::2", "fe00::1", "192.0.2.2", "127.0.0.1"] {
            assert!(!includes(ip), "{ip}");
        }
        assert!(!trust.includes(Origin::Unix));
        assert!(!trust.includes(Origin::Unknown));
        assert!(trust.add("unix"));
        assert!(trust.includes(Origin::Unix));
        assert!(!trust.includes(Origin::Unknown));
    }

    #[test]
    fn what_names_nobody_is_refused() {
        for entry in
            ["", "10.0.0.0/33", "10.0.0", "::1/129", "localhost", "*", "10.0.0.0/", "UNIX", " ::1", "0x7f.1"]
        {
            assert!(!TrustedPeers::default().add(entry), "{entry:?}");
        }
    }

    proptest! {
        /// More bytes never change the result once a header is accepted or refused.
        #[test]
        fn what_was_found_stays(mut bytes in prop::collection::vec(any::<u8>(), 0..64), more in prop::collection::vec(any::<u8>(), 0..64), signature in 0..4_usize) {
            let signature = [&b""[..], &SIGNATURE, b"PROXY TCP4 1.1.1.1 ", b"PROXY UNKNOWN "][signature];
            bytes.splice(0..0, signature.iter().copied());
            let found = read_proxy_header(&bytes);
            bytes.extend_from_slice(&more);
            if found != Ok(ProxyHeader::Partial) {
                prop_assert_eq!(read_proxy_header(&bytes), found);
            }
            if let Ok(ProxyHeader::Complete { len, .. }) = found {
                prop_assert!((line::SIGNATURE.len()..=FIXED + MAX_LENGTH).contains(&len));
            }
        }
    }
}
