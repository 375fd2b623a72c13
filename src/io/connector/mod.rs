//! The connects of one worker. Each is a task of the worker's runtime, from the host name to the server's response; the
//! socket then goes to the worker as a connection like any other.
//!
//! ```text
//!   Command::Connect ─► task: resolver ─► dial (addresses) ─► secure (TLS) ─► handshake (request, response) ─► Ended
//!                                                                                 Worker::conclude_connects ◄─┘
//! ```

mod dial;
mod handshake;
mod resolver;
mod secure;
mod system_error;

use std::collections::{HashMap, VecDeque};
use std::future::Future;
use std::pin::pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context as TaskContext, Poll};
use std::time::Duration;

use tokio::task::{AbortHandle, Id, JoinSet};
use tokio::time::{Instant, timeout, timeout_at};

use self::secure::Stream;
pub(crate) use self::system_error::{exhaustion, is_exhaustion};
use super::transport::Transport;
use crate::bridge::connect::ConnectOrder;
use crate::bridge::id::ClientId;
use crate::bridge::ledger::Ledger;
use crate::bridge::rules::Rules;
use crate::bridge::sync::Arc;
use crate::protocol::connect::{ConnectCause, ConnectFailure};
use crate::protocol::websocket::client_handshake::Grant;

/// A connect that has ended.
#[derive(Debug)]
pub(crate) struct Ended {
    /// Which one.
    pub client: ClientId,
    /// What came of it.
    pub outcome: Result<Granted, ConnectFailure>,
}

/// An upgrade that was granted.
#[derive(Debug)]
pub(crate) struct Granted {
    /// The connection.
    pub transport: Transport,
    /// What the server's response says.
    pub grant: Grant,
    /// What came behind it.
    pub early: Vec<u8>,
    /// The options of the WebSocket.
    pub rules: Arc<Rules>,
    /// Its books.
    pub ledger: Arc<Ledger>,
}

/// The connects that are under way. Dropped, it ends them.
#[derive(Debug, Default)]
pub(crate) struct Connector {
    tasks: JoinSet<Result<Granted, ConnectFailure>>,
    /// Whose task is which.
    clients: HashMap<Id, ClientId>,
    handles: HashMap<ClientId, AbortHandle>,
    ended: VecDeque<Ended>,
    /// Milliseconds, since the worker started, in which nobody watched.
    missed: Arc<AtomicU64>,
}

impl Connector {
    /// Begins a connect. Must be called inside the runtime.
    pub(crate) fn start(&mut self, order: ConnectOrder) {
        let client = order.client;
        let handle = self.tasks.spawn(connect(order, Arc::clone(&self.missed)));
        self.clients.insert(handle.id(), client);
        self.handles.insert(client, handle);
    }

    /// Whether none is under way.
    pub(crate) fn is_idle(&self) -> bool {
        self.handles.is_empty()
    }

