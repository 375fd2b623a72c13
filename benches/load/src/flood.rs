//! `flood`: the latency of a request while another client sends small messages as fast as the server accepts them.
//!
//! ```text
//! WebSocket  ── messages without end, no answers ──►┐
//!                                                   ├─ one server
//! connection ── GET ─► answer ─► a moment ─► GET … ─┘
//! ```

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::connect::{self, Opened};
use crate::frame;
use crate::histogram::Histogram;
use crate::http::{self, ResponseScanner};
use crate::options::{Options, Tls};
use crate::report::Line;

/// Runs the flood and the requests, and prints the latencies.
pub fn run(options: &Options) -> Result<(), String> {
    if options.tls != Tls::Off {
        return Err("a flood comes in clear".to_owned());
    }
    let asker = Asker {
        socket: connect::connect(options.target.address)?,
        request: http::request_to("/", options),
        scanner: ResponseScanner::default(),
        patience: options.patience,
    };
    let mut floods = Vec::with_capacity(options.connections);
    for Opened { mut stream, .. } in connect::open_all(options)? {
        floods.push(stream.socket().try_clone().map_err(|error| format!("socket: {error}"))?);
    }
    let message = frame::masked_message(options.kind, &vec![b'x'; options.size]);
    let block = message.repeat(BLOCK / message.len() + 1);
    let is_over = AtomicBool::new(false);
    let waits = thread::scope(|scope| {
        for flood in &floods {
            scope.spawn(|| write_until_over(flood, &block, &is_over));
        }
        thread::sleep(options.warm_up);
        let waits = asker.ask_for(options.seconds.unwrap_or_default());
        is_over.store(true, Ordering::Relaxed);
        // Ends the blocking writes of the threads.
        for flood in &floods {
            // Fails if the server has closed the connection; the thread has ended then.
            let _ = flood.shutdown(Shutdown::Both);
        }
        waits
    })?;
    Line::new("done")
        .number("answered", waits.answered)
        .microseconds("p50_us", waits.all.quantile(500))
        .microseconds("worst_us", waits.worst.as_nanos() as u64)
        .print()
}

/// Writes until `is_over` is set or the server closes the connection.
fn write_until_over(mut socket: &TcpStream, block: &[u8], is_over: &AtomicBool) {
    while !is_over.load(Ordering::Relaxed) && socket.write_all(block).is_ok() {}
}

/// Latencies of answers. A missing answer counts with the time until the client gave up.
struct Waits {
    answered: u64,
    all: Histogram,
    worst: Duration,
}

struct Asker {
    socket: TcpStream,
    request: Vec<u8>,
    scanner: ResponseScanner,
    patience: Duration,
}

impl Asker {
    /// Sends requests for this time, or until an answer is missing.
    fn ask_for(mut self, duration: Duration) -> Result<Waits, String> {
        let mut waits = Waits { answered: 0, all: Histogram::new(), worst: Duration::ZERO };
        let start = Instant::now();
        loop {
            let sent_at = Instant::now();
            let is_answered = self.ask()?;
            let wait = sent_at.elapsed();
            waits.all.record(wait.as_nanos() as u64);
            waits.worst = waits.worst.max(wait);
            waits.answered += u64::from(is_answered);
            if !is_answered || start.elapsed() >= duration {
                return Ok(waits);
            }
            thread::sleep(PAUSE);
        }
    }

    /// One request. Returns whether it was answered in time.
    fn ask(&mut self) -> Result<bool, String> {
        let failed = |error: std::io::Error| format!("request: {error}");
        let start = Instant::now();
        self.socket.write_all(&self.request).map_err(failed)?;
        let mut chunk = [0; 4096];
        while let Some(left) = self.patience.checked_sub(start.elapsed()).filter(|left| !left.is_zero()) {
            self.socket.set_read_timeout(Some(left)).map_err(failed)?;
            match self.socket.read(&mut chunk) {
                Ok(0) => return Err("request: closed by the server".to_owned()),
                Ok(read) if self.scanner.scan(&chunk[..read])? > 0 => return Ok(true),
                Ok(_) => {}
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
                Err(error) => return Err(failed(error)),
            }
        }
        Ok(false)
    }
}

/// Bytes of messages per write.
const BLOCK: usize = 64 * 1024;
/// Between an answer and the next request.
const PAUSE: Duration = Duration::from_millis(10);
