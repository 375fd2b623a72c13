//! The other end of a connection.

use std::net::{SocketAddr, SocketAddrV4, SocketAddrV6};

/// The known addresses of the other end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Peer {
    /// The other end of the socket; `None` on a Unix socket.
    pub address: Option<SocketAddr>,
    /// The client's address as reported by a trusted proxy; `None` without one.
    pub proxied: Option<SocketAddr>,
}

/// An address in compact form, for storage per connection.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum KeptAddress {
    /// There is none.
    #[default]
    None,
    /// IPv4.
    V4(SocketAddrV4),
    /// IPv6, whose addresses are longer.
    V6(Box<SocketAddrV6>),
}

impl From<Option<SocketAddr>> for KeptAddress {
    fn from(address: Option<SocketAddr>) -> Self {
        match address {
            None => Self::None,
            Some(SocketAddr::V4(address)) => Self::V4(address),
            Some(SocketAddr::V6(address)) => Self::V6(Box::new(address)),
        }
    }
}

impl KeptAddress {
    /// The address in full form.
    #[must_use]
    pub(crate) fn address(&self) -> Option<SocketAddr> {
        match self {
            Self::None => None,
            Self::V4(address) => Some(SocketAddr::V4(*address)),
            Self::V6(address) => Some(SocketAddr::V6(**address)),
        }
    }
}

/// A peer in compact form: as large as one address, because few connections have two.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum KeptPeer {
    /// No proxy has reported an address.
    Direct(KeptAddress),
    /// Everything else.
    Proxied(Box<Peer>),
}

impl From<Peer> for KeptPeer {
    fn from(peer: Peer) -> Self {
        match peer {
            Peer { address, proxied: None } => Self::Direct(address.into()),
            Peer { proxied: Some(_), .. } => Self::Proxied(Box::new(peer)),
        }
    }
}

impl KeptPeer {
    /// The addresses in full form.
    #[must_use]
    pub(crate) fn peer(&self) -> Peer {
        match self {
            Self::Direct(address) => Peer { address: address.address(), proxied: None },
            Self::Proxied(peer) => **peer,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kept_peer_costs_no_more_than_an_address_and_loses_nothing() {
        assert!(size_of::<KeptPeer>() <= 16, "{}", size_of::<KeptPeer>());
        let addresses = [None, Some("127.0.0.1:1".parse().unwrap()), Some("[::1]:2".parse().unwrap())];
        for address in addresses {
            for proxied in addresses {
                let peer = Peer { address, proxied };
                assert_eq!(KeptPeer::from(peer).peer(), peer);
            }
        }
    }
}
