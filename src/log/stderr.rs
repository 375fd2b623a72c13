//! Lines on stderr, whole and one after the other, whoever writes them.

use std::io::{self, ErrorKind, Write};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, SystemTime};

use super::line;
use crate::bridge::record::Record;

/// The one way to stderr: the lines of all environments pass here.
static STDERR: Mutex<Sink> = Mutex::new(Sink { rest: Vec::new(), lost: 0 });

/// Writes one record.
#[expect(clippy::disallowed_methods, reason = "when a record was made is told to people, not to the engine")]
pub fn write(record: &Record) {
    let since_1970 = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let mut sink = STDERR.lock().unwrap_or_else(PoisonError::into_inner);
    sink.write(record, since_1970, &mut io::stderr());
}

/// What is owed to stderr. Node may have made it non-blocking (it does that to pipes), and whoever reads it may have
/// stopped; then lines are lost and counted, rather than a server stopped.
#[derive(Debug)]
struct Sink {
    /// The end of a line whose beginning is out.
    rest: Vec<u8>,
    /// Lines that were not written since the last one that was.
    lost: u64,
}

impl Sink {
    fn write(&mut self, record: &Record, since_1970: Duration, out: &mut impl Write) {
        // Whoever did not read for so long is not waited for again, until he reads.
        let patience = if self.lost == 0 { PATIENCE } else { 0 };
        if self.lost > 0 {
            let notice =
                Record::of_loss(module_path!(), "records were lost, because nobody reads them", self.lost);
            if self.send(&line::format(&notice, since_1970), out, patience) {
                self.lost = 0;
            }
        }
        if self.lost > 0 || !self.send(&line::format(record, since_1970), out, patience) {
            self.lost += 1;
        }
    }

    /// Writes a line, or at least its beginning, behind what is left of the last one. Returns `false` if not even that
    /// was possible; then nothing of it will be written.
    fn send(&mut self, line: &str, out: &mut impl Write, patience: u32) -> bool {
        if !self.flush(out, patience) {
            return false;
        }
        self.rest.extend_from_slice(line.as_bytes());
        let is_begun = self.flush(out, patience) || self.rest.len() < line.len();
        if !is_begun {
            self.rest.clear();
        }
        is_begun
    }

    /// Writes `rest`. Returns whether all of it is out.
    fn flush(&mut self, out: &mut impl Write, mut patience: u32) -> bool {
        while !self.rest.is_empty() {
            match out.write(&self.rest) {
                Ok(count) if count > 0 => {
                    self.rest.drain(..count);
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock && patience > 0 => {
                    patience -= 1;
                    thread::sleep(PAUSE);
                }
                Ok(_) | Err(_) => return false,
            }
        }
        true
    }
}

/// How often a line is tried before it is lost, with a [`PAUSE`] after each attempt: a tenth of a second, in which a
/// reader that is alive has read something.
const PATIENCE: u32 = 100;
/// See [`PATIENCE`].
const PAUSE: Duration = Duration::from_millis(1);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bridge::record::Level;

    /// A pipe that holds so many bytes until somebody reads.
    #[derive(Default)]
    struct Pipe {
        room: usize,
        content: Vec<u8>,
    }

    impl Write for Pipe {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let count = bytes.len().min(self.room);
            if count == 0 {
                return Err(ErrorKind::WouldBlock.into());
            }
            self.room -= count;
            self.content.extend_from_slice(&bytes[..count]);
            Ok(count)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl Pipe {
        /// What was written, without the part of every line that comes before the message.
        fn read(&mut self) -> String {
            String::from_utf8(std::mem::take(&mut self.content)).unwrap().replace(PREFIX, "")
        }
    }

    const PREFIX: &str = "1970-01-01T00:00:00.000Z ERROR test ";

    fn sink() -> Sink {
        Sink { rest: Vec::new(), lost: 0 }
    }

    impl Sink {
        fn say(&mut self, message: &str, out: &mut impl Write) {
            let record = Record {
                level: Level::Error,
                target: "test",
                message: message.to_owned(),
                fields: Vec::new(),
            };
            self.write(&record, Duration::ZERO, out);
        }
    }

    #[test]
    fn a_line_that_was_begun_is_finished_before_the_next() {
        let (mut sink, mut pipe) = (sink(), Pipe { room: 2 * PREFIX.len() + 7, ..Pipe::default() });
        sink.say("one", &mut pipe);
        sink.say("two", &mut pipe);
        assert_eq!(pipe.read(), "one\ntwo");
        pipe.room = 1000;
        sink.say("three", &mut pipe);
        assert_eq!((pipe.read().as_str(), sink.lost), ("\nthree\n", 0));
    }

    #[test]
    fn lines_that_nobody_reads_are_lost_and_counted() {
        let (mut sink, mut pipe) = (sink(), Pipe { room: PREFIX.len() + 6, ..Pipe::default() });
        for message in ["first", "second", "third", "fourth"] {
            sink.say(message, &mut pipe);
        }
        assert_eq!((pipe.read().as_str(), sink.lost), ("first\n", 3));
        pipe.room = 1000;
        sink.say("fifth", &mut pipe);
        sink.say("sixth", &mut pipe);
        let notice = "1970-01-01T00:00:00.000Z ERROR ferrows::log::stderr records were lost, because nobody reads them";
        assert_eq!(pipe.read(), format!("{notice} count=3\nfifth\nsixth\n"));
    }

    #[test]
    fn a_notice_of_loss_that_was_begun_is_finished_too() {
        let (mut sink, mut pipe) = (sink(), Pipe::default());
        sink.say("first", &mut pipe);
        pipe.room = 30;
        sink.say("second", &mut pipe);
        assert_eq!(sink.lost, 1, "the second line");
        pipe.room = 1000;
        sink.say("third", &mut pipe);
        let written = pipe.read();
        let counts: Vec<_> = written.lines().map(|line| line.rsplit(' ').next().unwrap()).collect();
        assert_eq!(counts, ["count=1", "count=1", "third"]);
    }

    #[test]
    fn a_stderr_that_is_closed_is_no_disaster() {
        struct Closed;
        impl Write for Closed {
            fn write(&mut self, _: &[u8]) -> io::Result<usize> {
                Err(ErrorKind::BrokenPipe.into())
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let mut sink = sink();
        sink.say("one", &mut Closed);
        sink.say("two", &mut Closed);
        assert_eq!((sink.lost, sink.rest.len()), (2, 0));
    }
}
