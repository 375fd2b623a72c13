//! Addresses of peers, for responses and WebSockets: `(…, proxied)`.

use std::net::SocketAddr;

use crate::bridge::peer::Peer;
use crate::node::address;
use crate::node::environment::Call;
use crate::node::js::Value;

/// The bytes of the address that argument 1 asks for, in an ArrayBuffer.
pub(crate) fn bytes<'c>(call: &Call<'c>, peer: Peer) -> Value<'c> {
    call.env().array_buffer(&address::bytes(selected(call, peer)))
}

/// The address as text, in an ArrayBuffer.
pub(crate) fn text<'c>(call: &Call<'c>, peer: Peer) -> Value<'c> {
    call.env().array_buffer(address::text(selected(call, peer)).as_bytes())
}

/// The address of the socket's peer as people write it; `undefined` without one.
pub(crate) fn canonical<'c>(call: &Call<'c>, peer: Option<Peer>) -> Value<'c> {
    let address = peer.and_then(|peer| peer.address);
    address.map_or(Value::UNDEFINED, |address| call.env().string(address::canonical(address).as_bytes()))
}

/// The port of the address.
pub(crate) fn port<'c>(call: &Call<'c>, peer: Peer) -> Value<'c> {
    call.env().from_number(address::port(selected(call, peer)))
}

/// The address that argument 1 asks for: that of the socket, or the one that a proxy reported.
fn selected(call: &Call<'_>, peer: Peer) -> Option<SocketAddr> {
    if call.truthy(1) { peer.proxied } else { peer.address }
}
