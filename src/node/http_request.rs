//! `HttpRequest`: a snapshot of the request head, readable until the response is over and the handler has returned (S12).

use super::environment::Environment;
use super::error::Misuse;
use super::handles::Handle;
use super::http_response::{Exchange, HandlerState};
use super::raw::{Call, Type, Value};

impl Environment {
    /// The request of a handle, if it may still be read.
    ///
    /// # Errors
    /// [`Misuse::request_closed`]
    pub fn request(&mut self, number: f64) -> Result<&mut Exchange, Misuse> {
        let handle = Handle::from_number(number).ok_or_else(Misuse::request_closed)?;
        self.exchanges.get_mut(handle).map(|exchange| &mut **exchange).ok_or_else(Misuse::request_closed)
    }
}

/// `reqMethod(request, caseSensitive)`
pub fn method<'c>(call: &Call<'c>) -> Result<Value<'c>, Misuse> {
    let mut environment = call.environment()?;
    let exchange = environment.request(call.number(0))?;
    let method = exchange.method.of(&exchange.head);
    if call.truthy(1) {
        Ok(call.env().latin1(method))
    } else {
        Ok(call.env().latin1(&method.to_ascii_lowercase()))
    }
}

/// `reqUrl(request)`: the path, raw.
pub fn url<'c>(call: &Call<'c>) -> Result<Value<'c>, Misuse> {
    let mut environment = call.environment()?;
    let exchange = environment.request(call.number(0))?;
    Ok(call.env().latin1(exchange.path.of(&exchange.head)))
}

/// `reqQuery(request, key?)`: everything after `?`, raw; or one decoded value.
pub fn query<'c>(call: &Call<'c>) -> Result<Value<'c>, Misuse> {
    let (env, key) = (call.env(), call.argument(1));
    let mut environment = call.environment()?;
    let exchange = environment.request(call.number(0))?;
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

/// The first value of a key, with `+` and `%XX` decoded. A malformed `%` stands for itself.
pub(super) fn query_value(query: &[u8], key: &[u8]) -> Option<Vec<u8>> {
    let pairs = query.split(|byte| *byte == b'&').map(|pair| {
        let cut = memchr::memchr(b'=', pair).unwrap_or(pair.len());
        (&pair[..cut], pair.get(cut + 1..).unwrap_or_default())
    });
    pairs.into_iter().find(|(name, _)| *name == key || decode(name) == key).map(|(_, value)| decode(value))
}

fn decode(text: &[u8]) -> Vec<u8> {
    let mut decoded = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        match (byte, after) {
            (b'+', _) => decoded.push(b' '),
            (b'%', [high, low, after @ ..]) if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => {
                decoded.push(hex(*high) << 4 | hex(*low));
                rest = after;
            }
            (byte, _) => decoded.push(byte),
        }
    }
    decoded
}

/// The value of a hexadecimal digit.
fn hex(digit: u8) -> u8 {
    match digit {
        b'0'..=b'9' => digit - b'0',
        _ => (digit | 0x20) - b'a' + 10,
    }
}

/// `reqHeader(request, lowerCaseName)`: the first value, '' if there is none.
pub fn header<'c>(call: &Call<'c>) -> Result<Value<'c>, Misuse> {
    let mut environment = call.environment()?;
    let exchange = environment.request(call.number(0))?;
    let mut name = Vec::new();
    call.env().append_text_or_data(call.argument(1), &mut name)?;
    Ok(call.env().latin1(exchange.request_field(&name).unwrap_or_default()))
}

/// `reqHeaders(request)`: names and values in turn, in wire order.
pub fn headers<'c>(call: &Call<'c>) -> Result<Value<'c>, Misuse> {
    let mut environment = call.environment()?;
    let exchange = environment.request(call.number(0))?;
    let env = call.env();
    let head = &exchange.head;
    let items = exchange
        .request_fields
        .iter()
        .flat_map(|field| [env.string(field.name.of(head)), env.string(field.value.of(head))]);
    Ok(env.array(items))
}

/// `reqParameter(request, indexOrName)`: raw, '' if there is none.
pub fn parameter<'c>(call: &Call<'c>) -> Result<Value<'c>, Misuse> {
    let (env, which) = (call.env(), call.argument(1));
    let mut environment = call.environment()?;
    let exchange = environment.request(call.number(0))?;
    let path = exchange.path.of(&exchange.head);
    let value = match env.number(which) {
        // A negative or fractional index, or NaN, is no parameter's: the cast makes it 0 or cuts it, so check.
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
pub fn set_yield<'c>(call: &Call<'c>) -> Result<Value<'c>, Misuse> {
    let handler = if call.truthy(1) { HandlerState::Yielding } else { HandlerState::Running };
    let mut environment = call.environment()?;
    let exchange = environment.request(call.number(0))?;
    // Once the handler has returned it is too late (S13).
    if exchange.handler != HandlerState::Returned {
        exchange.handler = handler;
    }
    Ok(Value::UNDEFINED)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(query: &str, key: &str) -> Option<String> {
        query_value(query.as_bytes(), key.as_bytes()).map(|value| String::from_utf8(value).unwrap())
    }

    #[test]
    fn query_values_are_decoded() {
        assert_eq!(value("a=1&b=x+y%20z", "b").as_deref(), Some("x y z"));
        assert_eq!(value("a=1&a=2", "a").as_deref(), Some("1"));
        assert_eq!(value("a", "a").as_deref(), Some(""));
        assert_eq!(value("a=", "a").as_deref(), Some(""));
        assert_eq!(value("%61=5", "a").as_deref(), Some("5"));
        assert_eq!(value("a=%zz%4", "a").as_deref(), Some("%zz%4"));
        assert_eq!(value("a=%C3%A9", "a").as_deref(), Some("é"));
        assert_eq!(value("ab=1", "a"), None);
        assert_eq!(value("", "a"), None);
    }
}
