//! `app.getStats()`: what an app has gone through, in numbers. Workers count what only they see (`bridge/tally`); what the
//! application was told is counted here, so that the two always agree.

use std::time::Instant;

use crate::bridge::id::AppId;
use crate::bridge::sync::Arc;
use crate::bridge::tally::{Counter, Tally};
use crate::node::environment::{Call, Environment};
use crate::node::error::Misuse;
use crate::node::js::{Env, Value};
use crate::node::state::workers::Workers;
use crate::protocol::cause::CloseCause;

/// The numbers of one app.
#[derive(Debug)]
pub struct Stats {
    started: Instant,
    /// What its workers count, by their number; empty until it has workers.
    tallies: Arc<[Arc<Tally>]>,
    websockets_open: u64,
    websockets: u64,
    /// WebSockets that closed, by the number of the cause.
    closes: [u64; CAUSES],
    /// Responses that were aborted, by the number of the cause.
    aborts: [u64; CAUSES],
    /// Messages that `send` did not accept.
    messages_dropped: u64,
    /// WebSocket handshakes that were answered with 400 or 426 for breaking a rule.
    handshakes_refused: u64,
}

impl Stats {
    /// Of an app that is being made.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "how old an app is, is no time of the engine")]
    pub fn start() -> Self {
        Self {
            started: Instant::now(),
            tallies: Arc::new([]),
            websockets_open: 0,
            websockets: 0,
            closes: [0; CAUSES],
            aborts: [0; CAUSES],
            messages_dropped: 0,
            handshakes_refused: 0,
        }
    }

    /// The app has got its workers, which it keeps.
    pub fn share(&mut self, workers: usize) {
        self.tallies = (0..workers).map(|_| Arc::default()).collect();
    }

    /// For the workers.
    #[must_use]
    pub fn tallies(&self) -> Arc<[Arc<Tally>]> {
        Arc::clone(&self.tallies)
    }

    /// A WebSocket has opened.
    pub const fn note_opened(&mut self) {
        self.websockets_open += 1;
        self.websockets += 1;
    }

    /// A WebSocket is closed.
    pub fn note_closed(&mut self, cause: CloseCause) {
        self.websockets_open -= 1;
        self.closes[cause.number() as usize] += 1;
    }

    /// A response is aborted.
    pub fn note_aborted(&mut self, cause: CloseCause) {
        self.aborts[cause.number() as usize] += 1;
    }

    /// `send` did not accept a message.
    pub const fn note_dropped(&mut self) {
        self.messages_dropped += 1;
    }

    /// A handshake was refused.
    pub const fn note_refused(&mut self) {
        self.handshakes_refused += 1;
    }

    fn sum(&self, counter: impl Fn(&Tally) -> &Counter) -> u64 {
        self.tallies.iter().map(|tally| counter(tally).get()).sum()
    }

    /// The counts, in the order of `lib/app/stats.js`.
    fn counts(&self) -> [u64; 13] {
        [
            self.sum(|tally| &tally.http_open),
            self.sum(|tally| &tally.connections),
            self.websockets_open,
            self.websockets,
            self.sum(|tally| &tally.requests),
            self.sum(|tally| &tally.messages_received),
            self.sum(|tally| &tally.messages_sent),
            self.sum(|tally| &tally.messages_dropped) + self.messages_dropped,
            self.sum(|tally| &tally.bytes_received),
            self.sum(|tally| &tally.bytes_sent),
            self.sum(|tally| &tally.tls_handshake_failures),
            self.handshakes_refused,
            self.sum(|tally| &tally.backlog),
        ]
    }

    /// Name and number of every rule that peers broke.
    fn refusals(&self) -> Vec<(&'static str, u64)> {
        let mut sums: Vec<(&str, u64)> = Vec::new();
        for tally in &*self.tallies {
            for (position, (name, count)) in tally.refusals().enumerate() {
                match sums.get_mut(position) {
                    Some((_, sum)) => *sum += count,
                    None => sums.push((name, count)),
                }
            }
        }
        sums.retain(|(_, count)| *count > 0);
        sums
    }
}

impl Environment {
    /// The numbers of an app; `None` if there is no such app.
    pub fn stats(&mut self, app: AppId) -> Option<&mut Stats> {
        self.apps.get_mut(app.app).map(|app| &mut app.stats)
    }

    /// Events that wait for a handler and their weight in bytes, commands that wait for a worker: of all apps together.
    fn queues(&self) -> [f64; 3] {
        let (events, weight, commands) = self.workers.waiting();
        [(self.dispatcher.remaining() + events) as f64, weight as f64, commands as f64]
    }
}

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
pub fn stats<'c>(call: &Call<'c>) -> Result<Value<'c>, Misuse> {
    let (env, mut environment) = (call.env(), call.environment()?);
    let queues = environment.queues();
    let times = processor_times(env, &environment.workers);
    let (_, app) = environment.app(call.number(0))?;
    let (uptime, numbers) = (app.stats.started.elapsed().as_secs_f64(), app.stats.counts());
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
pub fn watch_drops<'c>(call: &Call<'c>) -> Result<Value<'c>, Misuse> {
    let wanted = call.truthy(0);
    let mut environment = call.environment()?;
    environment.dispatcher.tells_drops = wanted;
    environment.workers.threads()?.pool.event_interest().set_dropped_messages(wanted);
    Ok(Value::UNDEFINED)
}

const CAUSES: usize = CloseCause::ALL.len();

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bridge::tally::RefusalCause;
    use crate::protocol::cause::Cause;
    use crate::protocol::http::error::HttpError;

    #[test]
    fn what_workers_and_this_thread_count_is_added_up() {
        let mut stats = Stats::start();
        stats.share(2);
        for (tally, count) in stats.tallies().iter().zip([1, 10]) {
            tally.messages_dropped.add(count);
            tally.count_refusal(RefusalCause::Http(HttpError::BareLf));
        }
        stats.note_dropped();
        stats.note_opened();
        stats.note_opened();
        stats.note_closed(CloseCause::Reset);
        let counts = stats.counts();
        assert_eq!((counts[2], counts[3], counts[7]), (1, 2, 12));
        assert_eq!(stats.refusals(), [(HttpError::BareLf.code(), 2)]);
        assert_eq!(stats.closes[CloseCause::Reset.number() as usize], 1);
    }
}
