//! `SSLApp`: apps that speak TLS, their certificates and their server names.

use std::time::{Duration, SystemTime};

use crate::bridge::sync::Arc;
use crate::node::calls::routes::drop_route;
use crate::node::calls::tls_options::{Refusal, read};
use crate::node::environment::Call;
use crate::node::error::Misuse;
use crate::node::js::{Env, Range, Type, Value};
use crate::node::state::apps::app::App;
use crate::node::state::handles::JsHandle;
use crate::node::state::workers::Workers;
use crate::tls::key_usage;
use crate::tls::names::{DomainConfig, ServerNames, normalize};
use crate::tls::options::{Evaluation, Options, Settings};
use crate::tls::quic_keys::QuicKeys;
use crate::tls::setup::{HandshakeLimits, TlsSetup};

/// `appSecure(app, options, handshakeTimeout, maxHandshakes)`: the app speaks TLS from now on. Called before it can
/// have connections.
pub(crate) fn secure<'c>(call: &Call<'c>) -> Result<Value<'c>, Misuse> {
    let env = call.env();
    let limits = handshake_limits(env, call.argument(2), call.argument(3))?;
    let options = read(env, call.argument(1)).map_err(|refusal| refusal.thrown(CONSTRUCTION))?;
    let mut environment = call.environment()?;
    let setup = &environment.apps.app(call.number(0))?.1.setup;
    let (speaks_http2, speaks_http3) = (setup.http2.is_some(), setup.http3.is_some());
    let mut settings = evaluate(&options, None, &environment.workers, CONSTRUCTION)?;
    (settings.speaks_http2, settings.speaks_http3) = (speaks_http2, speaks_http3);
    let config = settings.server_configs().map_err(|error| Refusal::from(error).thrown(CONSTRUCTION))?;
    let (_, app) = environment.apps.app(call.number(0))?;
    let mut setup = TlsSetup::new(ServerNames::new(config), limits);
    if speaks_http3 {
        setup.quic = options.key.as_ref().map(|key| QuicKeys::derive(&key.text));
    }
    app.setup.tls = Some(Arc::new(setup));
    app.domains.settings = Some(settings);
    Ok(Value::UNDEFINED)
}

/// `appServerName(app, name, options)`: adds a server name, or replaces its settings. Does nothing for an app without
/// TLS, whose clients send no server name.
pub(crate) fn add_server_name<'c>(call: &Call<'c>) -> Result<Value<'c>, Misuse> {
    let (env, pattern) = (call.env(), pattern_argument(call, 1)?);
    let mut environment = call.environment()?;
    let (_, app) = environment.apps.app(call.number(0))?;
    let Some(base) = app.domains.settings.clone() else { return Ok(Value::UNDEFINED) };
    // The state cannot be borrowed twice: reading options runs no JavaScript.
    let options = read(env, call.argument(2)).map_err(|refusal| refusal.thrown("addServerName"))?;
    let settings = evaluate(&options, Some(&base), &environment.workers, "addServerName")?;
    set_domain(environment.apps.app(call.number(0))?.1, pattern, settings, "addServerName")?;
    Ok(Value::UNDEFINED)
}

/// `tlsLowerRecordLimit(count)`: limits the keys of TLS 1.2 to `count` records, for the whole process and permanently.
/// For tests only: see [`key_usage`].
pub(crate) fn lower_record_limit<'c>(call: &Call<'c>) -> Result<Value<'c>, Misuse> {
    key_usage::lower_limit(call.number(0) as u64);
    Ok(Value::UNDEFINED)
}

/// `appRemoveServerName(app, name)`: returns the numbers of the handlers that this removes.
pub(crate) fn remove_server_name<'c>(call: &Call<'c>) -> Result<Value<'c>, Misuse> {
    let (env, pattern) = (call.env(), pattern_argument(call, 1)?);
    let mut environment = call.environment()?;
    let (_, app) = environment.apps.app(call.number(0))?;
    if let Some(tls) = &app.setup.tls {
        tls.names.remove(&pattern);
    }
    let handlers = app.domains.remove(&pattern).map(|router| router.handlers()).unwrap_or_default();
    let removed: Vec<_> = handlers.into_iter().map(|handler| drop_route(&mut environment, handler)).collect();
    Ok(env.array(removed.into_iter().map(|id| env.from_number(id as f64))))
}

