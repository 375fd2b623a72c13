//! `HttpRequest`: a snapshot of the request head, readable until the response has ended and the handler has returned.

use crate::node::environment::Call;
use crate::node::error::Misuse;
use crate::node::js::{Type, Value};
use crate::node::state::live::exchange::HandlerState;
use crate::protocol::http::query::query_value;

/// `reqMethod(request, caseSensitive)`
pub(crate) fn method<'c>(call: &Call<'c>) -> Result<Value<'c>, Misuse> {
    let mut environment = call.environment()?;
    let exchange = environment.live.request(call.number(0))?;
    let method = exchange.method.of(&exchange.head);
    if call.truthy(1) {
        Ok(call.env().latin1(method))
    } else {
        Ok(call.env().latin1(&method.to_ascii_lowercase()))
    }
}

/// `reqUrl(request)`: the path, raw.
pub(crate) fn url<'c>(call: &Call<'c>) -> Result<Value<'c>, Misuse> {
    let mut environment = call.environment()?;
    let exchange = environment.live.request(call.number(0))?;
    Ok(call.env().latin1(exchange.path.of(&exchange.head)))
}

/// `reqQuery(request, key?)`: everything after `?`, raw; or one decoded value.
pub(crate) fn query<'c>(call: &Call<'c>) -> Result<Value<'c>, Misuse> {
    let (env, key) = (call.env(), call.argument(1));
    let mut environment = call.environment()?;
    let exchange = environment.live.request(call.number(0))?;
    let mut wanted = Vec::new();
    if env.type_of(key) != Type::Nothing {
        env.append_text_or_data(key, &mut wanted)?;
    }
    let Some(query) = exchange.query else { return Ok(Value::UNDEFINED) };
    let query = query.of(&exchange.head);
    if env.type_of(key) == Type::Nothing {
        return Ok(env.latin1(query));
    }
    Ok(query_value(query, &wanted).map_or(Value::UNDEFINED, |value| env.string(&value)))
}

/// `reqHeader(request, lowerCaseName)`: the first value, '' if there is none.
pub(crate) fn header<'c>(call: &Call<'c>) -> Result<Value<'c>, Misuse> {
    let mut environment = call.environment()?;
    let exchange = environment.live.request(call.number(0))?;
    let name = call.bytes(1)?;
    Ok(call.env().latin1(exchange.request_field(&name).unwrap_or_default()))
}

/// `reqHeaders(request)`: names and values in turn, in wire order.
pub(crate) fn headers<'c>(call: &Call<'c>) -> Result<Value<'c>, Misuse> {
    let mut environment = call.environment()?;
    let exchange = environment.live.request(call.number(0))?;
    let env = call.env();
    let head = &exchange.head;
    let items = exchange
        .request_fields
        .iter()
        .flat_map(|field| [env.string(field.name.of(head)), env.string(field.value.of(head))]);
    Ok(env.array(items))
}

/// `reqParameter(request, indexOrName)`: raw, '' if there is none.
pub(crate) fn parameter<'c>(call: &Call<'c>) -> Result<Value<'c>, Misuse> {
    let (env, which) = (call.env(), call.argument(1));
    let mut environment = call.environment()?;
    let exchange = environment.live.request(call.number(0))?;
    let path = exchange.path.of(&exchange.head);
    let value = match env.number(which) {
        // No parameter has a negative or fractional index, or NaN: the cast would make it 0 or truncate it, so check.
        Some(index) if index >= 0.0 && index.fract() == 0.0 => exchange.params.get(index as usize),
        Some(_) => None,
        None => {
            let mut name = Vec::new();
            env.append_text_or_data(which, &mut name)?;
            std::str::from_utf8(&name).ok().and_then(|name| exchange.params.by_name(name))
        }
    };
    Ok(env.latin1(value.map_or(&[][..], |span| &path[span])))
}

/// `reqYield(request, flag)`
pub(crate) fn set_yield<'c>(call: &Call<'c>) -> Result<Value<'c>, Misuse> {
    let handler = if call.truthy(1) { HandlerState::Yielding } else { HandlerState::Running };
    let mut environment = call.environment()?;
    let exchange = environment.live.request(call.number(0))?;
    // A route yields or not when its handler returns; later calls have no effect.
    if exchange.handler != HandlerState::Returned {
        exchange.handler = handler;
    }
    Ok(Value::UNDEFINED)
}
