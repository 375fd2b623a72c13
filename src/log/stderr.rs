//! Writes records to stderr, as whole lines. Writing may block for as long as the reader does not read (a paused terminal, a
//! full pipe), so a thread of its own does it. Callers never block: records that do not fit into the queue are dropped and
//! counted.
//!
//! One thread for the whole process: it starts with the first record and ends after [`LINGER`] without one.

use std::collections::VecDeque;
use std::io::{self, ErrorKind, Write};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, SystemTime};

use super::line;
use crate::bridge::record::Record;

/// Shared by all environments of the process.
static STDERR: Outlet = Outlet::new();

/// Queues a record for writing. Never blocks.
#[expect(clippy::disallowed_methods, reason = "when a record was made is told to people, not to the engine")]
pub(crate) fn write(record: Record) {
    let since_1970 = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    if STDERR.push(record, since_1970) {
        let thread = thread::Builder::new().name("ferrows-log".to_owned());
        if thread.spawn(|| STDERR.serve(stderr)).is_err() {
            STDERR.give_up();
        }
    }
}

/// Waits until everything is written, for at most [`FLUSH_PATIENCE`].
pub(crate) fn flush() {
    STDERR.flush(FLUSH_PATIENCE);
}

/// A way to write to stderr that shares no lock with anybody who may need one on another thread, as a panic does.
#[cfg(unix)]
fn stderr() -> io::Result<std::fs::File> {
    use std::os::fd::AsFd;

    io::stderr().as_fd().try_clone_to_owned().map(Into::into)
}

#[cfg(not(unix))]
#[expect(clippy::unnecessary_wraps, reason = "other systems may refuse")]
fn stderr() -> io::Result<io::Stderr> {
    Ok(io::stderr())
}

/// Records on their way out.
#[derive(Debug)]
struct Outlet {
    state: Mutex<State>,
    /// There is something to write, or nothing is left to be written.
    changed: Condvar,
}

#[derive(Debug)]
struct State {
    /// Oldest first, each with the moment when it was made; at most [`MAX_WAITING`].
    waiting: VecDeque<(Record, Duration)>,
    /// How many were lost since a notice told of the last ones.
    lost: u64,
    thread: Thread,
    /// A flush has waited in vain, and nothing was written since.
    is_stuck: bool,
}

/// What the thread does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Thread {
    /// There is none.
    Absent,
    /// It waits for records, or is about to start.
    Idle,
    /// It writes.
    Writing,
}

