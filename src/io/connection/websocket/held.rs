//! Messages that go out in fragments, and what has to wait for their end: no other message may stand between the
//! fragments of one (RFC 6455 §5.4).

use bytes::Bytes;

use crate::io::connection::{Connection, Protocol};
use crate::io::context::Context;
use crate::io::publication::Publication;
use crate::protocol::websocket::fragment::Fragment;
use crate::protocol::websocket::{Codecs, Form, MessageKind};

/// Published messages that arrived while a message was being sent in fragments. Exists as long as that is so.
#[derive(Debug, Default)]
pub struct Held {
    /// Oldest first.
    messages: Vec<Waiting>,
    /// Sum of their lengths.
    length: usize,
}

/// One of them.
#[derive(Debug)]
enum Waiting {
    /// Encoded.
    Frame(Bytes),
    /// To be compressed with reference to what is sent before it: not yet, as that is not complete.
    Message(MessageKind, Bytes),
}

impl Held {
    /// Bytes that wait. They do not count as back-pressure that `drain` could announce the end of, because the
    /// application has that in its own hands; but they do count towards `maxBackpressure`.
    pub const fn len(&self) -> usize {
        self.length
    }

    /// Adds a message in the form that it will need.
    pub fn push(&mut self, publication: &mut Publication<'_>, form: Form, codecs: &mut Codecs) {
        let (waiting, length) = match publication.frame(form, codecs) {
            Some(frame) => (Waiting::Frame(frame.clone()), frame.len()),
            None => {
                let message = Waiting::Message(publication.kind, publication.shared_payload());
                (message, publication.payload.len())
            }
        };
        self.messages.push(waiting);
        self.length += length;
    }
}

impl Connection {
    /// `Command::SendFragment`. Node's thread sees to their order.
    pub fn send_fragment(&mut self, fragment: Fragment, payload: &[u8], context: &mut Context) {
        self.with_session(context, |socket, out, sink, around| {
            socket.count_applied(payload.len());
            sink.tally.messages_sent.add(u64::from(fragment == Fragment::Last && socket.session.can_send()));
            socket.session.send_fragment(fragment, payload, around.codecs, out);
            if matches!(fragment, Fragment::First { .. }) {
                socket.held = Some(Box::default());
            }
        });
        if fragment == Fragment::Last {
            self.release_held(context);
        }
    }

    /// The message is complete: what was published meanwhile follows.
    fn release_held(&mut self, context: &mut Context) {
        let Protocol::WebSocket(socket) = &mut self.protocol else { return };
        let Some(held) = socket.held.take() else { return };
        if !socket.session.can_send() || !self.is_serving() {
            return;
        }
        for waiting in held.messages {
            let Protocol::WebSocket(socket) = &mut self.protocol else { return };
            match waiting {
                Waiting::Frame(frame) => self.outbox.push_shared(&frame, &mut context.pool),
                Waiting::Message(kind, payload) => {
                    let out = self.outbox.tail(&mut context.pool);
                    socket.session.send_compressed(kind, &payload, &mut context.codecs, out);
                }
            }
        }
        self.mark_dirty(context);
    }
}
