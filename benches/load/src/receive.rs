//! `idle` and `subscribe`: WebSockets that send nothing but pongs, until stdin ends. They also stay open when enough has
//! arrived: that they close costs the server something that is no part of what is measured.

use std::io::{ErrorKind, Read, Write};
use std::sync::Arc;
use std::time::{Duration, Instant};

use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token, Waker};

use crate::connect::{self, Opened};
use crate::frame::{FrameScanner, Scanned};
use crate::options::Options;
use crate::report::{self, Line};
use crate::stream::Stream;

/// Opens the connections, prints `ready`, receives, prints the totals.
pub fn run(options: &Options) -> Result<(), String> {
    let opened = connect::open_all(options)?;
    let mut audience = Audience::new(opened)?;
    Line::new("ready").number("connections", audience.listeners.len()).print()?;
    let start = Instant::now();
    let cpu_before = report::cpu_time();
    let has_ended = audience.listen(options.count, options.seconds.map(|seconds| start + seconds))?;
    Line::new("done")
        .number("connections", audience.listeners.len())
        .seconds("seconds", start.elapsed())
        .number("messages", audience.total.messages)
        .number("payload_bytes", audience.total.payload)
        .seconds("client_cpu_seconds", report::cpu_time().saturating_sub(cpu_before))
        .print()?;
    if !has_ended {
        audience.listen(None, None)?;
    }
    Ok(())
}

struct Audience {
    poll: Poll,
    /// What it has woken is not lost as long as it lives.
    _waker: Arc<Waker>,
    listeners: Vec<Listener>,
    total: Scanned,
    scratch: Vec<u8>,
}

struct Listener {
    stream: Stream<TcpStream>,
    scanner: FrameScanner,
}

impl Audience {
    fn new(opened: Vec<Opened>) -> Result<Self, String> {
        let poll = Poll::new().map_err(|error| format!("epoll: {error}"))?;
        let waker = Waker::new(poll.registry(), STDIN).map_err(|error| format!("wake-up: {error}"))?;
        let waker = Arc::new(waker);
        wake_when_stdin_ends(Arc::clone(&waker));
        let mut audience = Self {
            poll,
            _waker: waker,
            listeners: Vec::with_capacity(opened.len()),
            total: Scanned::default(),
            scratch: vec![0; SCRATCH],
        };
        for (number, Opened { mut stream, early }) in opened.into_iter().enumerate() {
            stream.socket().set_nonblocking(true).map_err(|error| at(number, &error.to_string()))?;
            let mut listener =
                Listener { stream: stream.map(TcpStream::from_std), scanner: FrameScanner::default() };
            audience
                .poll
                .registry()
                .register(listener.stream.socket(), Token(number), Interest::READABLE)
                .map_err(|error| at(number, &error.to_string()))?;
            listener.take(&early, &mut audience.total).map_err(|message| at(number, &message))?;
            audience.listeners.push(listener);
        }
        Ok(audience)
    }

    /// Receives until so many messages have arrived, or until `end`. Returns whether stdin has ended before.
    fn listen(&mut self, count: Option<u64>, end: Option<Instant>) -> Result<bool, String> {
        let mut events = Events::with_capacity(1024);
        while count.is_none_or(|count| self.total.messages < count) {
            let left = end.map(|end| end.saturating_duration_since(Instant::now()));
            if left == Some(Duration::ZERO) {
                break;
            }
            match self.poll.poll(&mut events, left) {
                Ok(()) => {}
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => return Err(format!("epoll: {error}")),
            }
            for event in events.iter() {
                let Token(number) = event.token();
                if event.token() == STDIN {
                    return Ok(true);
                }
                let listener = &mut self.listeners[number];
                let received = listener.receive(&mut self.scratch, event.is_read_closed(), &mut self.total);
                received.map_err(|message| at(number, &message))?;
            }
        }
        Ok(false)
    }
}

impl Listener {
    fn receive(&mut self, scratch: &mut [u8], ending: bool, total: &mut Scanned) -> Result<(), String> {
        loop {
            match self.stream.read(scratch) {
                Ok(0) => return Err("closed by the server".to_owned()),
                Ok(read) => {
                    self.take(&scratch[..read], total)?;
                    // See closed_loop.rs: after a short read only a FIN can be left.
                    if read < scratch.len() && !ending && !self.stream.is_secure() {
                        return Ok(());
                    }
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(format!("read: {error}")),
            }
        }
    }

    fn take(&mut self, bytes: &[u8], total: &mut Scanned) -> Result<(), String> {
        let found = self.scanner.scan(bytes)?;
        total.messages += found.messages;
        total.payload += found.payload;
        let pongs = self.scanner.take_pongs();
        // Only pongs are written here, so a few bytes always fit into the socket's buffer.
        self.stream.write_all(&pongs).map_err(|error| format!("pong: {error}"))
    }
}

/// The thread ends with stdin or with the process.
fn wake_when_stdin_ends(waker: Arc<Waker>) {
    std::thread::spawn(move || {
        let ended = std::io::copy(&mut std::io::stdin().lock(), &mut std::io::sink());
        let woken = waker.wake();
        if let Err(error) = ended.and(woken) {
            eprintln!("ferrows-load: stdin: {error}");
        }
    });
}

fn at(number: usize, message: &str) -> String {
    format!("connection {number}: {message}")
}

/// No connection has this number.
const STDIN: Token = Token(usize::MAX);
/// Bytes per read.
const SCRATCH: usize = 64 * 1024;
