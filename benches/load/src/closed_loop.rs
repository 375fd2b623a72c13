//! The closed loop: every connection keeps a fixed number of requests going and sends the next one when an answer
//! arrives, so the server sets the pace.
//!
//! ```text
//! connect ─► warm-up ─► drain ─► [gate] ─► measured window ─► drain ─► result
//! ```
//!
//! Before it waits for events, the client sleeps for a moment unless half of its connections had bytes in the last
//! turn. Answers accumulate during that time, as they do with interrupt moderation of a network card, and many are
//! handled per wake-up. Without this the server pays for waking a sleeping client with nearly every answer, and the
//! client for being woken: on two cores both cost more than the echo itself.
//!
//! With `--think` a connection waits a while before its next request: the load is then less than the server could take,
//! and latencies measure the service time rather than the length of the queue.
//!
//! Both drains wait until every request is answered. So a caller that reads the server's CPU counters at the gate
//! and after the result divides by the exact number of messages in between (`answered`).

use std::collections::VecDeque;
use std::io::{ErrorKind, Read, Write};
use std::time::{Duration, Instant};

use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token};

use crate::connect::{self, Opened};
use crate::deflate;
use crate::frame::{self, FrameScanner, Kind};
use crate::histogram::Histogram;
use crate::http::{self, ResponseScanner};
use crate::options::Options;
use crate::report::{self, Line};
use crate::stream::Stream;

/// Runs the WebSocket echo loop, or that of pings and pongs, and prints its result.
pub fn echo(options: &Options) -> Result<(), String> {
    if options.deflate {
        return compressed_echo(options);
    }
    let payload: Vec<u8> = (b'a'..=b'z').cycle().take(options.size).collect();
    let request = frame::masked_message(options.kind, &payload);
    let answer = frame::unmasked_answer(options.kind, &payload);
    let mut opened = connect::open_all(options)?;
    for (number, connection) in opened.iter_mut().enumerate() {
        probe(connection, &request, &answer).map_err(|message| format!("connection {number}: {message}"))?;
    }
    if options.kind == Kind::Ping {
        Fleet::<PongScanner>::new(opened, &request, options.in_flight, options.nap)?.run(options, "messages")
    } else {
        Fleet::<FrameScanner>::new(opened, &request, options.in_flight, options.nap)?.run(options, "messages")
    }
}

/// The same with compressed messages.
fn compressed_echo(options: &Options) -> Result<(), String> {
    let payload = deflate::payload(options.size);
    let request = frame::masked_compressed_message(options.kind, &deflate::compress(&payload));
    let mut opened = connect::open_all(options)?;
    for (number, connection) in opened.iter_mut().enumerate() {
        probe_compressed(connection, &request, &payload)
            .map_err(|message| format!("connection {number}: {message}"))?;
    }
    let mut fleet = Fleet::<CompressedScanner>::new(opened, &request, options.in_flight, options.nap)?;
    fleet.run(options, "messages")
}

/// Runs the loop of HTTP requests and prints its result.
pub fn http(options: &Options) -> Result<(), String> {
    let opened = connect::open_all(options)?;
    let mut fleet = Fleet::<ResponseScanner>::new(opened, &http::request(options), 1, options.nap)?;
    fleet.run(options, "requests")
}

/// One message there and back, compared byte by byte: the loop itself only counts.
fn probe(connection: &mut Opened, request: &[u8], answer: &[u8]) -> Result<(), String> {
    if !connection.early.is_empty() {
        return Err("the echo server spoke first".to_owned());
    }
    let mut echoed = vec![0; answer.len()];
    let exchanged =
        connection.stream.write_all(request).and_then(|()| connection.stream.read_exact(&mut echoed));
    exchanged.map_err(|error| format!("first echo: {error}"))?;
    if echoed == answer { Ok(()) } else { Err("the first echo differs from what was sent".to_owned()) }
}

