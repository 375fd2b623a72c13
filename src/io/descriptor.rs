//! Registry of the apps of the process that can be handed connections, by [`Descriptor`]. They belong to other
//! environments (`worker_threads`), and may be closed while a connection is on its way.
//!
//! ```text
//!   acceptor's worker ── accept ──► Children: whose turn? ──► this registry: where is that? ──► downlink of a worker there
//! ```
//! An app leaves the registry before its connections are closed. Connections are handed over under the registry's lock,
//! so those handed over before are closed with the rest, and later ones go to the next child.

use std::collections::HashMap;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock, PoisonError, RwLock};

use socket2::Socket;

use super::peers::Peers;
use crate::bridge::children::Children;
use crate::bridge::command::{Adoption, Command};
use crate::bridge::id::{AppId, Descriptor, WorkerId};

/// Where the connections of an app go.
#[derive(Debug)]
pub(crate) struct Home {
    /// The workers of its environment.
    pub peers: Arc<Peers>,
    /// The app.
    pub app: AppId,
    /// The workers that share its connections; at least one.
    pub share: Vec<WorkerId>,
    /// Connections so far, to spread them.
    pub turn: AtomicUsize,
}

static HOMES: LazyLock<RwLock<HashMap<Descriptor, Home>>> = LazyLock::new(RwLock::default);

/// Registers an app until this is dropped.
#[derive(Debug)]
pub(crate) struct Registration(Descriptor);

impl Registration {
    /// Registers an app.
    #[must_use]
    pub(crate) fn new(home: Home) -> Self {
        let mut homes = HOMES.write().unwrap_or_else(PoisonError::into_inner);
        loop {
            // Random: keyed by the system's entropy. 53 bits, so that a number of JavaScript is exact.
            let descriptor = Descriptor(RandomState::new().build_hasher().finish() >> 11);
            if descriptor.0 != 0 && !homes.contains_key(&descriptor) {
                homes.insert(descriptor, home);
                return Self(descriptor);
            }
        }
    }

    /// The number for others.
    #[must_use]
    pub(crate) const fn descriptor(&self) -> Descriptor {
        self.0
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        let home = HOMES.write().unwrap_or_else(PoisonError::into_inner).remove(&self.0);
        // After the lock was released: connections that still wait there are closed by this.
        drop(home);
    }
}

/// Whether an app is registered under this number.
#[must_use]
pub(crate) fn is_known(descriptor: Descriptor) -> bool {
    HOMES.read().unwrap_or_else(PoisonError::into_inner).contains_key(&descriptor)
}

/// Hands a connection, with the address of its other end, to the next child that is registered, and removes the
/// children that are not.
///
/// # Errors
/// Returns the socket if no child is registered.
pub(crate) fn hand_over(
    children: &Children,
    mut socket: Socket,
    peer: Option<SocketAddr>,
) -> Result<(), Socket> {
    while let Some(child) = children.next() {
        match send(child, socket, peer) {
            Ok(()) => return Ok(()),
            Err(returned) => socket = returned,
        }
        children.remove(child);
    }
    Err(socket)
}

/// Sends `Command::MakeRoom` to the workers of all registered apps, except those in `own`: the process has no
/// descriptors left, so they close some connections on which no request is under way.
pub(crate) fn ask_for_room(own: &Arc<Peers>) {
    let homes = HOMES.read().unwrap_or_else(PoisonError::into_inner);
    let mut asked = vec![Arc::as_ptr(own)];
    for home in homes.values() {
        // Apps of one environment share its workers.
        if !asked.contains(&Arc::as_ptr(&home.peers)) {
            asked.push(Arc::as_ptr(&home.peers));
            home.share.iter().for_each(|worker| home.peers.send(*worker, Command::MakeRoom));
        }
    }
}

fn send(child: Descriptor, socket: Socket, peer: Option<SocketAddr>) -> Result<(), Socket> {
    let homes = HOMES.read().unwrap_or_else(PoisonError::into_inner);
    let Some(home) = homes.get(&child) else { return Err(socket) };
    // Relaxed: the counter only spreads connections.
    let turn = home.turn.fetch_add(1, Ordering::Relaxed);
    let share = home.peers.preferred(&home.share);
    let worker = share[turn % share.len()];
    let adoption = Adoption { socket, app: home.app, address: peer, takeover: None, done: None };
    home.peers.send(worker, Command::AdoptConnection(Box::new(adoption)));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bridge::queue::Downlink;
    use socket2::{Domain, Type};

    /// An app with one worker that does nothing.
    fn app() -> (Registration, Arc<Downlink>) {
        let (peers, downlink) = (Peers::default(), Arc::new(Downlink::default()));
        peers.add(Arc::clone(&downlink));
        let app = AppId { app: 0, epoch: 0 };
        let home = Home { peers: Arc::new(peers), app, share: vec![WorkerId(0)], turn: AtomicUsize::new(0) };
        (Registration::new(home), downlink)
    }

    fn socket() -> Socket {
        Socket::new(Domain::IPV4, Type::STREAM, None).unwrap()
    }

    fn waiting(downlink: &Downlink) -> usize {
        std::iter::from_fn(|| downlink.take()).map(|batch| batch.commands.len()).sum()
    }

    #[test]
    fn children_that_are_gone_are_passed_over_and_forgotten() {
        let ((first, first_link), (second, second_link)) = (app(), app());
        let children = Children::default();
        children.add(first.descriptor());
        children.add(second.descriptor());
        for _ in 0..4 {
            assert!(hand_over(&children, socket(), None).is_ok());
        }
        assert_eq!((waiting(&first_link), waiting(&second_link)), (2, 2));
        let gone = first.descriptor();
        drop(first);
        assert!(!is_known(gone));
        for _ in 0..4 {
            assert!(hand_over(&children, socket(), None).is_ok());
        }
        assert_eq!((waiting(&first_link), waiting(&second_link)), (0, 4));
        drop(second);
        assert!(hand_over(&children, socket(), None).is_err());
        assert_eq!(children.next(), None);
    }

    #[test]
    fn other_environments_are_asked_for_room_once() {
        let (own, other) = (Arc::new(Peers::default()), Arc::new(Peers::default()));
        let links = [(); 2].map(|()| Arc::new(Downlink::default()));
        own.add(Arc::clone(&links[0]));
        other.add(Arc::clone(&links[1]));
        let register = |peers: &Arc<Peers>| {
            let app = AppId { app: 0, epoch: 0 };
            let (share, turn) = (vec![WorkerId(0)], AtomicUsize::new(0));
            Registration::new(Home { peers: Arc::clone(peers), app, share, turn })
        };
        let _registrations = [&own, &other, &other].map(register);
        ask_for_room(&own);
        assert_eq!(links.map(|link| waiting(&link)), [0, 1]);
    }

    #[test]
    fn numbers_are_exact_in_javascript_and_not_given_twice() {
        let registrations: Vec<_> = (0..1000).map(|_| app().0).collect();
        let mut numbers: Vec<u64> = registrations.iter().map(|it| it.descriptor().0).collect();
        assert!(numbers.iter().all(|number| (1..1 << 53).contains(number)));
        numbers.sort_unstable();
        numbers.dedup();
        assert_eq!(numbers.len(), 1000);
    }
}
