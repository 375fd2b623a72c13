//! Resolves host names with the system's resolver (`getaddrinfo`), which honours /etc/nsswitch.conf and its
//! counterparts on other systems. The call blocks and cannot be interrupted, and a name server that does not answer
//! delays it for half a minute. A connect that is given up stops waiting, but its lookup continues. Therefore the
//! lookups are bounded (docs/decisions/0016-resolving-names.md):
//!
//! - a host has at most one lookup at a time, which all connects of all workers and apps share;
//! - lookups run on threads, at most [`MAX_LOOKUPS`], which end when the queue is empty;
//! - further hosts are queued, and a queued host that no connect waits for any more is skipped.

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError};
use std::thread;

use tokio::sync::oneshot;

use super::system_error::{exhaustion, system_code};
use crate::protocol::connect::{ConnectCause, ConnectFailure};

/// The result of a lookup: addresses, whose port has no meaning, or why there are none.
type Found = Result<Arc<[SocketAddr]>, ConnectFailure>;

/// Looks host names up. The process has one, [`Resolver::shared`].
pub(super) struct Resolver {
    lookups: Mutex<Lookups>,
    /// Looks a host up; blocks. [`system`] except in tests.
    look_up: fn(&str) -> io::Result<Vec<SocketAddr>>,
    /// How many lookups may run at once.
    max: usize,
}

/// The lookups that run or are queued. Host names are in lower case.
#[derive(Default)]
struct Lookups {
    /// For each host, running or queued: the connects that wait for its addresses.
    waiting: HashMap<Arc<str>, Vec<oneshot::Sender<Found>>>,
    /// The hosts whose lookup has not started.
    queue: VecDeque<Arc<str>>,
    /// Number of threads.
    running: usize,
}

impl Resolver {
    /// The resolver of the process.
    pub(super) fn shared() -> &'static Arc<Self> {
        static SHARED: LazyLock<Arc<Resolver>> =
            LazyLock::new(|| Arc::new(Resolver::new(system, MAX_LOOKUPS)));
        &SHARED
    }

    fn new(look_up: fn(&str) -> io::Result<Vec<SocketAddr>>, max: usize) -> Self {
        Self { lookups: Mutex::default(), look_up, max }
    }

    /// Returns the addresses of a host, at least one, in the order of the system. Dropping the future ends the wait,
    /// not the lookup.
    pub(super) async fn resolve(self: &Arc<Self>, host: &str) -> Found {
        let answer = self.request_lookup(host);
        answer.await.unwrap_or_else(|_| Err(ConnectFailure::new(ConnectCause::Failed, "a bug in ferrows")))
    }

    /// Waits for the lookup of the host that is under way, or queues one and starts a thread for it.
    fn request_lookup(self: &Arc<Self>, host: &str) -> oneshot::Receiver<Found> {
        let (sender, receiver) = oneshot::channel();
        let host: Arc<str> = host.to_ascii_lowercase().into();
        let mut lookups = self.lock();
        if let Some(others) = lookups.waiting.get_mut(&host) {
            others.retain(|other| !other.is_closed());
            others.push(sender);
            return receiver;
        }
        lookups.waiting.insert(Arc::clone(&host), vec![sender]);
        lookups.queue.push_back(host);
        if lookups.running < self.max {
            lookups.running += 1;
            let resolver = Arc::clone(self);
            let thread = thread::Builder::new().name("ferrows-names".to_owned());
            if let Err(error) = thread.spawn(move || resolver.run()) {
                lookups.running -= 1;
                // If other threads run, one of them takes the host when its lookup ends.
                if lookups.running == 0 {
                    lookups.give_up(&error);
                }
            }
        }
        receiver
    }

    /// The body of a thread: looks queued hosts up until the queue is empty.
    fn run(&self) {
        while let Some(host) = self.next() {
            let found = (self.look_up)(&host);
            let found = found.map_err(|error| failure_of(&host, &error)).and_then(|addresses| {
                if addresses.is_empty() {
                    Err(not_found(&host, "it has no address"))
                } else {
                    Ok(addresses.into())
                }
            });
            let waiting = self.lock().waiting.remove(&host);
            for sender in waiting.into_iter().flatten() {
                // Fails if the connect was given up, which needs no result.
                let _ = sender.send(found.clone());
            }
        }
    }

    /// Removes the next host that a connect waits for from the queue. `None` ends the thread.
    fn next(&self) -> Option<Arc<str>> {
        let mut lookups = self.lock();
        while let Some(host) = lookups.queue.pop_front() {
            let is_awaited =
                lookups.waiting.get(&host).is_some_and(|waiting| waiting.iter().any(|it| !it.is_closed()));
            if is_awaited {
                return Some(host);
            }
            lookups.waiting.remove(&host);
        }
        lookups.running -= 1;
        None
    }

    fn lock(&self) -> MutexGuard<'_, Lookups> {
        // A poisoned lock is harmless: the tables are consistent after every statement.
        self.lookups.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Lookups {
    /// No thread runs and none can be started: fails all lookups.
    fn give_up(&mut self, error: &io::Error) {
        let detail = format!("no thread could be started to resolve the host name: {error}");
        let failure = ConnectFailure {
            system: system_code(error),
            ..ConnectFailure::new(ConnectCause::Failed, detail)
        };
        self.queue.clear();
        for sender in self.waiting.drain().flat_map(|(_, waiting)| waiting) {
            let _ = sender.send(Err(failure.clone()));
        }
    }
}

