//! Messages that go out in fragments, and what has to wait for their end: no other message may stand between the
//! fragments of one (RFC 6455 §5.4).

use bytes::Bytes;

use super::websocket::Delivery;
use super::{Connection, Protocol};
use crate::io::context::Context;
use crate::protocol::websocket::fragment::{Fragment, encode_fragment};

/// Published messages that arrived while a message was being sent in fragments. Exists as long as that is so.
#[derive(Debug, Default)]
pub struct Held {
    /// Encoded, oldest first.
    frames: Vec<Bytes>,
    /// Sum of their lengths.
    length: usize,
}

impl Held {
    /// Bytes that wait. They do not count as back-pressure that `drain` could announce the end of, because the
    /// application has that in its own hands; but they do count towards `maxBackpressure`.
    pub const fn len(&self) -> usize {
        self.length
    }

    fn push(&mut self, frame: &Bytes) {
        self.length += frame.len();
        self.frames.push(frame.clone());
    }
}

impl Connection {
    /// `Command::SendFragment`. Node's thread sees to their order.
    pub fn send_fragment(&mut self, fragment: Fragment, payload: &[u8], context: &mut Context) {
        self.with_session(context, |socket, out, _, _| {
            socket.count_applied(payload.len());
            if socket.can_send() {
                encode_fragment(fragment, payload, out);
            }
            if matches!(fragment, Fragment::First(_)) {
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
        if !socket.can_send() || !self.is_serving() {
            return;
        }
        for frame in &held.frames {
            self.outbox.push_shared(frame, &mut context.pool);
        }
        self.mark_dirty(context);
    }

    /// Queues a published message, in the outbox or behind the fragments.
    pub(super) fn queue_encoded(&mut self, frame: &Bytes, context: &mut Context) -> Delivery {
        let Protocol::WebSocket(socket) = &mut self.protocol else { return Delivery::Done };
        match &mut socket.held {
            Some(held) => held.push(frame),
            None => {
                self.outbox.push_shared(frame, &mut context.pool);
                self.mark_dirty(context);
            }
        }
        Delivery::Done
    }
}
