//! The outgoing connects of one worker. Each is a task of the process's [`Runtime`], which runs from resolving the host
//! name to reading the server's response. The worker then takes the socket over and serves it like any other
//! connection.
//!
//! ```text
//!   Command::Connect ─► task: resolver ─► dial (addresses) ─► secure (TLS) ─► handshake (request, response) ─► Inbox
//!                                                                                 Worker::conclude_connects ◄─┘
//! ```

mod dial;
mod handshake;
mod resolver;
mod runtime;
mod secure;
mod system_error;

use std::collections::{HashMap, VecDeque};
use std::future::Future;
use std::io;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::task::AbortHandle;
use tokio::time::{Instant, timeout, timeout_at};

use self::runtime::Runtime;
use self::secure::Stream;
use self::system_error::system_code;
pub(crate) use self::system_error::{exhaustion, is_exhaustion};
use super::transport::Transport;
use crate::bridge::connect::ConnectOrder;
use crate::bridge::id::ClientId;
use crate::bridge::ledger::WebSocketLedger;
use crate::bridge::queue::Downlink;
use crate::bridge::rules::Rules;
use crate::bridge::sync::Arc;
use crate::protocol::connect::{ConnectCause, ConnectFailure};
use crate::protocol::websocket::client_handshake::Grant;

/// A connect that has succeeded or failed.
#[derive(Debug)]
pub(crate) struct EndedConnect {
    /// The connect.
    pub client: ClientId,
    /// The connection, or why there is none.
    pub outcome: Result<Granted, ConnectFailure>,
}

/// A connection whose server has accepted the upgrade.
#[derive(Debug)]
pub(crate) struct Granted {
    /// The connection.
    pub transport: Transport,
    /// What the server's response negotiates.
    pub grant: Grant,
    /// Bytes received after the response: the start of the server's frames.
    pub early: Vec<u8>,
    /// The options of the WebSocket.
    pub rules: Arc<Rules>,
    /// The counters that this connection updates.
    pub ledger: Arc<WebSocketLedger>,
}

/// The connects in progress. Dropping it aborts them.
#[derive(Debug)]
pub(crate) struct Connector {
    handles: HashMap<ClientId, AbortHandle>,
    ended: VecDeque<EndedConnect>,
    shared: Arc<Shared>,
}

/// The state that a worker shares with the tasks of its connects.
#[derive(Debug, Default)]
struct Shared {
    /// Connects that have ended and that the worker has not collected; some may have been cancelled.
    inbox: Mutex<Vec<EndedConnect>>,
    /// Whether `inbox` is not empty, so that a pass of the worker need not lock it.
    has_ended: AtomicBool,
    /// Wakes the worker.
    downlink: Arc<Downlink>,
    /// Milliseconds since the worker started during which it did not poll its sockets. They do not count towards
    /// timeouts.
    missed: AtomicU64,
    /// Passes that the worker has started.
    passes: AtomicU64,
}

impl Connector {
    /// Creates the connector of the worker that `downlink` wakes.
    #[must_use]
    pub(crate) fn new(downlink: Arc<Downlink>) -> Self {
        let shared = Shared { downlink, ..Shared::default() };
        Self { handles: HashMap::new(), ended: VecDeque::new(), shared: Arc::new(shared) }
    }

    /// Starts a connect.
    pub(crate) fn start(&mut self, order: ConnectOrder) {
        let client = order.client;
        let shared = Arc::clone(&self.shared);
        let report = Report { client, outcome: None, shared: Arc::clone(&self.shared) };
        let task = async move { report.conclude(connect(order, shared).await) };
        match Runtime::shared().spawn(task) {
            Ok(handle) => drop(self.handles.insert(client, handle)),
            Err(error) => self.fail_to_start(client, &error),
        }
    }

    /// Reports the failure of a connect for which the system has no thread or no descriptor.
    fn fail_to_start(&mut self, client: ClientId, error: &io::Error) {
        let cause = match is_exhaustion(error) {
            true => ConnectCause::OutOfDescriptors,
            false => ConnectCause::Failed,
        };
        let failure = ConnectFailure::new(cause, error.to_string());
        let outcome = Err(ConnectFailure { system: system_code(error), ..failure });
        self.ended.push_back(EndedConnect { client, outcome });
    }

    /// Whether no connect is in progress.
    pub(crate) fn is_idle(&self) -> bool {
        self.handles.is_empty()
    }