impl fmt::Debug for Resolver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Resolver").field("running", &self.lock().running).finish_non_exhaustive()
    }
}

/// Looks a host up with `getaddrinfo`. When the process has no descriptors left, `getaddrinfo` can neither read its
/// files nor open a socket, and mostly reports that the host does not exist; this returns `EMFILE` or `ENFILE` instead.
fn system(host: &str) -> io::Result<Vec<SocketAddr>> {
    (host, 0).to_socket_addrs().map(Vec::from_iter).map_err(|error| exhaustion().unwrap_or(error))
}

fn failure_of(host: &str, error: &io::Error) -> ConnectFailure {
    match system_code(error) {
        Some(code @ ("EMFILE" | "ENFILE")) => ConnectFailure {
            system: Some(code),
            ..ConnectFailure::new(ConnectCause::OutOfDescriptors, format!("resolving {host}: {error}"))
        },
        Some(_) | None => not_found(host, &error.to_string()),
    }
}

fn not_found(host: &str, detail: &str) -> ConnectFailure {
    ConnectFailure {
        system: Some("ENOTFOUND"),
        ..ConnectFailure::new(ConnectCause::NameNotFound, format!("{host}: {detail}"))
    }
}

/// How many lookups run at once. A thread that waits for a name server takes about 30 KB.
const MAX_LOOKUPS: usize = 256;

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv4Addr;
    use std::sync::Condvar;
    use std::task::{Context, Poll, Waker};
    use std::time::Duration;

    /// A name server. Lookups of hosts that start with `slow` block until [`Server::answer`] is called.
    struct Server {
        state: Mutex<(bool, Vec<String>)>,
        changed: Condvar,
    }

    impl Server {
        const fn new() -> Self {
            Self { state: Mutex::new((false, Vec::new())), changed: Condvar::new() }
        }

        fn look_up(&self, host: &str) -> io::Result<Vec<SocketAddr>> {
            let mut state = self.state.lock().unwrap();
            state.1.push(host.to_owned());
            self.changed.notify_all();
            let state = self.changed.wait_while(state, |(answers, _)| host.starts_with("slow") && !*answers);
            drop(state.unwrap());
            match host {
                "nobody" => Ok(Vec::new()),
                "unknown" => Err(io::Error::other("no such host")),
                "exhausted" => Err(io::Error::from_raw_os_error(EMFILE)),
                _ => Ok(vec![(Ipv4Addr::LOCALHOST, 0).into()]),
            }
        }

        fn answer(&self) {
            self.state.lock().unwrap().0 = true;
            self.changed.notify_all();
        }

        /// Waits until `count` hosts have been looked up, and returns them, sorted.
        fn asked(&self, count: usize) -> Vec<String> {
            let state = self.state.lock().unwrap();
            let state = self.changed.wait_while(state, |(_, asked)| asked.len() < count).unwrap();
            let mut asked = state.1.clone();
            asked.sort_unstable();
            asked
        }
    }

    #[cfg(unix)]
    const EMFILE: i32 = 24;
    #[cfg(windows)]
    const EMFILE: i32 = 10024;

    /// Waits for the result of a lookup.
    fn get(receiver: oneshot::Receiver<Found>) -> Found {
        receiver.blocking_recv().unwrap()
    }

    /// Waits until no thread is left.
    fn settle(resolver: &Resolver) {
        while resolver.lock().running > 0 {
            thread::sleep(Duration::from_millis(1));
        }
        let lookups = resolver.lock();
        assert!(lookups.waiting.is_empty() && lookups.queue.is_empty());
    }

    #[test]
    fn a_host_is_looked_up_once_for_all_who_wait_for_it_and_anew_for_who_comes_later() {
        static SERVER: Server = Server::new();
        let resolver = Arc::new(Resolver::new(|host| SERVER.look_up(host), 4));
        let waiting: Vec<_> =
            ["slow", "SLOW", "Slow"].repeat(100).into_iter().map(|it| resolver.request_lookup(it)).collect();
        SERVER.asked(1);
        SERVER.answer();
        for receiver in waiting {
            assert_eq!(get(receiver).unwrap().len(), 1);
        }
        assert_eq!(SERVER.asked(1), ["slow"]);
        assert!(get(resolver.request_lookup("slow")).is_ok());
        assert_eq!(SERVER.asked(2), ["slow", "slow"]);
        settle(&resolver);
    }

    #[test]
    fn slow_hosts_delay_nobody_else_while_there_is_room() {
        static SERVER: Server = Server::new();
        let resolver = Arc::new(Resolver::new(|host| SERVER.look_up(host), 20));
        let slow = || (0..19).map(|host| resolver.request_lookup(&format!("slow{host}"))).collect::<Vec<_>>();
        let first = slow();
        SERVER.asked(19);
        // Repeated lookups of the same hosts start no further threads, although no connect waits for the first ones any
        // more.
        drop(first);
        for _ in 0..50 {
            drop(slow());
        }
        for host in ["a", "b", "c"] {
            assert!(get(resolver.request_lookup(host)).is_ok());
        }
        SERVER.answer();
        settle(&resolver);
        assert_eq!(SERVER.asked(22).len(), 22);
    }

    #[test]
    fn who_waits_in_the_queue_is_passed_over_after_leaving() {
        static SERVER: Server = Server::new();
        let resolver = Arc::new(Resolver::new(|host| SERVER.look_up(host), 2));
        let slow = [resolver.request_lookup("slow1"), resolver.request_lookup("slow2")];
        SERVER.asked(2);
        let gone = [resolver.request_lookup("a"), resolver.request_lookup("b"), resolver.request_lookup("c")];
        let (stays, comes_back) = (resolver.request_lookup("d"), resolver.request_lookup("e"));
        drop((gone, comes_back));
        let comes_back = resolver.request_lookup("e");
        SERVER.answer();
        assert!(get(stays).is_ok() && get(comes_back).is_ok());
        assert!(slow.into_iter().all(|receiver| get(receiver).is_ok()));
        settle(&resolver);
        assert_eq!(SERVER.asked(4), ["d", "e", "slow1", "slow2"]);
    }

    #[test]
    fn a_wait_that_is_dropped_has_ended() {
        static SERVER: Server = Server::new();
        let resolver = Arc::new(Resolver::new(|host| SERVER.look_up(host), 1));
        let mut wait = Box::pin(resolver.resolve("slow"));
        let mut task = Context::from_waker(Waker::noop());
        assert!(matches!(wait.as_mut().poll(&mut task), Poll::Pending));
        drop(wait);
        assert!(resolver.lock().waiting["slow"].iter().all(oneshot::Sender::is_closed));
        SERVER.answer();
        settle(&resolver);
    }

    #[test]
    fn a_failure_says_what_failed() {
        static SERVER: Server = Server::new();
        let resolver = Arc::new(Resolver::new(|host| SERVER.look_up(host), 4));
        let failure = |host| {
            let failure = get(resolver.request_lookup(host)).unwrap_err();
            (failure.cause, failure.system, failure.detail)
        };
        let none = "nobody: it has no address".to_owned();
        assert_eq!(failure("nobody"), (ConnectCause::NameNotFound, Some("ENOTFOUND"), none));
        let unknown = "unknown: no such host".to_owned();
        assert_eq!(failure("unknown"), (ConnectCause::NameNotFound, Some("ENOTFOUND"), unknown));
        let (cause, system, detail) = failure("exhausted");
        assert_eq!((cause, system), (ConnectCause::OutOfDescriptors, Some("EMFILE")));
        assert!(detail.starts_with("resolving exhausted: "), "{detail}");
    }

    #[test]
    fn the_system_knows_this_machine() {
        let found = system("localhost").unwrap();
        assert!(found.iter().all(|address| address.ip().is_loopback()));
    }
}
