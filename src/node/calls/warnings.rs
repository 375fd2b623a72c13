//! Warnings that `lib/` gives: each once in a process.

use crate::node::environment::Call;
use crate::node::error::Misuse;
use crate::node::js::Value;
use crate::node::state::notices::is_new;

/// `isNews(subject)`: whether this is the first call with this subject in the process.
pub(crate) fn is_news<'c>(call: &Call<'c>) -> Result<Value<'c>, Misuse> {
    let subject = call.bytes(0)?;
    Ok(call.env().from_bool(is_new(subject)))
}
