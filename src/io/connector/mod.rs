//! The connects of one worker. Each is a task of the worker's runtime, from the host name to the server's response; the
//! socket then goes to the worker as a connection like any other.
//!
//! ```text
//!   Command::Connect ─► task: dial (names, addresses) ─► secure (TLS) ─► handshake (request, response) ─► Ended
//!                                                                                 Worker::conclude_connects ◄─┘
//! ```

mod dial;
mod handshake;
mod secure;

use std::collections::{HashMap, VecDeque};
use std::future::Future;
use std::task::{Context as TaskContext, Poll};

use tokio::task::{AbortHandle, Id, JoinSet};
use tokio::time::Instant;

use self::secure::Stream;
use super::transport::Transport;
use crate::bridge::connect::ConnectOrder;
use crate::bridge::id::ClientId;
use crate::bridge::ledger::Ledger;
use crate::bridge::rules::Rules;
use crate::bridge::sync::Arc;
use crate::protocol::connect::{ConnectCause, ConnectFailure};
use crate::protocol::websocket::opening::Grant;

/// A connect that has ended.
#[derive(Debug)]
pub struct Ended {
    /// Which one.
    pub client: ClientId,
    /// What came of it.
    pub outcome: Result<Granted, ConnectFailure>,
}

/// An upgrade that was granted.
#[derive(Debug)]
pub struct Granted {
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
pub struct Connector {
    tasks: JoinSet<Result<Granted, ConnectFailure>>,
    /// Whose task is which.
    clients: HashMap<Id, ClientId>,
    handles: HashMap<ClientId, AbortHandle>,
    ended: VecDeque<Ended>,
}

impl Connector {
    /// Begins a connect. Must be called inside the runtime.
    pub fn start(&mut self, order: ConnectOrder) {
        let client = order.client;
        let handle = self.tasks.spawn(connect(order));
        self.clients.insert(handle.id(), client);
        self.handles.insert(client, handle);
    }

    /// Gives one up. Its end is not told.
    pub fn cancel(&mut self, client: ClientId) {
        if let Some(handle) = self.handles.remove(&client) {
            handle.abort();
        }
        self.ended.retain(|ended| ended.client != client);
    }

    /// Looks which have ended, and asks for `task` to be woken when the next one has. Returns whether there are any to be
    /// taken.
    pub fn poll(&mut self, task: &mut TaskContext<'_>) -> bool {
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

    /// The next one that has ended.
    pub fn take(&mut self) -> Option<Ended> {
        self.ended.pop_front()
    }
}

/// One connect, from the host name to the server's response.
async fn connect(order: ConnectOrder) -> Result<Granted, ConnectFailure> {
    let ConnectOrder { client: _, host, port, tls, opening, timeout, rules, ledger } = order;
    // A sleep knows the moment without a look at the clock here.
    let deadline = timeout.map(|timeout| tokio::time::sleep(timeout).deadline());
    let addresses = within(deadline, "resolving the host name", dial::resolve(&host, port)).await?;
    let stream = within(deadline, "connecting", dial::dial(addresses)).await?;
    let mut transport = Transport::from_tcp(stream);
    if let Some(tls) = tls {
        within(deadline, "shaking hands for TLS", secure::secure(&mut transport, tls)).await?;
    }
    let mut stream = Stream(&mut transport);
    let answer = handshake::shake_hands(&mut stream, &opening);
    let (grant, early) = within(deadline, "waiting for the response", answer).await?;
    Ok(Granted { transport, grant, early, rules, ledger })
}

/// One step of a connect, in time.
async fn within<T>(
    deadline: Option<Instant>,
    step: &str,
    act: impl Future<Output = Result<T, ConnectFailure>>,
) -> Result<T, ConnectFailure> {
    let Some(deadline) = deadline else { return act.await };
    match tokio::time::timeout_at(deadline, act).await {
        Ok(result) => result,
        Err(_) => {
            Err(ConnectFailure::new(ConnectCause::TimedOut, format!("connectTimeout is up while {step}")))
        }
    }
}
