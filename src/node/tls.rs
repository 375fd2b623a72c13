//! `SSLApp`: apps that speak TLS.

use std::time::{Duration, SystemTime};

use super::environment::Environment;
use super::error::Misuse;
use super::option::{Range, integer};
use super::raw::{Call, Env, Value};
use super::tls_options::{Refusal, read};
use crate::bridge::sync::Arc;
use crate::io::tls::names::ServerNames;
use crate::io::tls::options::{Evaluation, Options, Settings};
use crate::io::tls::setup::{HandshakeLimits, TlsSetup};

/// `appSecure(app, options, handshakeTimeout, maxHandshakes)`: the app speaks TLS from now on. Called before it can have
/// connections.
pub fn secure<'c>(call: &Call<'c>) -> Result<Value<'c>, Misuse> {
    let env = call.env();
    let limits = handshake_limits(env, call.argument(2), call.argument(3))?;
    let options = read(env, call.argument(1)).map_err(|refusal| refusal.thrown(CONSTRUCTION))?;
    let mut environment = call.environment()?;
    let settings = environment.evaluate(&options, None, CONSTRUCTION)?;
    let config = settings.server_config().map_err(|error| Refusal::from(error).thrown(CONSTRUCTION))?;
    let (_, app) = environment.app(call.number(0))?;
    app.setup.tls = Some(Arc::new(TlsSetup::new(ServerNames::new(config), limits)));
    Ok(Value::UNDEFINED)
}

impl Environment {
    /// What options come to. Remarks go to the log.
    #[expect(clippy::disallowed_methods, reason = "the date of a certificate is no time of the engine")]
    fn evaluate(
        &self,
        options: &Options,
        base: Option<&Settings>,
        what: &'static str,
    ) -> Result<Settings, Misuse> {
        let Evaluation { settings, remarks } = Settings::evaluate(options, base, SystemTime::now())
            .map_err(|error| Refusal::from(error).thrown(what))?;
        if let Some(threads) = &self.threads {
            for remark in remarks {
                threads.journal.hear(|| tracing::warn!(remark, "{what}"));
            }
        }
        Ok(settings)
    }
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
/// What fails with the options of an app. The words are those of uWebSockets.js.
const CONSTRUCTION: &str = "App construction";
