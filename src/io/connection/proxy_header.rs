//! The first bytes of a trusted peer, which may say for whom it speaks. Nothing of the connection reaches the exchange
//! before, so the time for the first request, counted from the accept, is the time for the header, too.

use super::{Connection, Protocol};
use crate::bridge::tally::RefusalCause;
use crate::io::context::Context;
use crate::protocol::cause::Cause;
use crate::protocol::proxy::{Presence, ProxyError, ProxyHeader, read_proxy_header};

impl Connection {
    pub(super) fn handle_proxy_header(&mut self, presence: Presence, input: &[u8], context: &mut Context) {
        let Protocol::Http(http) = &mut self.protocol else { return };
        http.pending.extend_from_slice(input);
        match read_proxy_header(&http.pending) {
            Ok(ProxyHeader::Partial) => {}
            Ok(ProxyHeader::Absent) => match presence {
                Presence::Optional => self.begin(context),
                Presence::Required => self.refuse_proxy_header(ProxyError::Missing, context),
            },
            Ok(ProxyHeader::Complete { len, client }) => {
                http.pending.drain(..len);
                http.peer.proxied = client;
                tracing::debug!(client = client.map(tracing::field::display), "PROXY header received");
                self.begin(context);
            }
            Err(error) => self.refuse_proxy_header(error, context),
        }
    }

    /// What is pending, and what comes from now on, is the client's own.
    fn begin(&mut self, context: &mut Context) {
        let Protocol::Http(http) = &mut self.protocol else { return };
        http.proxy_header = None;
        if http.handshake.is_some() {
            let early = std::mem::take(&mut http.pending);
            self.tell_opened(context);
            return self.begin_handshake(early, context.now);
        }
        let is_empty = http.pending.is_empty();
        if is_empty {
            http.pending = Vec::new();
        }
        self.tell_opened(context);
        if !is_empty {
            self.handle_http_input(&mut [], context);
        }
    }

    fn refuse_proxy_header(&mut self, error: ProxyError, context: &mut Context) {
        tracing::warn!(cause = error.code(), rule = %error, "peer broke a rule of the PROXY protocol");
        error.encode_answer(&context.date, self.outbox.tail(&mut context.pool));
        self.count_refusal(RefusalCause::Proxy(error), context);
        self.drain(error.code(), context);
    }
}