/// One message there and back. Servers compress differently, so the message is compared, not its bytes.
fn probe_compressed(connection: &mut Opened, request: &[u8], payload: &[u8]) -> Result<(), String> {
    let failed = |error: std::io::Error| format!("first echo: {error}");
    connection.stream.write_all(request).map_err(failed)?;
    let (mut scanner, mut echoed, mut chunk) = (FrameScanner::of_compressed(), Vec::new(), [0; 4096]);
    loop {
        let read = connection.stream.read(&mut chunk).map_err(failed)?;
        echoed.extend_from_slice(&chunk[..read]);
        let found = scanner.scan(&chunk[..read])?;
        if read == 0 {
            return Err("closed by the server".to_owned());
        }
        if found.messages > 0 {
            break;
        }
    }
    let header = match echoed.get(1) {
        Some(127) => 10,
        Some(126) => 4,
        _ => 2,
    };
    let is_compressed = echoed[0] & 0x40 != 0;
    match deflate::decompress(&echoed[header.min(echoed.len())..], payload.len()) {
        Some(message) if is_compressed && message == payload => Ok(()),
        _ => Err("the first echo differs from what was sent, or is not compressed".to_owned()),
    }
}

/// Counts complete answers in a byte stream.
trait Scanner: Default {
    fn answers(&mut self, bytes: &[u8]) -> Result<u64, String>;
}

impl Scanner for FrameScanner {
    /// Pings stay without their pong: a connection under load has no idle timeout to miss.
    fn answers(&mut self, bytes: &[u8]) -> Result<u64, String> {
        self.scan(bytes).map(|found| found.messages)
    }
}

/// Counts pongs.
#[derive(Default)]
struct PongScanner(FrameScanner);

impl Scanner for PongScanner {
    fn answers(&mut self, bytes: &[u8]) -> Result<u64, String> {
        self.0.scan(bytes).map(|found| found.pongs)
    }
}

/// Counts messages that may be compressed.
struct CompressedScanner(FrameScanner);

impl Default for CompressedScanner {
    fn default() -> Self {
        Self(FrameScanner::of_compressed())
    }
}

impl Scanner for CompressedScanner {
    fn answers(&mut self, bytes: &[u8]) -> Result<u64, String> {
        self.0.answers(bytes)
    }
}

impl Scanner for ResponseScanner {
    fn answers(&mut self, bytes: &[u8]) -> Result<u64, String> {
        self.scan(bytes)
    }
}

struct Fleet<S> {
    poll: Poll,
    connections: Vec<Connection<S>>,
    traffic: Traffic,
    /// One buffer for all reads: no connection keeps bytes, only counts.
    scratch: Vec<u8>,
    /// How long answers accumulate before they are read.
    nap: Duration,
    /// Connections that had bytes in the last turn.
    active: usize,
}

/// The state that the connections share.
struct Traffic {
    /// The request, repeated as often as one connection may have it in flight.
    block: Vec<u8>,
    /// Length of one request in bytes.
    request: usize,
    /// The epoch of all times.
    epoch: Instant,
    /// Whether answers are followed by new requests.
    sending: bool,
    /// Nanoseconds from an answer to the request that follows it.
    think: u64,
    /// Connections that wait before their next request: until when (nanoseconds since the epoch), which one, and how
    /// many requests follow. Ordered by time, because all wait equally long.
    thinking: VecDeque<(u64, usize, usize)>,
    /// Requests without an answer, over all connections.
    outstanding: u64,
    /// Answers since the phase started.
    answered: u64,
    /// Nanoseconds from request to answer, since the phase started.
    latencies: Histogram,
}

struct Connection<S> {
    stream: Stream<TcpStream>,
    scanner: S,
    /// Bytes of the request stream that are due and not yet written, at most the block's length.
    unsent: usize,
    /// When each outstanding request was sent (nanoseconds since the epoch), oldest first.
    sent_at: VecDeque<u64>,
}

