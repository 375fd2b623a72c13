//! The response that turns a request into a WebSocket.

use crate::protocol::websocket::{Agreement, handshake};

/// The fields of the response `101 Switching Protocols`, or of the one that accepts an extended CONNECT.
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

    /// Appends the field lines of the response to an extended CONNECT (RFC 8441 §5), which has no key to confirm.
    pub(crate) fn append_fields(&self, out: &mut Vec<u8>) {
        if !self.protocol.is_empty() {
            out.extend_from_slice(b"Sec-WebSocket-Protocol: ");
            out.extend_from_slice(self.protocol);
            out.extend_from_slice(b"\r\n");
        }
        out.extend_from_slice(self.fields);
    }
}