    /// The worker starts a pass. `missed` is the total time during which it did not poll its sockets, which extends the
    /// deadlines of the connects that were in progress then.
    pub(crate) fn start_pass(&self, missed: Duration) {
        let missed = u64::try_from(missed.as_millis()).unwrap_or(u64::MAX);
        self.shared.missed.store(missed, Ordering::Relaxed);
        // Release: a task that sees this pass also sees its `missed`. No other thread writes either.
        let passes = self.shared.passes.load(Ordering::Relaxed);
        self.shared.passes.store(passes.wrapping_add(1), Ordering::Release);
    }

    /// Aborts a connect. [`Self::pop_ended`] never returns it.
    pub(crate) fn cancel(&mut self, client: ClientId) {
        if let Some(handle) = self.handles.remove(&client) {
            handle.abort();
        }
        self.ended.retain(|ended| ended.client != client);
    }

    /// Whether no connect is in progress, and none has ended without having been taken.
    #[must_use]
    pub(crate) fn is_empty(&self) -> bool {
        self.is_idle() && !self.has_ended()
    }

    /// Whether a connect has ended without having been taken. One that could not start has woken no worker.
    #[must_use]
    pub(crate) fn has_ended(&self) -> bool {
        !self.ended.is_empty()
    }

    /// Removes and returns the connect that ended first.
    pub(crate) fn pop_ended(&mut self) -> Option<EndedConnect> {
        if self.shared.has_ended.load(Ordering::Acquire) {
            self.shared.has_ended.store(false, Ordering::Relaxed);
            let ended = std::mem::take(&mut *self.shared.inbox());
            // The others were cancelled.
            self.ended.extend(ended.into_iter().filter(|it| self.handles.remove(&it.client).is_some()));
        }
        self.ended.pop_front()
    }
}

impl Drop for Connector {
    fn drop(&mut self) {
        self.handles.values().for_each(AbortHandle::abort);
    }
}

impl Shared {
    fn inbox(&self) -> MutexGuard<'_, Vec<EndedConnect>> {
        // A poisoned lock is harmless: the list is consistent after every statement.
        self.inbox.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Reports the outcome of a task to the worker when it is dropped, however the task ends.
struct Report {
    client: ClientId,
    outcome: Option<Result<Granted, ConnectFailure>>,
    shared: Arc<Shared>,
}

impl Report {
    fn conclude(mut self, outcome: Result<Granted, ConnectFailure>) {
        self.outcome = Some(outcome);
    }
}

impl Drop for Report {
    fn drop(&mut self) {
        // Without an outcome the task was cancelled, or it panicked and the runtime has logged that.
        let bug = || Err(ConnectFailure::new(ConnectCause::Failed, "a bug in ferrows"));
        let outcome = self.outcome.take().unwrap_or_else(bug);
        self.shared.inbox().push(EndedConnect { client: self.client, outcome });
        self.shared.has_ended.store(true, Ordering::Release);
        self.shared.downlink.wake();
    }
}

/// Runs one connect, from resolving the host name to reading the server's response.
async fn connect(order: ConnectOrder, worker: Arc<Shared>) -> Result<Granted, ConnectFailure> {
    let ConnectOrder { client: _, host, port, tls, handshake, timeout, rules, ledger } = order;
    let deadline = Deadline::after(timeout, worker);
    let addresses = deadline.within("resolving the host name", dial::resolve(&host, port)).await?;
    let stream = deadline.within("connecting", dial::dial(addresses)).await?;
    let mut transport = Transport::dialled(stream);
    if let Some(tls) = tls {
        deadline.within("shaking hands for TLS", secure::secure(&mut transport, tls)).await?;
    }
    let mut stream = Stream(&mut transport);
    let answer = handshake::shake_hands(&mut stream, &handshake);
    let (grant, early) = deadline.within("waiting for the response", answer).await?;
    let transport = transport.leave_runtime();
    let transport =
        transport.map_err(|error| ConnectFailure::new(ConnectCause::Failed, error.to_string()))?;
    Ok(Granted { transport, grant, early, rules, ledger })
}

/// The moment at which a connect times out (`connectTimeout`).
struct Deadline {
    /// The moment if the worker polls its sockets without a gap; `None` for a connect without a timeout.
    at: Option<Instant>,
    /// [`Shared::missed`] when the connect started, in milliseconds.
    missed_before: u64,
    /// Has the current value of `missed`.
    worker: Arc<Shared>,
}

impl Deadline {
    fn after(timeout: Option<Duration>, worker: Arc<Shared>) -> Self {
        // `sleep` computes the deadline; the clock is not read here.
        let at = timeout.map(|timeout| tokio::time::sleep(timeout).deadline());
        Self { at, missed_before: worker.missed.load(Ordering::Relaxed), worker }
    }

