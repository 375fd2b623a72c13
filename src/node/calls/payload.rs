//! Payloads: text or data that a program sends, copied once, into the arena of its command.

use crate::bridge::event::Slice;
use crate::bridge::id::WorkerId;
use crate::node::environment::Call;
use crate::node::error::Misuse;
use crate::node::state::workers::Workers;
use crate::protocol::websocket::MessageKind;

/// Copies a text-or-data argument into the arena of the next command to `worker`.
pub(crate) fn append_payload(
    call: &Call<'_>,
    workers: &mut Workers,
    worker: WorkerId,
    index: usize,
) -> Result<Slice, Misuse> {
    workers.flush_if_long();
    let arena = workers.arena(worker);
    let start = arena.len();
    call.append(index, arena)?;
    Ok(Slice::tail(arena, start))
}

/// The kind of a message that is binary or not.
#[must_use]
pub(crate) const fn message_kind(is_binary: bool) -> MessageKind {
    if is_binary { MessageKind::Binary } else { MessageKind::Text }
}
