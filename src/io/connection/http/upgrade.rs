//! The response that turns an HTTP connection into a WebSocket.

use crate::protocol::websocket::{Agreement, handshake};

/// The fields of the response `101 Switching Protocols`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Upgrade<'a> {
    /// The value of `Sec-WebSocket-Accept`.
    pub accept: &'a [u8],
    /// The selected subprotocol; empty for none.
    pub protocol: &'a [u8],
    /// Further complete `Name: value\r\n` lines.
    pub fields: &'a [u8],
    /// The negotiated compression, which `fields` states to the client.
    pub agreement: Option<Agreement>,
}

impl Upgrade<'_> {
    /// Appends the response.
    pub(crate) fn encode(&self, date: &[u8; 29], out: &mut Vec<u8>) {
        // Node's thread has checked that both are ASCII.
        let accept = String::from_utf8_lossy(self.accept);
        let protocol = String::from_utf8_lossy(self.protocol);
        let protocol = (!protocol.is_empty()).then_some(&*protocol);
        handshake::encode_response(&accept, protocol, self.fields, date, out);
    }
}
