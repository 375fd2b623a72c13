//! `app.getStats()`: the numbers of an app, and the queues of this thread.

use crate::node::environment::{Call, Environment};
use crate::node::error::Misuse;
use crate::node::js::{Env, Value};
use crate::node::state::apps::stats::CAUSES;
use crate::node::state::workers::Workers;

/// Processor time of every worker, in seconds; `undefined` where the system does not tell.
fn processor_times<'c>(env: Env<'c>, workers: &Workers) -> Vec<Value<'c>> {
    workers
        .all()
        .iter()
        .map(|worker| {
            worker.processor_time().map_or(Value::UNDEFINED, |time| env.from_number(time.as_secs_f64()))
        })
        .collect()
}

/// `appStats(app)`: the age of the app in seconds, its counts, the queues, `maxBufferedOutput`; then four arrays: closes and aborts by cause number, name and
/// number of the rules that were broken, processor times.
pub(crate) fn stats<'c>(call: &Call<'c>) -> Result<Value<'c>, Misuse> {
    let (env, mut environment) = (call.env(), call.environment()?);
    let queues = queues(&environment);
    let times = processor_times(env, &environment.workers);
    let (_, app) = environment.apps.app(call.number(0))?;
    let (uptime, numbers) = (app.stats.age().as_secs_f64(), app.stats.counts());
    let refusals = app.stats.refusals();
    let output = app.setup.max_buffered_output;
    let (closes, aborts) = (app.stats.closes, app.stats.aborts);
    drop(environment);
    let counts = |counts: [u64; CAUSES]| env.array(counts.map(|count| env.from_number(count as f64)));
    let refusals = refusals
        .into_iter()
        .flat_map(|(name, count)| [env.string(name.as_bytes()), env.from_number(count as f64)]);
    let lists = [counts(closes), counts(aborts), env.array(refusals), env.array(times)];
    // Exact up to 2^53, which is 9 petabytes.
    let numbers = numbers.into_iter().map(|count| count as f64);
    let numbers = [uptime]
        .into_iter()
        .chain(numbers)
        .chain(queues)
        .chain([output as f64])
        .map(|number| env.from_number(number));
    Ok(env.array(numbers.chain(lists)))
}

/// `watchDrops(wanted)`: whether every published message that is dropped is told (`MESSAGE_DROPPED` in `abi.rs`), or only where there is
/// a handler for it.
pub(crate) fn watch_drops<'c>(call: &Call<'c>) -> Result<Value<'c>, Misuse> {
    let wanted = call.truthy(0);
    let mut environment = call.environment()?;
    environment.dispatcher.tells_drops = wanted;
    environment.workers.threads()?.pool.event_interest().set_dropped_messages(wanted);
    Ok(Value::UNDEFINED)
}

/// Events that wait for a handler and their weight in bytes, commands that wait for a worker: of all apps together.
fn queues(environment: &Environment) -> [f64; 3] {
    let (events, weight, commands) = environment.workers.waiting();
    [(environment.dispatcher.remaining() + events) as f64, weight as f64, commands as f64]
}
