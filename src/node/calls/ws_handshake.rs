//! The opening handshakes of `ferrows/ws`, whose HTTP is Node's: what `lib/ws` asks about a request and a response.

use crate::node::environment::Call;
use crate::node::error::Misuse;
use crate::node::js::{Env, OptionName, Options, Range, Type, Value, option_names};
use crate::protocol::websocket::Agreement;
use crate::protocol::websocket::deflate_policy::{DeflatePolicy, Window};
use crate::protocol::websocket::handshake::accept_key;
use crate::protocol::websocket::ws_handshake::{self, Response};

option_names! {
    /// The options of `perMessageDeflate` that are negotiated.
    DeflateOption {
        ServerNoContextTakeover "serverNoContextTakeover",
        ClientNoContextTakeover "clientNoContextTakeover",
        ServerMaxWindowBits "serverMaxWindowBits",
        ClientMaxWindowBits "clientMaxWindowBits",
    }
}

/// `wsAccept(key)`: the `Sec-WebSocket-Accept` that answers a key.
pub(crate) fn accept<'c>(call: &Call<'c>) -> Result<Value<'c>, Misuse> {
    let accept = accept_key(&call.bytes(0)?).unwrap_or_default();
    Ok(call.env().string(accept.as_bytes()))
}

/// `wsCheckRequest(method, upgrade, key, version)`: the version, or `[status, text]` of the answer that refuses the
/// request.
pub(crate) fn check_request<'c>(call: &Call<'c>) -> Result<Value<'c>, Misuse> {
    let env = call.env();
    let method = call.text(0)?;
    let [upgrade, key, version] = [call.optional_text(1)?, call.optional_text(2)?, call.optional_text(3)?];
    let checked =
        ws_handshake::check_request(&method, upgrade.as_deref(), key.as_deref(), version.as_deref());
    Ok(match checked {
        Ok(version) => env.from_number(f64::from(version)),
        Err(error) => {
            let text = env.string(error.to_string().as_bytes());
            env.array([env.from_number(f64::from(error.status())), text])
        }
    })
}

/// `wsSubprotocols(header)`: the subprotocols of a client in their order; `undefined` if the header is invalid.
pub(crate) fn subprotocols<'c>(call: &Call<'c>) -> Result<Value<'c>, Misuse> {
    let (env, header) = (call.env(), call.text(0)?);
    let Some(names) = ws_handshake::subprotocols(&header) else { return Ok(Value::UNDEFINED) };
    Ok(env.array(names.into_iter().map(|name| env.string(name.as_bytes()))))
}

/// `wsAgree(offers, policy)`: `[answer, agreement]`, empty if permessage-deflate is not offered; `undefined` if no
/// offer is valid and acceptable.
pub(crate) fn agree<'c>(call: &Call<'c>) -> Result<Value<'c>, Misuse> {
    let (env, offers) = (call.env(), call.bytes(0)?);
    let policy = policy(env, call.argument(1))?;
    Ok(match policy.accept(&offers) {
        Ok(Some(agreement)) => {
            let answer = env.string(agreement.answer().as_bytes());
            env.array([answer, env.from_number(f64::from(agreement.to_bits()))])
        }
        Ok(None) => env.array([]),
        Err(_) => Value::UNDEFINED,
    })
}

/// `wsOffer(policy)`: the `Sec-WebSocket-Extensions` of a client.
pub(crate) fn offer<'c>(call: &Call<'c>) -> Result<Value<'c>, Misuse> {
    let policy = policy(call.env(), call.argument(0))?;
    Ok(call.env().string(policy.offer().as_bytes()))
}

/// `wsCheckResponse([upgrade, accept, subprotocol, extensions], key, subprotocols, policy)`: the agreement, `undefined`
/// if there is none; or the text of the error. `subprotocols` is an array whose first element is their number, `policy`
/// is `undefined` if permessage-deflate was not offered.
pub(crate) fn check_response<'c>(call: &Call<'c>) -> Result<Value<'c>, Misuse> {
    let env = call.env();
    let field = |index| {
        let value = env.element(call.argument(0), index);
        if env.type_of(value) == Type::Nothing { Ok(None) } else { env.text(value).map(Some) }
    };
    let [upgrade, accept, subprotocol, extensions] = [field(0)?, field(1)?, field(2)?, field(3)?];
    let key = call.text(1)?;
    let count = env.number(env.element(call.argument(2), 0)).unwrap_or(0.0) as u32;
    let offered: Result<Vec<String>, Misuse> =
        (1..=count).map(|index| env.text(env.element(call.argument(2), index))).collect();
    let has_policy = env.type_of(call.argument(3)) != Type::Nothing;
    let policy = has_policy.then(|| policy(env, call.argument(3))).transpose()?;
    let response = Response {
        upgrade: upgrade.as_deref(),
        accept: accept.as_deref(),
        subprotocol: subprotocol.as_deref(),
        extensions: extensions.as_deref(),
    };
    Ok(match ws_handshake::check_response(&response, &key, &offered?, policy) {
        Ok(agreement) => agreement_value(env, agreement),
        Err(error) => env.string(error.to_string().as_bytes()),
    })
}

fn agreement_value(env: Env<'_>, agreement: Option<Agreement>) -> Value<'_> {
    agreement.map_or(Value::UNDEFINED, |agreement| env.from_number(f64::from(agreement.to_bits())))
}

/// An agreement that one of these functions has returned.
pub(crate) fn agreement_argument(env: Env<'_>, value: Value<'_>) -> Option<Agreement> {
    env.number(value).and_then(|bits| Agreement::from_bits(bits as u32))
}

/// The options of a `perMessageDeflate`, in the order of [`DeflateOption`].
fn policy(env: Env<'_>, values: Value<'_>) -> Result<DeflatePolicy, Misuse> {
    use DeflateOption as Name;
    let options = Options::new(env, values);
    let flag = |name| options.is_given(name).then(|| options.truthy(name));
    Ok(DeflatePolicy {
        server_no_context_takeover: flag(Name::ServerNoContextTakeover),
        client_no_context_takeover: flag(Name::ClientNoContextTakeover),
        server_max_window_bits: window(env, &options, Name::ServerMaxWindowBits)?,
        client_max_window_bits: window(env, &options, Name::ClientMaxWindowBits)?,
    })
}

/// A number of bits, or whether the parameter may be used.
fn window(env: Env<'_>, options: &Options<'_, DeflateOption>, name: DeflateOption) -> Result<Window, Misuse> {
    if env.number(options.get(name)).is_none() {
        let is_refused = options.is_given(name) && !options.truthy(name);
        return Ok(if is_refused { Window::Refused } else { Window::Any });
    }
    let bits = options.integer(name, Range { min: 8, max: 15, default: 15 })?;
    // The range fits.
    Ok(Window::Bits(bits as u8))
}
