//! Payloads: text or data that a program sends, copied once, into the arena of its command. Where Node's loop leads, long
//! data is not copied at all, but written from where it lies.

use crate::bridge::command::{LENT_FROM, LentCommand};
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

/// What has become of an argument that may be long.
#[derive(Clone, Copy)]
pub(crate) enum Appended {
    /// It is in the arena.
    Copied(Slice),
    /// It is data of that many bytes and was left where it is: [`lend_payload`] has it written.
    Left(u32),
}

impl Appended {
    /// How many bytes there are.
    #[must_use]
    pub(crate) const fn length(&self) -> u32 {
        match self {
            Self::Copied(slice) => slice.len,
            Self::Left(length) => *length,
        }
    }
}

/// As [`append_payload`]; but data that is long, and for a worker that Node's loop leads, is left where it is.
pub(crate) fn append_unless_lendable(
    call: &Call<'_>,
    workers: &mut Workers,
    worker: WorkerId,
    index: usize,
) -> Result<Appended, Misuse> {
    let long = if workers.is_led_by_node(worker) { LENT_FROM } else { usize::MAX };
    workers.flush_if_long();
    let arena = workers.arena(worker);
    let start = arena.len();
    let left = call.append_unless_long(index, long, arena)?;
    let left = left.and_then(|length| u32::try_from(length).ok());
    Ok(left.map_or_else(|| Appended::Copied(Slice::tail(arena, start)), Appended::Left))
}

/// Has data that was left where it is written: carries out what has gathered for a worker, and then the command that `lent`
/// makes of the data. `None` if that was possible; otherwise, because the argument was copied before, or because Node's loop
/// does not lead any more and it is copied now, behind what has gathered, a command has to be added for the result.
pub(crate) fn lend_payload(
    call: &Call<'_>,
    workers: &mut Workers,
    worker: WorkerId,
    (index, appended): (usize, Appended),
    lent: impl for<'a> FnOnce(&'a [u8]) -> LentCommand<'a>,
) -> Result<Option<Slice>, Misuse> {
    if let Appended::Copied(payload) = appended {
        return Ok(Some(payload));
    }
    if call.lend(index, |data| workers.lend(worker, lent(data))) == Some(true) {
        return Ok(None);
    }
    let arena = workers.arena(worker);
    let start = arena.len();
    call.append(index, arena)?;
    Ok(Some(Slice::tail(arena, start)))
}

/// The kind of a message that is binary or not.
#[must_use]
pub(crate) const fn message_kind(is_binary: bool) -> MessageKind {
    if is_binary { MessageKind::Binary } else { MessageKind::Text }
}