    /// Nobody has watched for so long by now, in which no server was late.
    pub(crate) fn put_off(&self, missed: Duration) {
        // Relaxed: a number that the same thread reads.
        self.missed.store(u64::try_from(missed.as_millis()).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    /// Gives one up. Its end is not told.
    pub(crate) fn cancel(&mut self, client: ClientId) {
        if let Some(handle) = self.handles.remove(&client) {
            handle.abort();
        }
        self.ended.retain(|ended| ended.client != client);
    }

    /// Looks which have ended, and asks for `task` to be woken when the next one has. Returns whether there are any to be
    /// taken.
    pub(crate) fn poll(&mut self, task: &mut TaskContext<'_>) -> bool {
        while let Poll::Ready(Some(result)) = self.tasks.poll_join_next_with_id(task) {
            let (id, outcome) = match result {
                Ok((id, outcome)) => (id, outcome),
                // Cancelled; or a panic, of which the runtime has told already.
                Err(error) => {
                    (error.id(), Err(ConnectFailure::new(ConnectCause::Failed, "a bug in ferrows")))
                }
            };
            let Some(client) = self.clients.remove(&id) else { continue };
            // Otherwise it was cancelled.
            if self.handles.remove(&client).is_some() {
                self.ended.push_back(Ended { client, outcome });
            }
        }
        !self.ended.is_empty()
    }

    /// Whether none is under way, nor has ended without having been taken.
    #[must_use]
    pub(crate) fn is_empty(&self) -> bool {
        self.tasks.is_empty() && self.ended.is_empty()
    }

    /// The next one that has ended.
    pub(crate) fn take(&mut self) -> Option<Ended> {
        self.ended.pop_front()
    }
}

/// One connect, from the host name to the server's response.
async fn connect(order: ConnectOrder, missed: Arc<AtomicU64>) -> Result<Granted, ConnectFailure> {
    let ConnectOrder { client: _, host, port, tls, handshake, timeout, rules, ledger } = order;
    let deadline = Deadline::after(timeout, missed);
    let addresses = deadline.within("resolving the host name", dial::resolve(&host, port)).await?;
    let stream = deadline.within("connecting", dial::dial(addresses)).await?;
    let mut transport = Transport::from_tcp(stream, None);
    if let Some(tls) = tls {
        deadline.within("shaking hands for TLS", secure::secure(&mut transport, tls)).await?;
    }
    let mut stream = Stream(&mut transport);
    let answer = handshake::shake_hands(&mut stream, &handshake);
    let (grant, early) = deadline.within("waiting for the response", answer).await?;
    Ok(Granted { transport, grant, early, rules, ledger })
}

/// Until when a connect has to have come to its end.
struct Deadline {
    /// If everything since the connect began is watched; `None` for a connect that may take for ever.
    at: Option<Instant>,
    /// What was not watched when the connect began, and what is not by now, in milliseconds.
    missed: (u64, Arc<AtomicU64>),
}

impl Deadline {
    fn after(timeout: Option<Duration>, missed: Arc<AtomicU64>) -> Self {
        // A sleep knows the moment without a look at the clock here.
        let at = timeout.map(|timeout| tokio::time::sleep(timeout).deadline());
        Self { at, missed: (missed.load(Ordering::Relaxed), missed) }
    }

    /// Time since the connect began that was not watched.
    fn missed(&self) -> Duration {
        let (before, now) = (self.missed.0, self.missed.1.load(Ordering::Relaxed));
        Duration::from_millis(now.saturating_sub(before))
    }

    /// One step of a connect, in time.
    async fn within<T>(
        &self,
        step: &str,
        act: impl Future<Output = Result<T, ConnectFailure>>,
    ) -> Result<T, ConnectFailure> {
        let Some(at) = self.at else { return act.await };
        let mut act = pin!(act);
        loop {
            let missed = self.missed();
            if let Ok(result) = timeout_at(at + missed, act.as_mut()).await {
                return result;
            }
            // What came in time may wait in the kernel, because nobody has looked since. Meanwhile the worker notices how
            // long that was.
            if let Ok(result) = timeout(LAST_LOOK, act.as_mut()).await {
                return result;
            }
            if self.missed() == missed {
                let detail = format!("connectTimeout is up while {step}");
                return Err(ConnectFailure::new(ConnectCause::TimedOut, detail));
            }
        }
    }
}

/// How long the runtime looks at the sockets before a connect has failed.
const LAST_LOOK: Duration = Duration::from_millis(50);

#[cfg(test)]
mod tests {
    use super::*;

    /// What becomes of an act that takes `act` (`None`: for ever) within 100 ms, if it is found after 10 ms that `lapse` was
    /// not watched.
    fn outcome(act: Option<Duration>, lapse: Duration) -> Result<u8, ConnectCause> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        runtime.block_on(async {
            let connector = Connector::default();
            let earlier = Duration::from_secs(1_000);
            connector.put_off(earlier);
            let deadline = Deadline::after(Some(Duration::from_millis(100)), Arc::clone(&connector.missed));
            tokio::spawn(async move {
                tokio::time::sleep(Duration::from_millis(10)).await;
                connector.put_off(earlier + lapse);
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
    fn a_connect_has_its_time_without_what_was_not_watched() {
        let [short, long] = [Duration::from_millis(1), Duration::from_millis(300)];
        assert_eq!(outcome(Some(short), Duration::ZERO), Ok(7));
        assert_eq!(outcome(None, Duration::ZERO), Err(ConnectCause::TimedOut));
        assert_eq!(outcome(Some(long), Duration::from_secs(60)), Ok(7));
        assert_eq!(outcome(None, long), Err(ConnectCause::TimedOut));
    }
}
