//! The other end of a connection.

use std::net::SocketAddr;

/// The known addresses of the other end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Peer {
    /// The other end of the socket; `None` on a Unix socket.
    pub address: Option<SocketAddr>,
    /// The client's address as reported by a trusted proxy; `None` without one.
    pub proxied: Option<SocketAddr>,
}

/// The same in compact form, for storage per connection: as large as one address, because few connections have two.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum KeptPeer {
    /// A Unix socket.
    #[default]
    Unnamed,
    /// No proxy has reported an address.
    Direct(SocketAddr),
    /// Everything else.
    Proxied(Box<Peer>),
}

impl From<Peer> for KeptPeer {
    fn from(peer: Peer) -> Self {
        match peer {
            Peer { address: None, proxied: None } => Self::Unnamed,
            Peer { address: Some(address), proxied: None } => Self::Direct(address),
            Peer { proxied: Some(_), .. } => Self::Proxied(Box::new(peer)),
        }
    }
}

impl KeptPeer {
    /// The addresses in full form.
    #[must_use]
    pub(crate) fn peer(&self) -> Peer {
        match self {
            Self::Unnamed => Peer::default(),
            Self::Direct(address) => Peer { address: Some(*address), proxied: None },
            Self::Proxied(peer) => **peer,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kept_peer_costs_no_more_than_an_address_and_loses_nothing() {
        assert_eq!(size_of::<KeptPeer>(), size_of::<Option<SocketAddr>>());
        let addresses = [None, Some("127.0.0.1:1".parse().unwrap()), Some("[::1]:2".parse().unwrap())];
        for address in addresses {
            for proxied in addresses {
                let peer = Peer { address, proxied };
                assert_eq!(KeptPeer::from(peer).peer(), peer);
            }
        }
    }
}
