//! What one Node's thread has published for other processes and not handed over yet: gathered for each broker, so that
//! what it publishes in one turn of its loop wakes the broker's thread once.

use super::neighbours::Published;
use super::network::Network;
use super::network::gathered::Gathered;
use crate::bridge::sync::Arc;
use crate::protocol::websocket::MessageKind;

/// See the top of the file.
#[derive(Debug, Default)]
pub(crate) struct Unsent {
    /// Brokers that have messages; an app that has left meanwhile does not take them with it.
    brokers: Vec<(Arc<Network>, Gathered)>,
    /// Memory for the next messages.
    spare: Gathered,
}

impl Unsent {
    /// Adds a message. Much of it is handed over at once. Returns whether there is a connection.
    pub(crate) fn publish(&mut self, network: &Arc<Network>, topic: &[u8], message: Published<'_>) -> bool {
        let Published { kind, payload, compress } = message;
        let place = self.brokers.iter().position(|(it, _)| Arc::ptr_eq(it, network));
        let place = place.unwrap_or_else(|| {
            self.brokers.push((Arc::clone(network), std::mem::take(&mut self.spare)));
            self.brokers.len() - 1
        });
        let gathered = &mut self.brokers[place].1;
        gathered.add(topic, payload, kind == MessageKind::Binary, compress);
        if gathered.is_long() {
            network.send(gathered);
        }
        network.status().is_connected()
    }

    /// Hands everything over.
    pub(crate) fn flush(&mut self) {
        for (network, mut gathered) in self.brokers.drain(..) {
            network.send(&mut gathered);
            self.spare = gathered;
        }
    }
}
