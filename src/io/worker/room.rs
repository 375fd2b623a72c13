//! Closes connections to make room for new ones: `io/room` chooses them.

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
    /// Ends the longest TLS handshakes of apps on which more are under way than they allow.
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

    /// Closes connections if accepting has failed with `error` because the process has no descriptors left. Returns
    /// whether any was closed here, so that accepting may succeed now.
    pub(super) fn make_room_for(&mut self, error: &io::Error, listener: ListenerId) -> bool {
        is_exhaustion(error) && self.make_room_everywhere(listener)
    }

    /// Closes connections if an accepted one has used a descriptor of the reserve, which is for the application's own
    /// files and sockets.
    pub(super) fn keep_reserve(&mut self, accepted: &Accepted, listener: ListenerId) {
        if let Accepted::Kept { transport, .. } = accepted
            && self.reserve.is_touched_by(transport.descriptor())
            && self.room_sought.is_none_or(|sought| self.context.now.since(sought) >= ACCEPT_PAUSE)
        {
            // If no connection can be closed, do not search all of them again for each new one.
            self.room_sought = (!self.make_room_everywhere(listener)).then_some(self.context.now);
        }
    }

    /// Asks all workers that serve the connections of a listening socket to close some on which no request is under
    /// way. Returns whether this worker had any.
    fn make_room_everywhere(&mut self, listener: ListenerId) -> bool {
        let share = self
            .listeners
            .iter()
            .find(|it| it.id == listener)
            .map(ListeningSocket::share)
            .unwrap_or_default();
        // Their descriptors are the same process's, and each accepted connection goes to another worker.
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

    /// `Command::MakeRoom`: ends some of the connections on which no request is under way. Returns whether there were
    /// any that wait for their peer.
    pub(super) fn make_room(&mut self) -> bool {
        let candidates = self.candidates(Connection::has_descriptor);
        let count = at_a_time(candidates.len());
        self.dismiss(candidates, count, Connection::make_room)
    }

    /// The connections among those that `matches` selects which may be closed for new ones.
    fn candidates(&mut self, matches: impl Fn(&Connection) -> bool) -> Vec<Candidate> {
        let keys: Vec<_> = self.registry.keys().collect();
        let candidate = |(slot, generation)| {
            let connection: &Connection = self.registry.get(slot, generation)?;
            let (standing, since) = connection.standing().filter(|_| matches(connection))?;
            let address = connection.client().map(|address| address.ip());
            Some(Candidate { slot, generation, standing, since, address })
        };
        keys.into_iter().filter_map(candidate).collect()
    }

    /// Ends `count` of the candidates, or fewer. One whose input is still in the socket waits for this worker, which is about
    /// to read it, and not for its peer. Returns whether it has ended any.
    fn dismiss(
        &mut self,
        mut candidates: Vec<Candidate>,
        count: usize,
        dismiss: impl Fn(&mut Connection, &mut Context),
    ) -> bool {
        loop {
            let chosen = choose(candidates.clone(), count, self.context.now);
            let (unread, waiting): (Vec<_>, Vec<_>) = chosen.into_iter().partition(|(slot, generation)| {
                self.registry.get(*slot, *generation).is_some_and(|connection| connection.has_unread_input())
            });
            for (slot, generation) in &waiting {
                self.with(*slot, *generation, |connection, context, _| dismiss(connection, context));
            }
            if !waiting.is_empty() || unread.is_empty() {
                return !waiting.is_empty();
            }
            candidates.retain(|it| !unread.contains(&(it.slot, it.generation)));
        }
    }
}

/// Number of handshakes from which on several are ended at a time, because each search visits all of them.
const WORTH_A_BATCH: usize = 256;
/// How often to log that connections were closed for new ones.
const LOG_EVERY: Duration = Duration::from_secs(10);
