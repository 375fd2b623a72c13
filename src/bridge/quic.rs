//! UDP sockets on which an app speaks HTTP/3, and datagrams on their way from the worker that receives to the one that has
//! their connection.

use std::net::{IpAddr, SocketAddr};

use bytes::BytesMut;
use quinn_proto::EcnCodepoint;
use socket2::Socket;

use super::id::{AppId, ListenerId, WorkerId};
use super::sync::{Arc, AtomicBool, AtomicU64, Ordering};

/// A UDP socket on its way to a worker. Each of those that share its connections gets one, with a descriptor of its own.
#[derive(Debug)]
pub(crate) struct QuicOrder {
    /// Bound, non-blocking.
    pub socket: Socket,
    /// Its name; that of the TCP socket on the same port, if there is one.
    pub listener: ListenerId,
    /// Who listens.
    pub app: AppId,
    /// What its workers have in common.
    pub share: Arc<PortShare>,
}

/// What the workers have in common that share the connections of a UDP socket.
#[derive(Debug)]
pub(crate) struct PortShare {
    /// The workers.
    pub workers: Vec<WorkerId>,
    /// The one of them that receives.
    pub receiver: WorkerId,
    /// Whether there may be new connections.
    is_accepting: AtomicBool,
    /// Connections of all of them.
    open: AtomicU64,
}

// Relaxed: the numbers guard no other data.
impl PortShare {
    /// That of a socket which `receiver` receives from.
    #[must_use]
    pub(crate) fn new(workers: Vec<WorkerId>, receiver: WorkerId) -> Self {
        Self { workers, receiver, is_accepting: AtomicBool::new(true), open: AtomicU64::new(0) }
    }

    /// Whether there may be new connections.
    #[must_use]
    pub(crate) fn is_accepting(&self) -> bool {
        self.is_accepting.load(Ordering::Relaxed)
    }

    /// There are no new connections from now on.
    pub(crate) fn stop(&self) {
        self.is_accepting.store(false, Ordering::Relaxed);
    }

    /// Counts a connection.
    pub(crate) fn note_opened(&self) {
        self.open.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts the end of one. Returns whether it was the last one and there will be no other.
    pub(crate) fn note_closed(&self) -> bool {
        self.open.fetch_sub(1, Ordering::Relaxed) == 1 && !self.is_accepting()
    }

    /// Whether the socket is not needed any more.
    #[must_use]
    pub(crate) fn is_finished(&self) -> bool {
        !self.is_accepting() && self.open.load(Ordering::Relaxed) == 0
    }
}

/// One datagram as it was received.
#[derive(Debug)]
pub(crate) struct Datagram {
    /// Where it comes from.
    pub remote: SocketAddr,
    /// The address of this machine that it was sent to, where the system tells.
    pub local_ip: Option<IpAddr>,
    /// Explicit congestion notification (RFC 3168).
    pub ecn: Option<EcnCodepoint>,
    /// What is in it.
    pub bytes: BytesMut,
}

/// Datagrams for the connections of another worker.
#[derive(Debug)]
pub(crate) struct HandedDatagrams {
    /// The socket that they were received from.
    pub listener: ListenerId,
    /// In their order.
    pub datagrams: Vec<Datagram>,
}
