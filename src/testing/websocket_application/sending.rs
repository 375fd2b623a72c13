//! Compressed messages and messages in fragments of a [`WebSocketApplication`], read by a plain reader.

use super::{ServerFrame, TEXTS, WebSocketApplication};
use crate::protocol::websocket::fragment::Fragment;
use crate::protocol::websocket::{Agreement, MessageKind};

/// A message of which the last fragment has not been sent.
#[derive(Debug)]
pub(super) struct Parts {
    is_compressed: bool,
    /// Its text so far.
    said: Vec<u8>,
    /// The compressed bytes written so far.
    written: Vec<u8>,
}

impl WebSocketApplication<'_> {
    /// Sends a text that is to be compressed.
    pub(super) fn send_compressed(&mut self, argument: usize) {
        let text = TEXTS[argument % TEXTS.len()].repeat(argument).into_bytes();
        if self.agreement.is_none() || text.is_empty() || self.parts.is_some() {
            return self.send(MessageKind::Text, argument);
        }
        let may_send = self.session.can_send();
        let effect = self.act(|this| {
            let Self { session, codecs, out, .. } = this;
            session.send_compressed(MessageKind::Text, &text, codecs, out);
        });
        if !may_send {
            return effect.assert_nothing();
        }
        effect.assert_only(vec![ServerFrame { first: 0xc1, payload: effect.only_frame().payload.clone() }]);
        self.assert_read(&effect.only_frame().payload, &text);
    }

    /// Sends a fragment. Once the WebSocket is closing, none.
    pub(super) fn send_fragment(&mut self, argument: usize) {
        let part = TEXTS[argument % TEXTS.len()].repeat(argument % 50).into_bytes();
        let compress = !argument.is_multiple_of(3);
        let fragment = match (&self.parts, argument % 2) {
            (None, _) => Fragment::First { kind: MessageKind::Binary, compress },
            (Some(_), 1) => Fragment::Middle,
            (Some(_), _) => Fragment::Last,
        };
        let may_send = self.session.can_send();
        let effect = self.act(|this| {
            let Self { session, codecs, out, .. } = this;
            session.send_fragment(fragment, &part, codecs, out);
        });
        if !may_send {
            return effect.assert_nothing();
        }
        let is_compressed = compress && self.agreement.is_some();
        let parts = self.parts.get_or_insert(Parts { is_compressed, said: Vec::new(), written: Vec::new() });
        let first = match fragment {
            Fragment::First { .. } if parts.is_compressed => 0x42,
            Fragment::First { .. } => 0x02,
            Fragment::Middle => 0x00,
            Fragment::Last => 0x80,
        };
        effect.assert_only(vec![ServerFrame { first, payload: effect.only_frame().payload.clone() }]);
        parts.said.extend_from_slice(&part);
        parts.written.extend_from_slice(&effect.only_frame().payload);
        if let Some(parts) = self.parts.take_if(|_| fragment == Fragment::Last) {
            if parts.is_compressed {
                self.assert_read(&parts.written, &parts.said);
            } else {
                assert_eq!(parts.written, parts.said);
            }
        }
    }

    /// Asserts that the compressed bytes decompress to the text.
    fn assert_read(&mut self, written: &[u8], said: &[u8]) {
        let Some(Agreement { outgoing, .. }) = self.agreement else { panic!("compressed without agreement") };
        if !outgoing.takeover {
            self.reader.forget();
        }
        assert_eq!(self.reader.message(written, said.len(), outgoing.window_bits).as_deref(), Ok(said));
    }
}
