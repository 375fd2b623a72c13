//! Published messages that arrive while a message is being sent in fragments: no other message may stand between the
//! fragments of one (RFC 6455 §5.4).

use bytes::Bytes;

use crate::io::publication::Publication;
use crate::protocol::websocket::{Codecs, Form, MessageKind};

/// The held messages. Exists as long as a message is incomplete.
#[derive(Debug, Default)]
pub(super) struct Held {
    /// Oldest first.
    messages: Vec<HeldMessage>,
    /// Sum of their lengths.
    length: usize,
}

/// A held message.
#[derive(Debug)]
pub(super) enum HeldMessage {
    /// Encoded.
    Frame(Bytes),
    /// Not compressed yet: with context takeover (RFC 7692 §7.2.3.2) the preceding message must be compressed first.
    Message(MessageKind, Bytes),
}

impl Held {
    /// Bytes that wait. They count towards `maxBackpressure`, but not as back-pressure whose end `drain` announces,
    /// because they depend on the application alone.
    pub(super) const fn len(&self) -> usize {
        self.length
    }

    /// Adds a message in the form in which it will be sent.
    pub(super) fn push(&mut self, publication: &mut Publication<'_>, form: Form, codecs: &mut Codecs) {
        let (message, length) = match publication.frame(form, codecs) {
            Some(frame) => (HeldMessage::Frame(frame.clone()), frame.len()),
            None => {
                let message = HeldMessage::Message(publication.kind, publication.shared_payload());
                (message, publication.payload.len())
            }
        };
        self.messages.push(message);
        self.length += length;
    }

    /// The messages, oldest first.
    pub(super) fn into_messages(self) -> Vec<HeldMessage> {
        self.messages
    }
}
