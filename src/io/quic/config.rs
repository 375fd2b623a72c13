//! The configuration of endpoints and connections of QUIC.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use quinn_proto::{EndpointConfig, IdleTimeout, MtuDiscoveryConfig, ServerConfig, TransportConfig, VarInt};

use super::congestion::Congestions;
use super::connection_ids::ConnectionIds;
use crate::bridge::id::WorkerId;
use crate::bridge::setup::Http3Setup;
use crate::tls::quic::QuicTls;
use crate::tls::quic_keys::QuicKeys;
use crate::tls::setup::TlsSetup;

/// The configuration of an endpoint of `worker`.
#[must_use]
pub(super) fn endpoint_config(keys: &QuicKeys, worker: WorkerId) -> EndpointConfig {
    let ids = ConnectionIds::new(keys.ids, worker);
    let mut config = EndpointConfig::new(Arc::clone(&keys.reset));
    config.cid_generator(move || Box::new(ids.clone())).supported_versions(vec![VERSION_1]);
    config
}

/// The configurations of the connections of an app, by where the client is.
#[derive(Debug)]
pub(super) struct ServerConfigs {
    /// On a network.
    pub remote: Arc<ServerConfig>,
    /// On this machine.
    local: Arc<ServerConfig>,
}

impl ServerConfigs {
    /// Those of an app; `None` if it does not speak HTTP/3.
    #[must_use]
    pub(super) fn new(tls: &Arc<TlsSetup>, setup: &Http3Setup) -> Option<Self> {
        let keys = tls.quic.as_ref()?;
        let crypto = QuicTls::new(Arc::clone(tls))?;
        let mut remote = ServerConfig::new(Arc::new(crypto), Arc::clone(&keys.token));
        remote.transport_config(Arc::new(transport_config(setup))).migration(setup.migration);
        let mut discovery = MtuDiscoveryConfig::default();
        discovery.upper_bound(LONGEST_LOCAL_DATAGRAM);
        let mut transport = transport_config(setup);
        transport.mtu_discovery_config(Some(discovery));
        transport.congestion_controller_factory(Arc::new(Congestions::starting_at(LOCAL_WINDOW)));
        let mut local = remote.clone();
        local.transport_config(Arc::new(transport));
        Some(Self { remote: Arc::new(remote), local: Arc::new(local) })
    }

    /// The one for a client at this address.
    #[must_use]
    pub(super) fn of(&self, client: IpAddr) -> Arc<ServerConfig> {
        Arc::clone(if client.to_canonical().is_loopback() { &self.local } else { &self.remote })
    }
}

fn transport_config(setup: &Http3Setup) -> TransportConfig {
    let limits = &setup.limits;
    let mut config = TransportConfig::default();
    // A stream whose body waits for its handler must not take the room of the others.
    let all = u64::from(limits.max_concurrent_streams) * u64::from(limits.stream_window);
    let window = all.max(limits.connection_window.into()) + u64::from(UNIDIRECTIONAL) * CRITICAL_WINDOW;
    config
        .max_concurrent_bidi_streams(limits.max_concurrent_streams.into())
        .max_concurrent_uni_streams(UNIDIRECTIONAL.into())
        .stream_receive_window(limits.stream_window.into())
        .receive_window(VarInt::from_u64(window).unwrap_or(VarInt::MAX))
        .send_window(SEND_WINDOW)
        .congestion_controller_factory(Arc::new(Congestions::default()))
        // No datagrams of the application (RFC 9221).
        .datagram_receive_buffer_size(None)
        .max_idle_timeout(setup.idle_timeout.and_then(|timeout| IdleTimeout::try_from(timeout).ok()))
        // A handler may take longer than the client may be silent.
        .keep_alive_interval(setup.idle_timeout.map(|timeout| (timeout / 3).max(SHORTEST_INTERVAL)));
    config
}

/// Bytes of a datagram to a client on this machine, at most, if it takes as long ones: a sixth of the packets. Longer ones
/// would save little more, and a burst of them does not fit the buffer of a socket. To networks there are at most 1,452, the
/// default, which every Ethernet lets through: a search beyond that would lose its probes on nearly all paths.
const LONGEST_LOCAL_DATAGRAM: u16 = 8_952;
/// Bytes that may be under way to such a client at first: several of these datagrams, so that one that tries out their length
/// does not hold back the others (RFC 9002 §7.2).
const LOCAL_WINDOW: u64 = 4 * LONGEST_LOCAL_DATAGRAM as u64;
/// The version of QUIC that is spoken: HTTP/3 has been defined over no other.
const VERSION_1: u32 = 1;
/// Unidirectional streams that a client may open: control, encoder, decoder, and some of types that are ignored (RFC 9114
/// §6.2).
const UNIDIRECTIONAL: u32 = 8;
/// Bytes of each that are counted for the window of the connection.
const CRITICAL_WINDOW: u64 = 16 * 1024;
/// Bytes of all streams of a connection that were not acknowledged, at most. A client 40 ms away gets 100 MB per second.
const SEND_WINDOW: u64 = 4 * 1024 * 1024;
/// Keep-alives are not sent more often.
const SHORTEST_INTERVAL: Duration = Duration::from_millis(100);
