//! A connection whose first request was read elsewhere, by an HTTP server of Node's: it has one request, which is
//! answered by a handshake, or by a last response.

use super::{Connection, Protocol};
use crate::bridge::event::Event;
use crate::bridge::takeover::Takeover;
use crate::io::context::Context;
use crate::protocol::cause::CloseCause;

impl Connection {
    /// Handles the bytes that were read elsewhere, as if they had just arrived. To be called before the socket is read.
    pub(crate) fn take_over(&mut self, takeover: Takeover, context: &mut Context) {
        let Takeover { ticket, early, tls_peer, place } = takeover;
        if let Some(place) = place {
            place.set(self.id());
        }
        let Protocol::Http { http, .. } = &mut self.protocol else { return };
        http.tls_peer = tls_peer;
        // A further request would be for the other server, which cannot read the connection any more.
        http.wind_down();
        context.tallies.count_received(self.shell.app, early.len() as u64);
        self.handle_early_input(early, context);
        let is_told = matches!(&self.protocol, Protocol::Http { http, .. } if http.has_request());
        if is_told {
            context.events.note_takeover(ticket);
        } else {
            context.emit(Event::TakeoverRefused { ticket });
        }
    }

    /// `Command::BreakConnection`: handles the bytes that have arrived, and then treats the connection as lost.
    pub(crate) fn break_off(&mut self, cause: CloseCause, context: &mut Context, scratch: &mut [u8]) {
        self.look_before_shutdown(context, scratch);
        self.protocol.fail(cause, &mut self.shell, context);
    }
}
