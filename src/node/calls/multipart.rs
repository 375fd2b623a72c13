//! `getParts` of JavaScript.

use bytes::Bytes;

use crate::node::environment::Call;
use crate::node::error::Misuse;
use crate::node::js::{Env, Value};
use crate::protocol::http::multipart::{self, Part};

/// `getParts(body, contentType)`: name, type, filename and data of each part, in turn, with `false` for what a part
/// lacks; `undefined` if this is no multipart body.
pub(crate) fn parts<'c>(call: &Call<'c>) -> Result<Value<'c>, Misuse> {
    let (env, content_type, body) = (call.env(), call.bytes(1)?, call.bytes(0)?);
    Ok(match multipart::parse(Bytes::from(body), &content_type) {
        Ok(parts) => env.array(parts.iter().flat_map(|part| members(env, part))),
        Err(_) => Value::UNDEFINED,
    })
}

fn members<'c>(env: Env<'c>, part: &Part) -> [Value<'c>; 4] {
    let optional = |text: &Option<Vec<u8>>| {
        text.as_deref().map_or_else(|| env.from_bool(false), |text| env.string(text))
    };
    [
        env.string(&part.name),
        optional(&part.content_type),
        optional(&part.filename),
        env.array_buffer(&part.data),
    ]
}
