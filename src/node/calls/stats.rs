//! `app.getStats()`: the statistics of an app, and the queues of this thread.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::bridge::id::WorkerId;
use crate::broker::registry::Membership;
use crate::node::environment::{Call, Environment};
use crate::node::error::Misuse;
use crate::node::js::{Env, Value};
use crate::node::state::workers::Workers;

/// `appStats(app, all)`: what `getStats` returns, as three arrays. The first one has name and value in turn, where a
/// value may be an array of names and counts in turn, those of 0 only if `all` are asked for; the second one name,
/// processor time, leader, changes of the lead and seizures of every worker; the third one cause, seconds, count and text of every pattern.
pub(crate) fn stats<'c>(call: &Call<'c>) -> Result<Value<'c>, Misuse> {
    let (env, mut environment) = (call.env(), call.environment()?);
    // What waits for a broker is counted where that takes it from.
    environment.workers.flush_beyond();
    let queues = queues(&environment);
    let workers = workers(env, &environment.workers);
    let (_, app) = environment.apps.app(call.number(0))?;
    let (uptime, numbers) = (app.stats.age().as_secs_f64(), app.stats.counts());
    let (tables, patterns) = (app.stats.tables(call.truthy(1)), app.stats.patterns().to_vec());
    let output = app.setup.max_buffered_output;
    let broker = app.membership.as_ref().map(broker_numbers);
    drop(environment);
    let text = |text: &str| env.string(text.as_bytes());
    // Exact up to 2^53, which is 9 petabytes.
    let count = |count: u64| env.from_number(count as f64);
    let numbers = numbers.into_iter().chain(queues).chain([("queues.maxBufferedOutput", output)]);
    let numbers = numbers.map(|(place, number)| [text(place), count(number)]);
    let tables = tables.map(|(place, table)| {
        let entries = table.into_iter().flat_map(|(name, number)| [text(name), count(number)]);
        [text(place), env.array(entries)]
    });
    let uptime = [text("uptime"), env.from_number(uptime)];
    let broker = broker.into_iter().flat_map(|(name, state, numbers)| {
        let names = [("broker.name", &*name), ("broker.state", state)]
            .map(|(place, value)| [text(place), text(value)]);
        names.into_iter().chain(numbers.into_iter().map(|(place, number)| [text(place), count(number)]))
    });
    let entries = env.array([uptime].into_iter().chain(numbers).chain(tables).chain(broker).flatten());
    let patterns = patterns.into_iter().flat_map(|it| {
        let seconds = env.from_number(f64::from(it.seconds()));
        [text(it.cause.verdict().name), seconds, count(it.count), text(&it.text())]
    });
    Ok(env.array([entries, env.array(workers.into_iter().flatten()), env.array(patterns)]))
}

/// `appHistograms(app)`: of every histogram its name, who ended the WebSockets, the bounds, the counts between them, and
/// the sum, in turn.
pub(crate) fn histograms<'c>(call: &Call<'c>) -> Result<Value<'c>, Misuse> {
    let (env, mut environment) = (call.env(), call.environment()?);
    let (_, app) = environment.apps.app(call.number(0))?;
    let histograms = app.stats.histograms().flat_map(|(name, initiator, it)| {
        let bounds = it.bounds().map(|bound| env.from_number(bound));
        let counts = it.counts().iter().map(|count| env.from_number(*count as f64));
        let (name, initiator) = (env.string(name.as_bytes()), env.string(initiator.name().as_bytes()));
        [name, initiator, env.array(bounds), env.array(counts), env.from_number(it.sum())]
    });
    Ok(env.array(histograms))
}

/// `watchDrops(wanted)`: whether every published message that is dropped is reported (`MESSAGE_DROPPED`), or only where
/// there is a handler for it.
pub(crate) fn watch_drops<'c>(call: &Call<'c>) -> Result<Value<'c>, Misuse> {
    let wanted = call.truthy(0);
    let mut environment = call.environment()?;
    environment.dispatcher.reports_drops = wanted;
    environment.workers.threads()?.pool.event_interest().set_dropped_messages(wanted);
    Ok(Value::UNDEFINED)
}

/// The name of a broker, its state, and its numbers.
fn broker_numbers(membership: &Membership) -> (String, &'static str, Vec<(&'static str, u64)>) {
    let name = membership.name().to_owned();
    let mut numbers =
        vec![("broker.apps", membership.members() as u64), ("broker.topics", membership.topics() as u64)];
    let Some(network) = membership.network() else { return (name, "local", numbers) };
    let (current, (pending, dropped)) = (network.status().current(), network.waiting());
    let counts = &network.status().counts;
    let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
    numbers.extend([
        ("broker.since", current.since),
        ("broker.subscribed", read(&counts.subscribed)),
        ("broker.messages.sent", read(&counts.sent)),
        ("broker.messages.received", read(&counts.received)),
        ("broker.lost.sent", dropped + read(&counts.refused)),
        ("broker.lost.received", read(&counts.missed)),
        ("broker.bytes.sent", read(&counts.bytes_sent)),
        ("broker.bytes.received", read(&counts.bytes_received)),
        ("broker.pending", pending as u64),
        ("broker.reconnects", read(&counts.reconnects)),
    ]);
    (name, current.state, numbers)
}

/// Events that wait for a handler and their weight in bytes, commands that wait for a worker: of all apps together.
fn queues(environment: &Environment) -> [(&'static str, u64); 3] {
    let (events, weight, commands) = environment.workers.waiting();
    [
        ("queues.events", (environment.dispatcher.remaining() + events) as u64),
        ("queues.eventBytes", weight as u64),
        ("queues.commands", commands as u64),
    ]
}

/// Of every worker the name, the processor time of its thread in seconds (`undefined` where the system does not report it),
/// who leads it (`undefined` while it does not run), how often the lead has changed, and how often of these the thread seized
/// it.
fn workers<'c>(env: Env<'c>, workers: &Workers) -> Vec<[Value<'c>; 5]> {
    (0..)
        .zip(workers.all())
        .map(|(number, worker)| {
            let time = worker.processor_time();
            let time = time.map_or(Value::UNDEFINED, |time| env.from_number(time.as_secs_f64()));
            let leader = worker.reactor().map_or(Value::UNDEFINED, |reactor| {
                env.string(if reactor.is_led_by_node() { b"node" } else { &b"thread"[..] })
            });
            let (switches, seizures) = worker.switches();
            let [switches, seizures] = [switches, seizures].map(|count| env.from_number(count as f64));
            [env.string(WorkerId(number).thread_name().as_bytes()), time, leader, switches, seizures]
        })
        .collect()
}
