//! What would be lost if a connection gave way to others, and its end if it has to.

use std::net::SocketAddr;

use super::{Connection, FOR_ROOM, Protocol, Stage};
use crate::bridge::id::RequestNumber;
use crate::io::context::Context;
use crate::io::room::Standing;
use crate::protocol::time::Timestamp;

impl Connection {
    /// What would be lost with it, and since when its peer is waited for; `None` if it is not to give way, as a request or a
    /// WebSocket is under way on it.
    #[must_use]
    pub fn standing(&self) -> Option<(Standing, Timestamp)> {
        match (self.stage, &self.protocol) {
            (Stage::Lingering { until }, _) => Some((Standing::Lingering, until)),
            // What the peer has sent may be a request.
            (Stage::Serving, Protocol::Http(_)) if self.starved => None,
            (Stage::Serving, Protocol::Http(http)) => {
                let is_silent = http.pending.is_empty() && http.request == RequestNumber::default();
                let standing = match &http.handshake {
                    Some(handshake) if handshake.admission.has_begun() => Standing::Opening,
                    Some(_) | None if is_silent && self.transport.session().is_none() => Standing::Silent,
                    Some(_) if http.proxy_header.is_none() => Standing::Silent,
                    None if self.has_output() => return None,
                    None if http.is_idle() => Standing::Idle,
                    Some(_) | None => Standing::Opening,
                };
                Some((standing, http.exchange.waits_since()?))
            }
            (Stage::Serving, Protocol::WebSocket(_)) | (Stage::Draining | Stage::Gone, _) => None,
        }
    }

    /// Whether a TLS handshake is under way.
    #[must_use]
    pub fn shakes_hands(&self) -> bool {
        match &self.protocol {
            Protocol::Http(http) => http.handshake.as_ref().is_some_and(|it| it.admission.has_begun()),
            Protocol::WebSocket(_) => false,
        }
    }

    /// Who the client is, as far as that is known.
    #[must_use]
    pub fn client(&self) -> Option<SocketAddr> {
        match &self.protocol {
            Protocol::Http(http) => http.peer.proxied.or(http.peer.address),
            Protocol::WebSocket(_) => None,
        }
    }

    /// The process has no descriptors left, and nothing is under way here.
    pub fn give_way(&mut self, context: &mut Context) {
        self.forget_handshake(FOR_ROOM, "the process has no descriptors left", context);
        self.leave(Stage::Gone, FOR_ROOM);
    }

    /// More TLS handshakes are under way than the app allows, and this one has been for long.
    pub fn yield_handshake(&mut self, context: &mut Context) {
        let cause = "ERR_TLS_TOO_MANY_HANDSHAKES";
        self.forget_handshake(cause, "it took long, and others had to wait", context);
        self.leave(Stage::Gone, cause);
    }

    /// A TLS handshake that is under way comes to nothing.
    fn forget_handshake(&mut self, cause: &'static str, reason: &str, context: &Context) {
        let is_under_way = self.shakes_hands();
        if let Protocol::Http(http) = &mut self.protocol {
            http.handshake = None;
        }
        if is_under_way {
            self.tally(context).tls_handshake_failures.add(1);
            tracing::warn!(cause, reason, "TLS handshake failed");
        }
    }
}
