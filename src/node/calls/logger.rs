//! Hands records of the log to JavaScript, as events among the others.

use crate::bridge::record::{self, Level, Record};
use crate::log::journals;
use crate::node::environment::{Call, Environment};
use crate::node::error::Misuse;
use crate::node::js::{Env, Value};

impl Environment {
    /// The next record for the listener of `setLogger`, out of those that were waiting when the dispatcher last looked:
    /// new ones have to wait for their turn, behind the events of the next batch.
    pub fn next_record<'c>(&mut self, env: Env<'c>) -> Option<Value<'c>> {
        self.dispatcher.records = self.dispatcher.records.checked_sub(1)?;
        let record = self.workers.journal()?.take()?;
        Some(to_array(env, record))
    }
}

/// Level, target, message, and then name and value of each field.
fn to_array(env: Env<'_>, record: Record) -> Value<'_> {
    let Record { level, target, message, fields } = record;
    let head = [
        env.from_number(f64::from(level.number())),
        env.string(target.as_bytes()),
        env.string(message.as_bytes()),
    ];
    let details = fields.iter().flat_map(|field| {
        let value = match &field.value {
            record::Value::Number(number) => env.from_number(*number),
            record::Value::Boolean(truth) => env.from_bool(*truth),
            record::Value::Text(text) => env.string(text.as_bytes()),
        };
        [env.string(field.name.as_bytes()), value]
    });
    env.array(head.into_iter().chain(details))
}

/// `setLogger(level)`: from now on records up to this level come with `next`; none with 0.
pub fn set<'c>(call: &Call<'c>) -> Result<Value<'c>, Misuse> {
    let mut environment = call.environment()?;
    journals::set_listener(&environment.workers.threads()?.journal, level_argument(call, 0));
    Ok(Value::UNDEFINED)
}

/// A level by its number; `None` for 0.
#[must_use]
pub fn level_argument(call: &Call<'_>, index: usize) -> Option<Level> {
    Level::from_number(call.number(index) as u8)
}
