//! Writes records to stderr, as whole lines. A write may block while the reader does not read (a paused terminal, a
//! full pipe), so a separate thread writes. Callers never block: records that do not fit into the queue
//! are dropped and counted.
//!
//! One thread for the whole process: it starts with the first record and ends after [`LINGER`] without one.

use std::collections::VecDeque;
use std::io::{self, ErrorKind, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, SystemTime};

use super::line;
use crate::bridge::record::Record;

/// Shared by all environments of the process.
static STDERR: Outlet = Outlet::new();

/// Whether lines are written as JSON (`FERROWS_LOG_FORMAT`), for the whole process: stderr is one stream.
static AS_JSON: AtomicBool = AtomicBool::new(false);

/// Sets whether lines are written as JSON.
pub(crate) fn set_json(is_json: bool) {
    // Relaxed: it guards no other data.
    AS_JSON.store(is_json, Ordering::Relaxed);
}

/// Queues a record for writing. Never blocks.
#[expect(clippy::disallowed_methods, reason = "the time of a record is for people, not for the engine")]
pub(crate) fn write(record: Record) {
    let since_1970 = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    if STDERR.push(record, since_1970) {
        let thread = thread::Builder::new().name("ferrows-log".to_owned());
        if thread.spawn(|| STDERR.serve(stderr)).is_err() {
            STDERR.abandon_start();
        }
    }
}

/// Waits until everything is written, for at most [`FLUSH_PATIENCE`].
pub(crate) fn flush() {
    STDERR.flush(FLUSH_PATIENCE);
}

/// Opens stderr without its lock in the standard library, which a panic on another thread may need.
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

/// The queue of records, and the state of the thread that writes them.
#[derive(Debug)]
struct Outlet {
    state: Mutex<State>,
    /// Notified when the queue gets its first record, and when everything is written.
    changed: Condvar,
}

#[derive(Debug)]
struct State {
    /// Oldest first, each with the moment when it was made; at most [`MAX_WAITING`].
    waiting: VecDeque<(Record, Duration)>,
    /// How many were lost since the last notice of lost records.
    lost: u64,
    thread: Thread,
    /// A flush has timed out, and nothing was written since.
    is_stuck: bool,
}

/// The state of the thread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Thread {
    /// There is no thread.
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

    /// The thread could not be started; the next record tries again.
    fn abandon_start(&self) {
        let mut state = self.lock();
        state.lost += state.waiting.drain(..).count() as u64;
        state.thread = Thread::Absent;
        drop(state);
        self.changed.notify_all();
    }

    /// The body of the thread: writes each batch to the output of a new call of `open`, and returns after [`LINGER`]
    /// without a record.
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

    /// The next records to write; `None` if the thread must end.
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

/// Records that are written together.
struct Batch {
    records: Vec<(Record, Duration)>,
    /// How many records were lost before these.
    lost: u64,
}

impl Batch {
    fn text(&self) -> String {
        let mut text = String::new();
        let format = if AS_JSON.load(Ordering::Relaxed) { line::format_json } else { line::format };
        if let (true, Some((_, since_1970))) = (self.lost > 0, self.records.first()) {
            let notice =
                Record::of_loss(module_path!(), "records were lost, because nobody reads them", self.lost);
            text.push_str(&format(&notice, *since_1970));
        }
        text.extend(self.records.iter().map(|(record, since_1970)| format(record, *since_1970)));
        text
    }
}

/// Writes all bytes, and blocks as long as that takes. Node makes pipes non-blocking, so a write to a full pipe is
/// retried after a pause.
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

/// Records that may be queued; beyond that, the oldest are lost. With [`crate::bridge::record::MAX_TEXT`], this is a
/// few megabytes.
const MAX_WAITING: usize = 10_000;
/// Records that are written at once. Fewer would mean more system calls; with more, those that are lost would be
/// missing later than they could.
const MAX_AT_ONCE: usize = 256;
/// How long the thread stays alive without a record.
const LINGER: Duration = Duration::from_secs(1);
/// How long the end of an environment may wait until everything is written. A reader that reads needs less,
/// and for one that does not, only the first flush waits.
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

    /// Accepts writes of the given numbers of bytes, one after the other, and blocks in between.
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

    /// An outlet with its thread, and both ends of its output.
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

        /// Permits the thread `count` writes. Returns the messages.
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
    fn a_closed_stderr_loses_records_and_causes_no_error() {
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
        outlet.abandon_start();
        let state = outlet.lock();
        assert_eq!((state.lost, state.waiting.len()), (2, 0));
    }
}
