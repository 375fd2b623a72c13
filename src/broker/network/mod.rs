//! The connection of a group to its broker: a thread with a tokio runtime of its own.
//!
//! ```text
//!   Node's threads ── Outbox ──► Session ──► PUBLISH, SUBSCRIBE            broker
//!   downlinks of all workers ◄── Session ◄── messages (Guard, Header)
//! ```
//!
//! - `outbox`: what waits to be sent, bounded; `gathered`: how Node's threads hand it over.
//! - `session`: connects, subscribes, sends and receives; connects anew when the connection is lost.
//! - `connection`: what a session needs of a broker, whichever it is; `channels`: the names it uses there; `parcel`: what is
//!   published, and what has arrived; `dial`: byte streams.
//! - `redis`: the two connections that Redis needs; `guard` checks what the server sends; `sentinel`: which server is the
//!   master.
//! - `cluster`: the connections to the masters of a cluster of Redis; `held`: what waits while one of them is away.
//! - `nats`: the connection to a NATS server.
//! - `census`, `questions`: counting subscribers in all processes.
//! - `status`: the state and the numbers for programs.

mod census;
mod channels;
mod cluster;
mod connection;
mod dial;
pub(crate) mod gathered;
mod guard;
mod held;
mod lead;
mod nats;
pub(crate) mod outbox;
mod parcel;
mod questions;
mod redis;
mod sentinel;
mod session;
pub(crate) mod status;

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::thread;
use std::time::Duration;

use tokio::runtime::{Builder, Runtime};

use self::gathered::Gathered;
use self::outbox::{Outbox, Question};
pub(crate) use self::session::Options;
use self::session::Session;
use self::status::Status;
use super::group::Group;
use crate::bridge::sync::Arc;
use crate::log::journal::Journal;

/// The connection of a group to its broker.
#[derive(Debug)]
pub(crate) struct Network {
    options: Options,
    outbox: Arc<Outbox>,
    status: Arc<Status>,
}

impl Network {
    /// Starts the thread, which sends what is in `outbox`. What it logs goes to `journal`.
    ///
    /// # Errors
    /// The system refuses a thread or a descriptor.
    pub(super) fn start(
        name: &Arc<str>,
        options: Options,
        group: &Arc<Group>,
        outbox: Arc<Outbox>,
        journal: Arc<Journal>,
    ) -> io::Result<Self> {
        let status = Arc::new(Status::new(Arc::clone(name)));
        let runtime =
            Builder::new_current_thread().enable_all().max_blocking_threads(MAX_BLOCKING_THREADS).build()?;
        let session = Session::new(
            Arc::clone(name),
            options.clone(),
            Arc::downgrade(group),
            Arc::clone(&outbox),
            Arc::clone(&status),
        );
        thread::Builder::new().name("ferrows-broker".to_owned()).spawn(move || {
            journal.attach();
            serve(&runtime, session);
            // A name may still be looked up: do not wait for it.
            runtime.shutdown_background();
        })?;
        Ok(Self { options, outbox, status })
    }

    /// The options with which it was started.
    #[must_use]
    pub(super) const fn options(&self) -> &Options {
        &self.options
    }

    /// The state and the numbers.
    #[must_use]
    pub(crate) fn status(&self) -> &Status {
        &self.status
    }

    /// Sends messages to other processes, as soon as there is a connection. Leaves memory for others in their place.
    pub(crate) fn send(&self, gathered: &mut Gathered) {
        self.outbox.push(gathered);
    }

    /// Asks other processes how many subscribers a topic has there.
    pub(crate) fn ask(&self, question: Question) {
        self.outbox.ask(question);
    }

    /// Bytes that wait to be sent, and messages that were lost because there were too many.
    #[must_use]
    pub(crate) fn waiting(&self) -> (usize, u64) {
        self.outbox.waiting()
    }

    /// Waits until what is queued has been sent, if there is a connection, at most `patience`.
    pub(crate) fn await_sent(&self, patience: Duration) {
        self.outbox.await_sent(patience);
    }
}

/// Runs a session until the last app has left; if a bug ends it, the next one.
fn serve(runtime: &Runtime, mut session: Session) {
    while catch_unwind(AssertUnwindSafe(|| runtime.block_on(session.run()))).is_err() {
        tracing::error!("a bug in the server ended the connection to a broker");
        session = session.succeed();
        thread::sleep(PAUSE_AFTER_BUG);
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        self.outbox.end();
    }
}

/// For lookups of host names, and for reading the system's certificates once.
const MAX_BLOCKING_THREADS: usize = 4;
/// What a bug that is met again and again may cost.
const PAUSE_AFTER_BUG: Duration = Duration::from_millis(100);

#[cfg(all(test, not(feature = "loom")))]
mod tests {
    use super::*;
    use crate::bridge::broker::{BrokerEvent, BrokerEvents};
    use crate::bridge::queue::NodeBell;
    use crate::broker::url::BrokerUrl;

    #[test]
    fn a_bug_is_told_as_a_state_and_the_thread_goes_on() {
        let bell = NodeBell::new(Box::new(|| panic!("a bug, once")));
        let events = Arc::new(BrokerEvents::new(Arc::new(bell)));
        let outbox = Arc::new(Outbox::new(1000));
        let group = Arc::new(Group::new(Some(Arc::clone(&outbox))));
        group.add_listener(Arc::clone(&events));
        let url = BrokerUrl::parse("redis+unix:///nowhere/at/all").unwrap();
        let (options, status) = (Options { url, max_pending: 1000 }, Arc::new(Status::new("chat".into())));
        let session =
            Session::new("chat".into(), options, Arc::downgrade(&group), Arc::clone(&outbox), status);
        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        let thread = thread::spawn(move || serve(&runtime, session));
        let mut codes = Vec::new();
        while codes.len() < 3 {
            match events.take() {
                Some(BrokerEvent::StateChanged(change)) => {
                    codes.extend(change.failure.as_ref().map(|it| it.0))
                }
                _ => thread::sleep(Duration::from_millis(1)),
            }
        }
        assert_eq!(codes, ["ERR_BROKER_CONNECT", "ERR_BROKER_INTERNAL", "ERR_BROKER_CONNECT"]);
        outbox.end();
        thread.join().unwrap();
    }
}
