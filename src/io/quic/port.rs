//! One UDP socket as one worker has it, and the endpoint of QUIC on it.

use std::collections::VecDeque;
use std::io::{self, IoSliceMut};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Instant;

use mio::net::UdpSocket;
use mio::{Interest, Registry};
use quinn_proto::{ConnectionHandle, DatagramEvent, Endpoint, ServerConfig, Transmit};
use quinn_udp::{RecvMeta, UdpSocketState};

use super::config::{ServerConfigs, endpoint_config};
use super::connection_ids::{ConnectionIds, destination};
use crate::bridge::id::{AppId, ConnectionId, ListenerId, WorkerId};
use crate::bridge::quic::{Datagram, PortShare, QuicOrder};
use crate::bridge::setup::AppSetup;
use crate::io::ready::Token;

/// See the top of the file.
#[derive(Debug)]
pub(crate) struct Port {
    /// Its name.
    pub listener: ListenerId,
    /// The app that listens.
    pub app: AppId,
    /// What it has in common with the same port of other workers.
    pub share: Arc<PortShare>,
    /// The rules of QUIC: which connection a datagram is for.
    pub endpoint: Endpoint,
    configs: ServerConfigs,
    worker: WorkerId,
    socket: UdpSocket,
    state: UdpSocketState,
    ids: ConnectionIdsOf,
    /// Slot and generation of each connection, by the number that the endpoint gives it.
    places: Vec<Option<(u32, u32)>>,
    /// Datagrams that the kernel did not take.
    unsent: VecDeque<(Transmit, Vec<u8>)>,
    /// Connections that have more, and wait until it does.
    waiting: Vec<ConnectionId>,
}

/// [`ConnectionIds`], whose key is not shown.
struct ConnectionIdsOf(ConnectionIds);

impl std::fmt::Debug for ConnectionIdsOf {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("ConnectionIds")
    }
}

impl Port {
    /// Takes over a bound socket of an app with this setup, and registers it with the selector of `registry`.
    ///
    /// # Errors
    /// The system can watch no more sockets; the app does not speak HTTP/3 ([`io::ErrorKind::Unsupported`]).
    pub(super) fn new(
        order: QuicOrder,
        worker: WorkerId,
        setup: Option<&AppSetup>,
        registry: &Registry,
    ) -> io::Result<Self> {
        let QuicOrder { socket, listener, app, share } = order;
        let configured = setup.and_then(|setup| {
            let (tls, http3) = (setup.tls.as_ref()?, setup.http3.as_ref()?);
            Some((tls.quic.as_ref()?, ServerConfigs::new(tls, http3)?))
        });
        let (keys, configs) = configured.ok_or(io::ErrorKind::Unsupported)?;
        let ids = ConnectionIdsOf(ConnectionIds::new(keys.ids, worker));
        let mut socket = UdpSocket::from_std(socket.into());
        let state = UdpSocketState::new((&socket).into())?;
        let allows_discovery = !state.may_fragment();
        let endpoint = endpoint_config(keys, worker);
        let config = Some(Arc::clone(&configs.remote));
        let endpoint = Endpoint::new(Arc::new(endpoint), config, allows_discovery, None);
        let interest = if share.receiver == worker {
            Interest::READABLE | Interest::WRITABLE
        } else {
            Interest::WRITABLE
        };
        registry.register(&mut socket, Token::Listener(listener).encode(), interest)?;
        if share.receiver == worker
            && let Ok(address) = socket.local_addr()
        {
            tracing::info!(%address, "listening for QUIC");
        }
        Ok(Self {
            listener,
            app,
            share,
            endpoint,
            configs,
            worker,
            socket,
            state,
            ids,
            places: Vec::new(),
            unsent: VecDeque::new(),
            waiting: Vec::new(),
        })
    }

    /// Deregisters the socket before it is closed: closing it is not enough, as other descriptors may refer to it.
    pub(super) fn deregister(&mut self, registry: &Registry) {
        // Fails only if it is not registered.
        let _ = registry.deregister(&mut self.socket);
    }

    /// Bytes of a buffer into which one call of the kernel may write.
    pub(super) fn receive_length(&self) -> usize {
        if self.state.gro_segments() > 1 { LONGEST_BATCH } else { LONGEST_DATAGRAM }
    }