    /// Time since the connect started during which the worker did not poll its sockets.
    fn missed(&self) -> Duration {
        let now = self.worker.missed.load(Ordering::Relaxed);
        Duration::from_millis(now.saturating_sub(self.missed_before))
    }

    /// Runs one step of a connect. Fails with [`ConnectCause::TimedOut`] if the deadline passes first.
    async fn within<T>(
        &self,
        step: &str,
        act: impl Future<Output = Result<T, ConnectFailure>>,
    ) -> Result<T, ConnectFailure> {
        let Some(at) = self.at else { return act.await };
        let mut act = pin!(act);
        'watched: loop {
            let missed = self.missed();
            if let Ok(result) = timeout_at(at + missed, act.as_mut()).await {
                return result;
            }
            // Bytes that arrived in time may still be in the kernel, because no thread has polled the socket since. The
            // worker measures for how long when it starts a pass: two of them, because one may have been in progress.
            let passes = self.worker.passes.load(Ordering::Acquire);
            for _ in 0..MAX_LOOKS {
                self.worker.downlink.wake();
                if let Ok(result) = timeout(LAST_LOOK, act.as_mut()).await {
                    return result;
                }
                let is_sure = self.worker.passes.load(Ordering::Acquire).wrapping_sub(passes) >= 2;
                if self.missed() != missed {
                    continue 'watched;
                }
                if is_sure {
                    break;
                }
            }
            let detail = format!("connectTimeout is up while {step}");
            return Err(ConnectFailure::new(ConnectCause::TimedOut, detail));
        }
    }
}

/// How long the sockets are polled after the deadline, at a time, before the connect fails.
const LAST_LOOK: Duration = Duration::from_millis(50);
/// How many times at most, if the worker makes no progress.
const MAX_LOOKS: usize = 20;

#[cfg(test)]
mod tests {
    use super::*;

    /// The outcome of a step that takes `act` (`None`: for ever) with a timeout of 100 ms, if after 10 ms the worker
    /// reports that it did not poll for `lapse`.
    fn outcome(act: Option<Duration>, lapse: Duration) -> Result<u8, ConnectCause> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        runtime.block_on(async {
            let connector = Connector::new(Arc::default());
            let earlier = Duration::from_secs(1_000);
            connector.start_pass(earlier);
            let deadline = Deadline::after(Some(Duration::from_millis(100)), Arc::clone(&connector.shared));
            tokio::spawn(async move {
                loop {
                    tokio::time::sleep(Duration::from_millis(10)).await;
                    connector.start_pass(earlier + lapse);
                }
            });
            let act = async {
                match act {
                    Some(act) => tokio::time::sleep(act).await,
                    None => std::future::pending().await,
                }
                Ok(7)
            };
            deadline.within("waiting", act).await.map_err(|failure| failure.cause)
        })
    }

    #[test]
    fn a_connect_that_cannot_start_has_ended_although_the_worker_is_not_woken() {
        let mut connector = Connector::new(Arc::default());
        let client = ClientId { slot: 3, generation: 1 };
        assert!(!connector.has_ended());
        connector.fail_to_start(client, &io::ErrorKind::OutOfMemory.into());
        assert!(connector.is_idle() && connector.has_ended() && !connector.is_empty());
        assert_eq!(connector.pop_ended().map(|ended| ended.client), Some(client));
        assert!(!connector.has_ended() && connector.is_empty());
    }

    #[test]
    fn a_connect_has_its_time_without_what_was_not_watched() {
        let [short, long] = [Duration::from_millis(1), Duration::from_millis(300)];
        assert_eq!(outcome(Some(short), Duration::ZERO), Ok(7));
        assert_eq!(outcome(None, Duration::ZERO), Err(ConnectCause::TimedOut));
        assert_eq!(outcome(Some(long), Duration::from_secs(60)), Ok(7));
        assert_eq!(outcome(None, long), Err(ConnectCause::TimedOut));
    }
}