impl<S: Scanner> Fleet<S> {
    fn new(opened: Vec<Opened>, request: &[u8], in_flight: usize, nap: Duration) -> Result<Self, String> {
        let poll = Poll::new().map_err(|error| format!("epoll: {error}"))?;
        let mut connections = Vec::with_capacity(opened.len());
        for (number, Opened { mut stream, .. }) in opened.into_iter().enumerate() {
            stream.socket().set_nonblocking(true).map_err(|error| format!("connection {number}: {error}"))?;
            let mut stream = stream.map(TcpStream::from_std);
            poll.registry()
                .register(stream.socket(), Token(number), Interest::READABLE | Interest::WRITABLE)
                .map_err(|error| format!("connection {number}: {error}"))?;
            let sent_at = VecDeque::with_capacity(in_flight);
            connections.push(Connection { stream, scanner: S::default(), unsent: 0, sent_at });
        }
        let traffic = Traffic {
            block: request.repeat(in_flight),
            request: request.len(),
            epoch: Instant::now(),
            sending: false,
            think: 0,
            thinking: VecDeque::new(),
            outstanding: 0,
            answered: 0,
            latencies: Histogram::new(),
        };
        Ok(Self { poll, connections, traffic, scratch: vec![0; SCRATCH], nap, active: 0 })
    }

    fn run(&mut self, options: &Options, unit: &str) -> Result<(), String> {
        self.traffic.think = options.think.as_nanos() as u64;
        self.load(options.warm_up)?;
        self.drain()?;
        Line::new("warm").number(unit, self.traffic.answered).print()?;
        if options.gate {
            report::wait_for_line()?;
        }
        self.traffic.answered = 0;
        self.traffic.latencies.clear();
        let cpu_before = report::cpu_time();
        let window = self.load(options.seconds.unwrap_or_default())?;
        let in_window = self.traffic.answered;
        self.drain()?;
        let cpu = report::cpu_time().saturating_sub(cpu_before);
        let latencies = &self.traffic.latencies;
        Line::new("done")
            .number("connections", self.connections.len())
            .number("in_flight", self.traffic.block.len() / self.traffic.request)
            .seconds("seconds", window)
            .number(unit, in_window)
            .number(
                &format!("{unit}_per_second"),
                format_args!("{:.1}", in_window as f64 / window.as_secs_f64()),
            )
            .number("answered", self.traffic.answered)
            .microseconds("p50_us", latencies.quantile(500))
            .microseconds("p99_us", latencies.quantile(990))
            .microseconds("p999_us", latencies.quantile(999))
            .seconds("client_cpu_seconds", cpu)
            .print()
    }

    /// Keeps the load up for `duration` and returns how long that took.
    fn load(&mut self, duration: Duration) -> Result<Duration, String> {
        let start = Instant::now();
        self.traffic.sending = true;
        let now = self.traffic.now();
        let (max, count) = (self.traffic.block.len() / self.traffic.request, self.connections.len());
        for number in 0..count {
            // Spread over the think time, if there is one.
            let delay = self.traffic.think * number as u64 / count as u64;
            self.traffic.thinking.push_back((now + delay, number, max));
        }
        self.wake()?;
        let mut events = Events::with_capacity(1024);
        while let Some(left) = duration.checked_sub(start.elapsed()) {
            self.turn(&mut events, left)?;
        }
        self.traffic.sending = false;
        self.traffic.thinking.clear();
        Ok(start.elapsed())
    }

    /// Sends the requests of connections whose wait is over.
    fn wake(&mut self) -> Result<(), String> {
        let now = self.traffic.now();
        while let Some((due, number, requests)) = self.traffic.thinking.front().copied()
            && due <= now
        {
            self.traffic.thinking.pop_front();
            let sent = self.connections[number].send(requests, now, &mut self.traffic);
            sent.map_err(|message| at(number, &message))?;
        }
        Ok(())
    }

    /// Waits until every request is answered.
    fn drain(&mut self) -> Result<(), String> {
        let start = Instant::now();
        let mut events = Events::with_capacity(1024);
        while self.traffic.outstanding > 0 {
            let Some(left) = PATIENCE.checked_sub(start.elapsed()) else {
                return Err(format!(
                    "{} requests without an answer after {PATIENCE:?}",
                    self.traffic.outstanding
                ));
            };
            self.turn(&mut events, left)?;
        }
        Ok(())
    }

