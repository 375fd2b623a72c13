//! Makes room for newcomers: see `io/room` for who has to go.

use std::io;
use std::time::Duration;

use super::Worker;
use super::accept::ACCEPT_PAUSE;
use crate::bridge::command::Command;
use crate::bridge::id::ListenerId;
use crate::io::connection::Connection;
use crate::io::connector::is_exhaustion;
use crate::io::context::Context;
use crate::io::descriptor::ask_for_room;
use crate::io::listener::{Accepted, ListeningSocket};
use crate::io::room::{Candidate, at_a_time, choose};

impl Worker {
    /// Apps on which more TLS handshakes are under way than they allow: those that take the longest are ended.
    pub(super) fn relieve_crowds(&mut self) {
        while let Some(app) = self.context.crowded.pop() {
            let tls = self.setups.get(&app.app).and_then(|setup| setup.tls.as_ref());
            let Some((excess, max)) = tls.map(|tls| (tls.excess(self.id.index()), tls.share())) else {
                continue;
            };
            if excess > 0 {
                let candidates = self.candidates(|it| it.app().app == app.app && it.is_handshaking());
                let count = excess + if max >= WORTH_A_BATCH { at_a_time(max) } else { 0 };
                self.dismiss(candidates, count, Connection::abandon_handshake);
            }
        }
    }

    /// Accepting has failed with `error`. Returns whether it may succeed now: the process had no descriptors left, and some
    /// connection has given its own back.
    pub(super) fn make_room_for(&mut self, error: &io::Error, listener: ListenerId) -> bool {
        is_exhaustion(error) && self.make_room_everywhere(listener)
    }

    /// Has room made before it is needed: the last descriptors are for the application's own files and sockets.
    pub(super) fn keep_reserve(&mut self, accepted: &Accepted, listener: ListenerId) {
        if let Accepted::Kept { transport, .. } = accepted
            && self.reserve.is_touched_by(transport.descriptor())
            && self.room_sought.is_none_or(|sought| self.context.now.since(sought) >= ACCEPT_PAUSE)
        {
            // If nobody can give way, it is no use to look at all connections for each new one.
            self.room_sought = (!self.make_room_everywhere(listener)).then_some(self.context.now);
        }
    }

    /// Asks all who serve the connections of a listening socket to end some on which no request is under way. Returns whether
    /// this worker had any.
    fn make_room_everywhere(&mut self, listener: ListenerId) -> bool {
        let share = self
            .listeners
            .iter()
            .find(|it| it.id == listener)
            .map(ListeningSocket::share)
            .unwrap_or_default();
        // What they hold is the same process's, and with every accept it is another worker that gets the connection.
        for worker in share.iter().filter(|worker| **worker != self.id) {
            self.peers.send(*worker, Command::MakeRoom);
        }
        ask_for_room(&self.peers);
        if !self.make_room() {
            return false;
        }
        if self.room_logged.is_none_or(|logged| self.context.now.since(logged) >= LOG_EVERY) {
            self.room_logged = Some(self.context.now);
            tracing::warn!(
                worker = self.id.0,
                "descriptors run out; connections without a request give way to new ones"
            );
        }
        true
    }

    /// `Command::MakeRoom`: ends some of the connections on which no request is under way. Returns whether there were any.
    pub(super) fn make_room(&mut self) -> bool {
        let candidates = self.candidates(|_| true);
        let count = at_a_time(candidates.len());
        let is_any = !candidates.is_empty();
        self.dismiss(candidates, count, Connection::make_room);
        is_any
    }

    /// Those of the worker's connections that may be asked to give way.
    fn candidates(&mut self, is_meant: impl Fn(&Connection) -> bool) -> Vec<Candidate> {
        let keys: Vec<_> = self.registry.keys().collect();
        let candidate = |(slot, generation)| {
            let connection: &Connection = self.registry.get(slot, generation)?;
            let (standing, since) = connection.standing().filter(|_| is_meant(connection))?;
            let address = connection.client().map(|address| address.ip());
            Some(Candidate { slot, generation, standing, since, address })
        };
        keys.into_iter().filter_map(candidate).collect()
    }

    fn dismiss(
        &mut self,
        candidates: Vec<Candidate>,
        count: usize,
        dismiss: impl Fn(&mut Connection, &mut Context),
    ) {
        for (slot, generation) in choose(candidates, count, self.context.now) {
            self.with(slot, generation, |connection, context, _| dismiss(connection, context));
        }
    }
}

/// Handshakes, from which on it takes longer to find the next to go than it does harm if some more go.
const WORTH_A_BATCH: usize = 256;
/// How often to tell that room had to be made.
const LOG_EVERY: Duration = Duration::from_secs(10);