    /// Receives what waits, as far as there are buffers. Returns the number of those that are filled.
    ///
    /// # Errors
    /// `WouldBlock` if there is nothing.
    pub(super) fn receive(
        &self,
        buffers: &mut [IoSliceMut<'_>],
        about: &mut [RecvMeta],
    ) -> io::Result<usize> {
        self.state.recv((&self.socket).into(), buffers, about)
    }

    /// Sends datagrams, or keeps them if the kernel does not take them now. Errors of the network are ignored: QUIC sends
    /// again what is not acknowledged. Returns whether more may be sent.
    pub(crate) fn send(&mut self, transmit: Transmit, contents: &[u8]) -> bool {
        if self.unsent.is_empty() && self.try_send(&transmit, contents) {
            return true;
        }
        self.unsent.push_back((transmit, contents.to_vec()));
        false
    }

    /// Sends the answer to a datagram for which there is no connection. It is dropped if the kernel does not take it.
    pub(crate) fn answer(&mut self, transmit: &Transmit, contents: &[u8]) {
        if self.unsent.is_empty() {
            self.try_send(transmit, contents);
        }
    }

    fn try_send(&self, transmit: &Transmit, contents: &[u8]) -> bool {
        let ecn = transmit.ecn.map(|ecn| ecn as u8).and_then(quinn_udp::EcnCodepoint::from_bits);
        let transmit = quinn_udp::Transmit {
            destination: transmit.destination,
            ecn,
            contents: &contents[..transmit.size],
            segment_size: transmit.segment_size,
            src_ip: transmit.src_ip,
        };
        self.state.send((&self.socket).into(), &transmit).is_ok()
    }

    /// Whether the kernel takes nothing now.
    #[must_use]
    pub(crate) fn is_blocked(&self) -> bool {
        !self.unsent.is_empty()
    }

    /// A connection has more to send.
    pub(crate) fn await_writable(&mut self, connection: ConnectionId) {
        self.waiting.push(connection);
    }

    /// The kernel takes datagrams again. Returns the connections that have waited for that.
    pub(super) fn handle_writable(&mut self) -> Vec<ConnectionId> {
        while let Some((transmit, contents)) = self.unsent.front() {
            if !self.try_send(transmit, contents) {
                return Vec::new();
            }
            self.unsent.pop_front();
        }
        std::mem::take(&mut self.waiting)
    }

    /// How many datagrams of so many bytes the kernel takes in one call.
    #[must_use]
    pub(crate) fn batch(&self, length: u16) -> usize {
        // Beyond that the call fails, and nothing is sent.
        let most = MOST_PER_CALL / usize::from(length.max(1));
        self.state.max_gso_segments().min(most).max(1)
    }

    /// The worker that a datagram is for: the one that its connection id names, or one of `preferred` for a new connection.
    /// Those of the same client go to the same one.
    #[must_use]
    pub(crate) fn worker_for(&self, datagram: &[u8], preferred: &[WorkerId]) -> WorkerId {
        if self.share.workers.len() < 2 {
            return self.worker;
        }
        let Some(id) = destination(datagram) else { return self.worker };
        let named = self.ids.0.worker_of(id).filter(|worker| self.share.workers.contains(worker));
        named.unwrap_or_else(|| {
            // The client has chosen it at random.
            let sum = id.iter().fold(0_usize, |sum, byte| sum.wrapping_mul(31).wrapping_add((*byte).into()));
            preferred.get(sum % preferred.len().max(1)).copied().unwrap_or(self.worker)
        })
    }

    /// Asks the endpoint what a datagram is for. An answer to it is appended to `answer`.
    pub(crate) fn handle(
        &mut self,
        datagram: Datagram,
        now: Instant,
        answer: &mut Vec<u8>,
    ) -> Option<DatagramEvent> {
        let Datagram { remote, local_ip, ecn, bytes } = datagram;
        self.endpoint.handle(now, remote, local_ip, ecn, bytes, answer)
    }

    /// The configuration of a connection from this address.
    #[must_use]
    pub(crate) fn config_for(&self, client: IpAddr) -> Arc<ServerConfig> {
        self.configs.of(client)
    }

    /// Slot and generation of a connection.
    #[must_use]
    pub(crate) fn place(&self, handle: ConnectionHandle) -> Option<(u32, u32)> {
        self.places.get(handle.0).copied().flatten()
    }

    /// Notes where a connection is.
    pub(crate) fn set_place(&mut self, handle: ConnectionHandle, place: Option<(u32, u32)>) {
        if self.places.len() <= handle.0 {
            self.places.resize(handle.0 + 1, None);
        }
        self.places[handle.0] = place;
    }
}

impl Drop for Port {
    fn drop(&mut self) {
        if self.share.receiver == self.worker
            && let Ok(address) = self.socket.local_addr()
        {
            tracing::info!(%address, "stopped listening for QUIC");
        }
    }
}

/// Bytes of a datagram, at most: no network that browsers know lets longer ones through.
const LONGEST_DATAGRAM: usize = 1500;
/// Bytes of the datagrams that the kernel returns as one.
const LONGEST_BATCH: usize = 64 * 1024;
/// Bytes that are sent in one call, at most: the payload of the longest datagram of IPv4, which the kernel cuts into those
/// that leave.
const MOST_PER_CALL: usize = 65_507;