    fn turn(&mut self, events: &mut Events, timeout: Duration) -> Result<(), String> {
        let mut timeout = timeout;
        if let Some((due, ..)) = self.traffic.thinking.front() {
            timeout = timeout.min(Duration::from_nanos(due.saturating_sub(self.traffic.now())));
        } else if self.active < self.connections.len() / 2 && self.traffic.think == 0 && !self.nap.is_zero() {
            std::thread::sleep(self.nap);
        }
        self.active = 0;
        match self.poll.poll(events, Some(timeout)) {
            Ok(()) => {}
            Err(error) if error.kind() == ErrorKind::Interrupted => return Ok(()),
            Err(error) => return Err(format!("epoll: {error}")),
        }
        for event in events.iter() {
            self.active += 1;
            let number = event.token().0;
            let connection = &mut self.connections[number];
            let mut handled = Ok(());
            if event.is_readable() || event.is_read_closed() || event.is_error() {
                handled =
                    connection.receive(number, &mut self.scratch, event.is_read_closed(), &mut self.traffic);
            }
            if event.is_writable() && handled.is_ok() {
                handled = connection.flush(&self.traffic);
            }
            handled.map_err(|message| at(number, &message))?;
        }
        self.wake()
    }
}

impl<S: Scanner> Connection<S> {
    /// Reads all available bytes, counts the answers and sends as many new requests, after the wait if there is one.
    fn receive(
        &mut self,
        number: usize,
        scratch: &mut [u8],
        ending: bool,
        traffic: &mut Traffic,
    ) -> Result<(), String> {
        let mut answers = 0;
        loop {
            match self.stream.read(scratch) {
                Ok(0) => return Err("closed by the server".to_owned()),
                Ok(read) => {
                    answers += self.scanner.answers(&scratch[..read])?;
                    // A short read has emptied the socket: the next bytes are a new edge. Only a FIN that came
                    // along with them has no edge of its own. With TLS, only an empty read shows
                    // that the socket is empty.
                    if read < scratch.len() && !ending && !self.stream.is_secure() {
                        break;
                    }
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) => return Err(format!("read: {error}")),
            }
        }
        let now = traffic.now();
        for _ in 0..answers {
            let sent_at = self.sent_at.pop_front().ok_or("more answers than requests")?;
            traffic.latencies.record(now - sent_at);
        }
        traffic.answered += answers;
        traffic.outstanding -= answers;
        if traffic.sending && answers > 0 {
            match traffic.think {
                0 => self.send(answers as usize, now, traffic)?,
                think => traffic.thinking.push_back((now + think, number, answers as usize)),
            }
        }
        Ok(())
    }

    fn send(&mut self, requests: usize, now: u64, traffic: &mut Traffic) -> Result<(), String> {
        self.unsent += requests * traffic.request;
        self.sent_at.extend(std::iter::repeat_n(now, requests));
        traffic.outstanding += requests as u64;
        self.flush(traffic)
    }

    fn flush(&mut self, traffic: &Traffic) -> Result<(), String> {
        match self.stream.flush() {
            Err(error) if error.kind() != ErrorKind::WouldBlock => return Err(format!("write: {error}")),
            Ok(()) | Err(_) => {}
        }
        while self.unsent > 0 {
            // The stream repeats one request, so the bytes due are a slice of the block that starts where
            // the last write stopped within a request.
            let start = (traffic.request - self.unsent % traffic.request) % traffic.request;
            match self.stream.write(&traffic.block[start..start + self.unsent]) {
                Ok(written) => self.unsent -= written,
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) => return Err(format!("write: {error}")),
            }
        }
        Ok(())
    }
}

impl Traffic {
    /// Nanoseconds since the epoch.
    fn now(&self) -> u64 {
        self.epoch.elapsed().as_nanos() as u64
    }
}

fn at(number: usize, message: &str) -> String {
    format!("connection {number}: {message}")
}

/// Longest wait for outstanding answers.
const PATIENCE: Duration = Duration::from_secs(10);
/// Bytes per read: more than all answers of a connection with 20 small messages in flight.
const SCRATCH: usize = 64 * 1024;