impl Outlet {
    const fn new() -> Self {
        let state = State { waiting: VecDeque::new(), lost: 0, thread: Thread::Absent, is_stuck: false };
        Self { state: Mutex::new(state), changed: Condvar::new() }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a record; if there is no room the oldest is lost. Returns whether the caller has to start the thread.
    fn push(&self, record: Record, since_1970: Duration) -> bool {
        let mut state = self.lock();
        if state.waiting.len() == MAX_WAITING {
            state.waiting.pop_front();
            state.lost += 1;
        }
        state.waiting.push_back((record, since_1970));
        let is_absent = state.thread == Thread::Absent;
        if is_absent {
            state.thread = Thread::Idle;
        }
        drop(state);
        self.changed.notify_all();
        is_absent
    }

    /// No thread is to be had; the next record tries again.
    fn give_up(&self) {
        let mut state = self.lock();
        state.lost += state.waiting.drain(..).count() as u64;
        state.thread = Thread::Absent;
        drop(state);
        self.changed.notify_all();
    }

    /// The thread: writes what comes, each time to what `open` gives, and ends when nothing comes for a while.
    fn serve<W: Write>(&self, open: impl Fn() -> io::Result<W>) {
        while let Some(batch) = self.take() {
            let count = batch.records.len() as u64 + batch.lost;
            let written = open().and_then(|mut out| write_all(&mut out, batch.text().as_bytes()));
            let mut state = self.lock();
            state.is_stuck = false;
            if written.is_err() {
                // stderr cannot be written to: the batch counts as lost.
                state.lost += count;
            }
        }
    }

    /// The next records to be written; `None` when the thread is to end.
    fn take(&self) -> Option<Batch> {
        let mut state = self.lock();
        state.thread = Thread::Idle;
        self.changed.notify_all();
        let (mut state, _) = self
            .changed
            .wait_timeout_while(state, LINGER, |state| state.waiting.is_empty())
            .unwrap_or_else(PoisonError::into_inner);
        if state.waiting.is_empty() {
            state.thread = Thread::Absent;
            return None;
        }
        state.thread = Thread::Writing;
        let count = state.waiting.len().min(MAX_AT_ONCE);
        let records = state.waiting.drain(..count).collect();
        Some(Batch { records, lost: std::mem::take(&mut state.lost) })
    }

    fn flush(&self, patience: Duration) {
        let state = self.lock();
        if state.is_stuck {
            return;
        }
        let is_busy = |state: &mut State| !state.waiting.is_empty() || state.thread == Thread::Writing;
        let waited = self.changed.wait_timeout_while(state, patience, is_busy);
        let (mut state, result) = waited.unwrap_or_else(PoisonError::into_inner);
        state.is_stuck = result.timed_out();
    }
}

/// What is written at once.
struct Batch {
    records: Vec<(Record, Duration)>,
    /// Records that are missing before these.
    lost: u64,
}

impl Batch {
    fn text(&self) -> String {
        let mut text = String::new();
        if let (true, Some((_, since_1970))) = (self.lost > 0, self.records.first()) {
            let notice =
                Record::of_loss(module_path!(), "records were lost, because nobody reads them", self.lost);
            text.push_str(&line::format(&notice, *since_1970));
        }
        text.extend(self.records.iter().map(|(record, since_1970)| line::format(record, *since_1970)));
        text
    }
}

/// Writes all of it, however long that takes. Node makes pipes non-blocking, which tells when there is room no better than
/// by trying again.
fn write_all(out: &mut impl Write, mut bytes: &[u8]) -> io::Result<()> {
    let mut pause = SHORTEST_PAUSE;
    while !bytes.is_empty() {
        match out.write(bytes) {
            Ok(0) => return Err(ErrorKind::WriteZero.into()),
            Ok(count) => {
                bytes = &bytes[count..];
                pause = SHORTEST_PAUSE;
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                thread::sleep(pause);
                pause = (pause * 2).min(LONGEST_PAUSE);
            }
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Records that may wait; when there are more, the oldest are lost. With [`crate::bridge::record::MAX_TEXT`], this is a
/// few megabytes.
const MAX_WAITING: usize = 10_000;
/// Records that are written at once. Fewer would mean more system calls; with more, those that are lost would be missing
/// later than they could.
const MAX_AT_ONCE: usize = 256;
/// How long the thread stays without anything to write.
const LINGER: Duration = Duration::from_secs(1);
/// How long the end of an environment may wait until everything is written. Nobody who reads at all takes that long, and
/// who does not is waited for once.
const FLUSH_PATIENCE: Duration = Duration::from_millis(500);
/// Pauses between two attempts to write to a pipe that is full.
const SHORTEST_PAUSE: Duration = Duration::from_millis(1);
/// See [`SHORTEST_PAUSE`].
const LONGEST_PAUSE: Duration = Duration::from_millis(32);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bridge::record::Level;
    use std::sync::mpsc::{Receiver, Sender, channel};

    /// Takes writes of so many bytes as it is told, one after the other, and blocks in between.
    struct Slow {
        permits: Receiver<usize>,
        written: Sender<Vec<u8>>,
    }

    impl Write for &Slow {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let count = match self.permits.recv() {
                Ok(0) => return Err(ErrorKind::WouldBlock.into()),
                Ok(count) => count.min(bytes.len()),
                Err(_) => return Err(ErrorKind::BrokenPipe.into()),
            };
            self.written.send(bytes[..count].to_vec()).unwrap();
            Ok(count)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// An outlet with its thread, and both ends of what it writes to.
    struct Scene {
        outlet: Outlet,
        permits: Sender<usize>,
        written: Receiver<Vec<u8>>,
    }

    impl Scene {
        fn run(test: impl FnOnce(&Self)) {
            let ((permits, its_permits), (its_written, written)) = (channel(), channel());
            let mut scene = Self { outlet: Outlet::new(), permits, written };
            // As `push` does for the first record.
            scene.outlet.state.get_mut().unwrap().thread = Thread::Idle;
            thread::scope(|threads| {
                let slow = Slow { permits: its_permits, written: its_written };
                let outlet = &scene.outlet;
                let server = threads.spawn(move || outlet.serve(|| Ok(&slow)));
                test(&scene);
                server.join().unwrap();
            });
            assert_eq!(scene.outlet.lock().thread, Thread::Absent, "the thread ends by itself");
        }

        fn say(&self, message: impl ToString) {
            let record = Record {
                level: Level::Error,
                target: "test",
                message: message.to_string(),
                fields: Vec::new(),
            };
            assert!(!self.outlet.push(record, Duration::ZERO), "the thread runs");
        }

        /// Lets the thread write `count` times what it likes. Returns the messages.
        fn read(&self, count: usize) -> Vec<String> {
            let mut text = String::new();
            for _ in 0..count {
                self.permits.send(usize::MAX).unwrap();
                text.push_str(std::str::from_utf8(&self.written.recv().unwrap()).unwrap());
            }
            text.lines().map(|line| line.rsplit(' ').next().unwrap().to_owned()).collect()
        }

        /// Waits until the thread writes, with nothing left in the queue.
        fn until_stuck(&self) {
            loop {
                let state = self.outlet.lock();
                if state.thread == Thread::Writing && state.waiting.is_empty() {
                    return;
                }
                drop(state);
                thread::yield_now();
            }
        }
    }

    #[test]
    fn whoever_logs_never_waits_and_what_does_not_fit_is_lost_and_counted() {
        Scene::run(|scene| {
            scene.say("first");
            scene.until_stuck();
            for number in 0..MAX_WAITING + 7 {
                scene.say(number);
            }
            assert_eq!(scene.read(1), ["first"]);
            let rest = scene.read(MAX_WAITING.div_ceil(MAX_AT_ONCE));
            assert_eq!(rest[0], "count=7");
            let numbers: Vec<usize> = rest[1..].iter().map(|number| number.parse().unwrap()).collect();
            assert_eq!(numbers, (7..MAX_WAITING + 7).collect::<Vec<_>>());
        });
    }

    #[test]
    fn a_line_is_finished_whatever_it_takes() {
        Scene::run(|scene| {
            scene.say("one");
            scene.until_stuck();
            scene.say("two");
            let mut text = Vec::new();
            for count in [3, 0, 0, 5, usize::MAX] {
                scene.permits.send(count).unwrap();
                if count > 0 {
                    text.extend(scene.written.recv().unwrap());
                }
            }
            assert_eq!(String::from_utf8(text).unwrap(), "1970-01-01T00:00:00.000Z ERROR test one\n");
            assert_eq!(scene.read(1), ["two"]);
        });
    }

    #[test]
    fn flushing_waits_for_the_last_line_and_in_vain_only_once() {
        Scene::run(|scene| {
            scene.say("one");
            scene.permits.send(usize::MAX).unwrap();
            scene.outlet.flush(Duration::from_secs(60));
            assert_eq!(scene.written.try_recv().unwrap().last(), Some(&b'\n'));
            scene.say("two");
            scene.outlet.flush(Duration::from_millis(1));
            assert!(scene.outlet.lock().is_stuck);
            scene.outlet.flush(Duration::from_secs(3600));
            assert_eq!(scene.read(1), ["two"]);
        });
    }

    #[test]
    fn a_stderr_that_is_closed_is_no_disaster() {
        let outlet = Outlet::new();
        let record = |message: &str| Record {
            level: Level::Error,
            target: "test",
            message: message.to_owned(),
            fields: Vec::new(),
        };
        assert!(outlet.push(record("one"), Duration::ZERO), "the first record starts the thread");
        outlet.serve(|| Err::<Vec<u8>, _>(ErrorKind::BrokenPipe.into()));
        assert!(outlet.push(record("two"), Duration::ZERO), "and so does the first after it has ended");
        outlet.give_up();
        let state = outlet.lock();
        assert_eq!((state.lost, state.waiting.len()), (2, 0));
    }
}
