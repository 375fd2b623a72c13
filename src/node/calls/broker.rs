//! The broker of an app: the group of apps with which it shares its topics.

use std::time::Duration;

use crate::bridge::sync::Arc;
use crate::broker::name;
use crate::broker::network::Options;
use crate::broker::registry::{Home, JoinError, Membership, Registry};
use crate::broker::url::BrokerUrl;
use crate::node::environment::Call;
use crate::node::error::{Misuse, code_of};
use crate::node::js::{Range, Value};

/// `appJoin(app, name, url, maxPending)`: shares the topics of the app with all apps of this name, until it or its
/// environment ends: with those of this process, and with those of others by the broker at `url`, if there is one.
pub(crate) fn join<'c>(call: &Call<'c>) -> Result<Value<'c>, Misuse> {
    let text = call.text(1)?;
    if !name::is_valid(text.as_bytes()) {
        return Err(Misuse::invalid_value(format!(
            "broker.name must consist of 1 to {} letters, digits, hyphens and underscores of ASCII",
            name::MAX_LENGTH
        )));
    }
    // The range fits.
    let max_pending = call.integer(3, "broker.maxPending", MAX_PENDING)? as usize;
    let url = call.optional_text(2)?.map(|url| BrokerUrl::parse(&url)).transpose();
    let url = url.map_err(|error| Misuse::invalid_value(format!("broker.url cannot be used: {error}")))?;
    let options = url.map(|url| Options { url, max_pending });
    let mut environment = call.environment()?;
    let threads = environment.workers.threads()?;
    let (peers, events) = (Arc::clone(threads.pool.peers()), Arc::clone(&threads.broker_events));
    let home = Home { peers, events, journal: Some(Arc::clone(&threads.journal)) };
    let (_, app) = environment.apps.app(call.number(0))?;
    app.membership = Some(Registry::shared().join(&text, options, home).map_err(refused)?);
    Ok(Value::UNDEFINED)
}

fn refused(error: JoinError) -> Misuse {
    match error {
        JoinError::Mismatch => Misuse::invalid_value(
            "broker: other apps of this process have the same name and another url or maxPending",
        ),
        JoinError::System(error) => {
            Misuse::system(code_of(&error), format!("no thread for the broker: {error}"))
        }
    }
}

/// `appCount(app, topic)`: the subscribers of a topic in all apps of the process with which the app shares it.
pub(crate) fn count<'c>(call: &Call<'c>) -> Result<Value<'c>, Misuse> {
    let topic = call.bytes(1)?;
    let mut environment = call.environment()?;
    let (number, app) = environment.apps.app(call.number(0))?;
    let count = match &app.membership {
        // Exact up to 2^53.
        Some(membership) => membership.count(&topic) as f64,
        None => f64::from(environment.pubsub.count(number, &topic)),
    };
    Ok(call.env().from_number(count))
}

/// `appAsk(app, topic, question, timeout)`: asks other processes, too. Returns the time to wait for the step `COUNTED`
/// of this question, a number, in milliseconds; 0 if there are none to ask.
pub(crate) fn ask<'c>(call: &Call<'c>) -> Result<Value<'c>, Misuse> {
    let (topic, question) = (call.bytes(1)?, call.number(2));
    let timeout = call.integer(3, "timeout", TIMEOUT)?;
    let mut environment = call.environment()?;
    let (_, app) = environment.apps.app(call.number(0))?;
    let ask = |it: &Membership| it.ask(question as u64, topic, Duration::from_millis(timeout));
    let is_asked = app.membership.as_ref().is_some_and(ask);
    Ok(call.env().from_number(if is_asked { timeout as f64 } else { 0.0 }))
}

/// How long other processes have to answer, in milliseconds.
const TIMEOUT: Range = Range { min: 1, max: 2_147_483_647, default: 1_000 };
/// Bytes of messages that wait for a broker.
const MAX_PENDING: Range = Range { min: 0, max: 1 << 30, default: 1 << 20 };
