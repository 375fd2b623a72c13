//! The broker of an app: the group of apps with which it shares its topics.

use crate::bridge::sync::Arc;
use crate::broker::name;
use crate::broker::registry::Registry;
use crate::node::environment::Call;
use crate::node::error::Misuse;
use crate::node::js::{Range, Value};

/// `appJoin(app, name)`: shares the topics of the app with all apps of this name, until it or its environment ends.
pub(crate) fn join<'c>(call: &Call<'c>) -> Result<Value<'c>, Misuse> {
    let text = call.text(1)?;
    if !name::is_valid(text.as_bytes()) {
        return Err(Misuse::invalid_value(format!(
            "broker.name must consist of 1 to {} letters, digits, hyphens and underscores of ASCII",
            name::MAX_LENGTH
        )));
    }
    let mut environment = call.environment()?;
    let peers = Arc::clone(environment.workers.threads()?.pool.peers());
    let (_, app) = environment.apps.app(call.number(0))?;
    app.membership = Some(Registry::shared().join(&text, peers));
    Ok(Value::UNDEFINED)
}

/// `appCount(app, topic, timeout)`: the subscribers of a topic in all apps with which the app shares it.
pub(crate) fn count<'c>(call: &Call<'c>) -> Result<Value<'c>, Misuse> {
    let topic = call.bytes(1)?;
    call.integer(2, "timeout", TIMEOUT)?;
    let mut environment = call.environment()?;
    let (number, app) = environment.apps.app(call.number(0))?;
    let count = match &app.membership {
        // Exact up to 2^53.
        Some(membership) => membership.count(&topic) as f64,
        None => f64::from(environment.pubsub.count(number, &topic)),
    };
    Ok(call.env().from_number(count))
}

/// How long other apps have to answer, in milliseconds. Those of the own process need no time.
const TIMEOUT: Range = Range { min: 1, max: 2_147_483_647, default: 1_000 };
