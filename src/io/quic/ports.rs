//! The UDP sockets of one worker, and what they share.

use std::io::{self, IoSliceMut};
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use mio::Registry;
use quinn_proto::EcnCodepoint;
use quinn_udp::RecvMeta;

use super::deadlines::Deadlines;
use super::port::Port;
use crate::bridge::id::{AppId, ConnectionId, ListenerId, WorkerId};
use crate::bridge::quic::{Datagram, QuicOrder};
use crate::bridge::setup::AppSetup;
use crate::io::timers::TimerEntry;
use crate::protocol::time::Timestamp;

/// See the top of the file. A worker has it once it has a socket.
#[derive(Debug)]
pub(crate) struct Ports {
    list: Vec<Port>,
    /// Moment 0 of the worker's timestamps.
    start: Instant,
    /// The moment of this pass, more precisely than its timestamp.
    now: Instant,
    deadlines: Deadlines,
    /// What the kernel writes datagrams into.
    received: Vec<u8>,
    /// Datagrams on their way to the kernel.
    pub outgoing: Vec<u8>,
    /// What was read of a stream.
    pub chunks: Vec<Bytes>,
}

impl Ports {
    /// No sockets. `start` is moment 0 of the worker's timestamps.
    #[must_use]
    pub(crate) fn new(start: Instant) -> Self {
        Self {
            list: Vec::new(),
            start,
            now: start,
            deadlines: Deadlines::default(),
            received: Vec::new(),
            outgoing: Vec::new(),
            chunks: Vec::new(),
        }
    }

    /// Starts a pass, so long after [`Self::new`]'s `start`.
    pub(crate) fn start_pass(&mut self, since: Duration) {
        self.now = self.now.max(self.start + since);
    }

    /// The moment of this pass.
    #[must_use]
    pub(crate) const fn now(&self) -> Instant {
        self.now
    }

    /// Takes over a socket.
    ///
    /// # Errors
    /// As [`Port::new`].
    pub(crate) fn add(
        &mut self,
        order: QuicOrder,
        worker: WorkerId,
        setup: Option<&AppSetup>,
        registry: &Registry,
    ) -> io::Result<()> {
        self.list.push(Port::new(order, worker, setup, registry)?);
        Ok(())
    }

    /// The socket of this name.
    pub(crate) fn get_mut(&mut self, listener: ListenerId) -> Option<&mut Port> {
        self.list.iter_mut().find(|port| port.listener == listener)
    }

    /// Whether a socket waits for new connections.
    #[must_use]
    pub(crate) fn are_accepting(&self) -> bool {
        self.list.iter().any(|port| port.share.is_accepting())
    }

    /// Lets the sockets that `matches` selects accept no further connections, and closes those that have none.
    pub(crate) fn stop(&mut self, registry: &Registry, matches: impl Fn(ListenerId, AppId) -> bool) {
        for port in self.list.iter().filter(|port| matches(port.listener, port.app)) {
            port.share.stop();
        }
        self.remove_finished(registry);
    }

    /// Closes the sockets that `matches` selects.
    pub(crate) fn remove(&mut self, registry: &Registry, matches: impl Fn(&Port) -> bool) {
        for mut port in self.list.extract_if(.., |port| matches(port)) {
            port.share.stop();
            port.deregister(registry);
        }
    }

    /// Closes the sockets that are not needed any more.
    pub(crate) fn remove_finished(&mut self, registry: &Registry) {
        self.remove(registry, |port| port.share.is_finished());
    }

    /// Receives from a socket what one call of the kernel returns, and adds it to `datagrams`.
    ///
    /// # Errors
    /// `WouldBlock` if there is nothing; those of the system.
    pub(crate) fn receive(&mut self, listener: ListenerId, datagrams: &mut Vec<Datagram>) -> io::Result<()> {
        let Some(port) = self.list.iter().find(|port| port.listener == listener) else {
            return Err(io::ErrorKind::WouldBlock.into());
        };
        let length = port.receive_length();
        self.received.resize(length * BUFFERS, 0);
        let mut about = [RecvMeta::default(); BUFFERS];
        let mut buffers: Vec<_> = self.received.chunks_mut(length).map(IoSliceMut::new).collect();
        let count = port.receive(&mut buffers, &mut about)?;
        for (buffer, about) in buffers.iter().zip(&about[..count]) {
            let mut bytes = BytesMut::from(&buffer[..about.len]);
            while !bytes.is_empty() {
                let length = bytes.len().min(about.stride.max(1));
                datagrams.push(Datagram {
                    remote: about.addr,
                    local_ip: about.dst_ip,
                    ecn: about.ecn.and_then(|ecn| EcnCodepoint::from_bits(ecn as u8)),
                    bytes: bytes.split_to(length),
                });
            }
        }
        Ok(())
    }

    /// A socket can be written again. Returns the connections that have waited for that.
    pub(crate) fn handle_writable(&mut self, listener: ListenerId) -> Vec<ConnectionId> {
        self.get_mut(listener).map(Port::handle_writable).unwrap_or_default()
    }

    /// Enters a deadline of a connection.
    pub(crate) fn arm(&mut self, id: ConnectionId, at: Instant) {
        self.deadlines.insert(TimerEntry { slot: id.slot, generation: id.generation }, at);
    }

    /// A connection whose deadline has come.
    pub(crate) fn take_due(&mut self) -> Option<TimerEntry> {
        self.deadlines.pop(self.now)
    }

    /// When the next deadline comes.
    #[must_use]
    pub(crate) fn next_deadline(&self) -> Option<Timestamp> {
        self.deadlines.next().map(|next| Timestamp(0) + next.saturating_duration_since(self.start))
    }
}

/// Buffers for one call of the kernel.
const BUFFERS: usize = 8;