/// `appCertificate(app, name, options)`: new handshakes use another certificate: those for one server name or, without
/// a name, those that use the default.
pub(crate) fn set_certificate<'c>(call: &Call<'c>) -> Result<Value<'c>, Misuse> {
    let env = call.env();
    let pattern = match env.type_of(call.argument(1)) {
        Type::Nothing => None,
        Type::Number | Type::String | Type::Boolean | Type::Other => Some(pattern_argument(call, 1)?),
    };
    let mut environment = call.environment()?;
    let (_, app) = environment.apps.app(call.number(0))?;
    let (Some(tls), Some(base)) = (app.setup.tls.clone(), app.domains.settings.as_ref()) else {
        return Err(Misuse::invalid_state("setCertificate failed: this app does not speak TLS"));
    };
    let base = match &pattern {
        None => base.clone(),
        Some(pattern) => app.domains.settings_of(pattern).cloned().ok_or_else(|| {
            let text = format!("setCertificate failed: there is no server name '{pattern}'");
            Misuse::system("ERR_TLS_SERVER_NAME", text)
        })?,
    };
    let options = read(env, call.argument(2)).map_err(|refusal| refusal.thrown("setCertificate"))?;
    let settings = evaluate(&options, Some(&base), &environment.workers, "setCertificate")?;
    match pattern {
        Some(pattern) => {
            set_domain(environment.apps.app(call.number(0))?.1, pattern, settings, "setCertificate")?
        }
        None => {
            let config =
                settings.server_configs().map_err(|error| Refusal::from(error).thrown("setCertificate"))?;
            tls.names.set_default(config);
            environment.apps.app(call.number(0))?.1.domains.settings = Some(settings);
        }
    }
    Ok(Value::UNDEFINED)
}

/// `appDomain(app, name)`: later calls edit the routes of the server name that matches this one; those of the app if
/// only the default does.
pub(crate) fn select_domain<'c>(call: &Call<'c>) -> Result<Value<'c>, Misuse> {
    let name = call.bytes(1)?;
    let mut environment = call.environment()?;
    let (_, app) = environment.apps.app(call.number(0))?;
    let answer = app.setup.tls.as_ref().and_then(|tls| tls.names.find(&String::from_utf8_lossy(&name)));
    app.domains.select(answer.and_then(|answer| answer.domain));
    Ok(Value::UNDEFINED)
}

/// `appAskForNames(app)`: from now on handshakes with an unknown server name wait until the handler for missing server
/// names has run.
pub(crate) fn ask_for_names<'c>(call: &Call<'c>) -> Result<Value<'c>, Misuse> {
    let mut environment = call.environment()?;
    let (_, app) = environment.apps.app(call.number(0))?;
    if let Some(tls) = &app.setup.tls {
        tls.names.ask_for_unknown_names();
    }
    Ok(Value::UNDEFINED)
}

/// `handshakeResume(handshake)`: the handler for missing server names has run: the handshake continues, unless it has
/// ended.
pub(crate) fn resume<'c>(call: &Call<'c>) -> Result<Value<'c>, Misuse> {
    let mut guard = call.environment()?;
    let environment = &mut *guard;
    if let Some(handle) = call.handle::<JsHandle>(0) {
        environment.handshakes.resume(handle, &mut environment.workers);
        environment.workers.settle();
    }
    Ok(Value::UNDEFINED)
}

/// The TLS settings that options result in. Remarks go to the log.
#[expect(clippy::disallowed_methods, reason = "the date of a certificate is no time of the engine")]
fn evaluate(
    options: &Options,
    base: Option<&Settings>,
    workers: &Workers,
    what: &'static str,
) -> Result<Settings, Misuse> {
    let Evaluation { settings, remarks } = Settings::evaluate(options, base, SystemTime::now())
        .map_err(|error| Refusal::from(error).thrown(what))?;
    if let Some(journal) = workers.journal() {
        for remark in remarks {
            journal.scope(|| tracing::warn!(call = what, remark, "questionable TLS option"));
        }
    }
    Ok(settings)
}

fn set_domain(app: &mut App, pattern: String, settings: Settings, what: &'static str) -> Result<(), Misuse> {
    let config = settings.server_configs().map_err(|error| Refusal::from(error).thrown(what))?;
    let domain = Some(app.domains.set(pattern.clone(), settings));
    if let Some(tls) = &app.setup.tls {
        tls.names.set(&pattern, &DomainConfig { config, domain });
    }
    Ok(())
}

fn pattern_argument(call: &Call<'_>, index: usize) -> Result<String, Misuse> {
    let name = call.text(index)?;
    normalize(&name).map_err(|_| {
        Misuse::invalid_value(format!(
            "a server name is made of labels between dots, each of them a name or '*', not {name:?}"
        ))
    })
}

/// The limits of clients before their handshake is complete (docs/limits.md).
fn handshake_limits(env: Env<'_>, timeout: Value<'_>, max: Value<'_>) -> Result<HandshakeLimits, Misuse> {
    let timeout = env.integer(timeout, "handshakeTimeout", TIMEOUT)?;
    let max = env.integer(max, "maxHandshakes", MAX_HANDSHAKES)?;
    let timeout = (timeout > 0).then(|| Duration::from_millis(timeout));
    Ok(HandshakeLimits { timeout, max })
}

/// Milliseconds; 0 means no limit. The largest value is that of Node's timers.
const TIMEOUT: Range = Range { min: 0, max: (1 << 31) - 1, default: 10_000 };
/// Concurrent handshakes of an app.
const MAX_HANDSHAKES: Range = Range { min: 1, max: u32::MAX as u64, default: 4096 };
/// What fails if the options of an app are refused. The words are those of uWebSockets.js.
const CONSTRUCTION: &str = "App construction";
