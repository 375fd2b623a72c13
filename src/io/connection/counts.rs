//! What is counted of a connection, where that is more than a line. All of it is kept per app and worker
//! (`bridge/tally`), so that a connection pays nothing for it.

use std::io;

use super::{Connection, Protocol};
use crate::bridge::tally::{RefusalCause, Tally};
use crate::io::context::Context;

impl Connection {
    /// The counters of its app.
    pub(super) fn tally<'a>(&self, context: &'a Context) -> &'a Tally {
        context.tallies.of(self.app)
    }

    /// It has been accepted.
    pub fn count_begun(&self, context: &Context) {
        let tally = self.tally(context);
        tally.connections.add(1);
        tally.http_open.add(1);
    }

    /// It serves its peer no more. Of WebSockets Node's thread keeps count.
    pub fn count_ended(&self, context: &Context) {
        match self.protocol {
            Protocol::Http(_) => self.tally(context).http_open.sub(1),
            Protocol::WebSocket(_) => {}
        }
    }

    /// Its peer broke a rule, and it ends for that.
    pub(super) fn count_refusal(&self, refusal: RefusalCause, context: &Context) {
        self.tally(context).count_refusal(refusal);
    }

    /// Writes what the kernel takes. Returns whether that was everything.
    pub(super) fn flush_outbox(&mut self, context: &mut Context) -> io::Result<bool> {
        let before = self.outbox.len();
        let result = self.outbox.flush(&mut self.transport, &mut context.pool);
        let written = before - self.outbox.len();
        if written > 0 {
            context.tallies.count_sent(self.app, written as u64);
        }
        result
    }

    /// Queues bytes, or writes them at once if they are many.
    pub(super) fn append_output(&mut self, data: &[u8], context: &mut Context) {
        let before = self.outbox.len();
        self.outbox.append(data, &mut self.transport, &mut context.pool);
        let written = before + data.len() - self.outbox.len();
        if written > 0 {
            context.tallies.count_sent(self.app, written as u64);
        }
    }

    /// After a flush: `left` bytes wait for the kernel, and so far it is the last time's number that is counted.
    pub(super) fn count_backlog(&mut self, left: usize, context: &mut Context) {
        let left = left as u64;
        let before = match &mut self.protocol {
            Protocol::Http(http) => std::mem::replace(&mut http.backlog, left),
            // Its ledger is about to be told.
            Protocol::WebSocket(socket) => socket.backlog(),
        };
        if before != left {
            context.tallies.change_backlog(self.app, before, left);
        }
        if before < left {
            context.budgets.note_growth(self.app.app);
        }
    }

    /// It is gone, or becomes a WebSocket whose ledger knows of nothing yet.
    pub fn subtract_backlog(&mut self, context: &Context) {
        let before = match &mut self.protocol {
            Protocol::Http(http) => std::mem::take(&mut http.backlog),
            Protocol::WebSocket(socket) => socket.backlog(),
        };
        if before > 0 {
            context.tallies.change_backlog(self.app, before, 0);
        }
    }
}
