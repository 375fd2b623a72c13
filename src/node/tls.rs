//! `SSLApp`: apps that speak TLS.

use std::path::Path;
use std::time::Duration;

use super::error::Misuse;
use super::option::{Range, integer};
use super::raw::{Call, Env, Value};
use crate::bridge::sync::Arc;
use crate::io::tls::identity::load;
use crate::io::tls::names::ServerNames;
use crate::io::tls::setup::{HandshakeLimits, TlsSetup};

/// `appSecure(app, key_file_name, cert_file_name, handshakeTimeout, maxHandshakes)`: the app speaks TLS from now on.
/// Called before it can have connections.
pub fn secure<'c>(call: &Call<'c>) -> Result<Value<'c>, Misuse> {
    let env = call.env();
    let (key, chain) = (path(env, call.argument(1))?, path(env, call.argument(2))?);
    let limits = handshake_limits(env, call.argument(3), call.argument(4))?;
    let config = load(Path::new(&key), Path::new(&chain))
        .map_err(|error| Misuse::system("ERR_TLS_IDENTITY", format!("App construction failed: {error}")))?;
    let mut environment = call.environment()?;
    let setup = Arc::new(TlsSetup::new(ServerNames::new(config), limits));
    environment.app(call.number(0))?.1.setup.tls = Some(setup);
    Ok(Value::UNDEFINED)
}

fn path(env: Env<'_>, value: Value<'_>) -> Result<String, Misuse> {
    let mut text = Vec::new();
    env.append_text_or_data(value, &mut text)?;
    Ok(String::from_utf8_lossy(&text).into_owned())
}

/// What clients may take before anything is known of them (docs/limits.md).
fn handshake_limits(env: Env<'_>, timeout: Value<'_>, most: Value<'_>) -> Result<HandshakeLimits, Misuse> {
    let timeout = integer(env, timeout, "handshakeTimeout", TIMEOUT)?;
    let most = integer(env, most, "maxHandshakes", MOST)?;
    let timeout = (timeout > 0).then(|| Duration::from_millis(timeout));
    Ok(HandshakeLimits { timeout, most })
}

/// Milliseconds, 0 being for ever. Timers of Node have the same limit.
const TIMEOUT: Range = Range { least: 0, most: (1 << 31) - 1, default: 10_000 };
/// Handshakes of an app at the same time.
const MOST: Range = Range { least: 1, most: u32::MAX as u64, default: 4096 };
