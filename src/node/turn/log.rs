//! Records of the log, as events among the others.

use crate::bridge::record::{FieldValue, Record};
use crate::node::abi::step;
use crate::node::js::Env;
use crate::node::turn::Step;

/// A record for the listener of `setLogger`: level, target, message, and then name and value of each field.
pub(crate) fn record(env: Env<'_>, record: Record) -> Step<'_> {
    let Record { level, target, message, fields } = record;
    let head = [
        env.from_number(f64::from(level.number())),
        env.string(target.as_bytes()),
        env.string(message.as_bytes()),
    ];
    let details = fields.iter().flat_map(|field| {
        let value = match &field.value {
            FieldValue::Number(number) => env.from_number(*number),
            FieldValue::Boolean(truth) => env.from_bool(*truth),
            FieldValue::Text(text) => env.string(text.as_bytes()),
        };
        [env.string(field.name.as_bytes()), value]
    });
    (step::LOG, env.array(head.into_iter().chain(details)))
}
