//! `handshake`: new connections, in plaintext or over TLS, as fast as the server accepts them. Each sends one request;
//! the session tickets arrive with the response, and the connection is closed.

use std::io::{Read, Write};
use std::net::Shutdown;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use rustls::ClientConfig;

use crate::connect;
use crate::http::{self, ResponseScanner};
use crate::options::{Options, Tls};
use crate::report::{self, Line};
use crate::stream::{self, Stream};

/// Runs as many threads as there are connections to be made at a time, and prints the result.
pub fn run(options: &Options) -> Result<(), String> {
    let config = if options.tls == Tls::Off { None } else { Some(stream::config(options.tls)?) };
    let request = http::request(options);
    let visitor =
        Visitor { options, config: config.as_ref(), request: &request, visits: AtomicU64::default() };
    let warm = visitor.visit_for(options.warm_up)?;
    Line::new("warm").number("requests", warm.answered).print()?;
    if options.gate {
        report::wait_for_line()?;
    }
    let (start, cpu_before) = (Instant::now(), report::cpu_time());
    let Tally { answered, resumed } = visitor.visit_for(options.seconds.unwrap_or_default())?;
    let window = start.elapsed();
    // Not all: a server need not accept every ticket.
    if (resumed * 2 > answered) != (options.tls == Tls::Resumed) {
        return Err(format!(
            "handshakes were to be {:?}, but {resumed} of {answered} were resumed",
            options.tls
        ));
    }
    Line::new("done")
        .number("connections", options.connections)
        .seconds("seconds", window)
        .number("answered", answered)
        .number("resumed", resumed)
        .number("requests_per_second", format_args!("{:.1}", answered as f64 / window.as_secs_f64()))
        .seconds("client_cpu_seconds", report::cpu_time().saturating_sub(cpu_before))
        .print()
}

/// How many connections were made and answered, and how many of them with a ticket.
#[derive(Clone, Copy, Debug, Default)]
struct Tally {
    answered: u64,
    resumed: u64,
}

struct Visitor<'a> {
    options: &'a Options,
    config: Option<&'a Arc<ClientConfig>>,
    request: &'a [u8],
    /// Connections started, by all threads.
    visits: AtomicU64,
}

impl Visitor<'_> {
    /// Connections made and answered in that time, by all threads.
    fn visit_for(&self, duration: Duration) -> Result<Tally, String> {
        let start = Instant::now();
        let visit_in_turn = || -> Result<Tally, String> {
            let mut tally = Tally::default();
            while start.elapsed() < duration {
                tally.resumed += u64::from(self.visit()?);
                tally.answered += 1;
            }
            Ok(tally)
        };
        std::thread::scope(|scope| {
            let threads: Vec<_> = (0..self.options.connections).map(|_| scope.spawn(visit_in_turn)).collect();
            let mut sum = Tally::default();
            for thread in threads {
                let tally = thread.join().map_err(|_| "a thread panicked".to_owned())??;
                sum.answered += tally.answered;
                sum.resumed += tally.resumed;
            }
            Ok(sum)
        })
    }

    /// One connection. Returns whether its handshake was resumed.
    fn visit(&self) -> Result<bool, String> {
        let failed = |error: std::io::Error| format!("connection: {error}");
        let number = self.visits.fetch_add(1, Ordering::Relaxed);
        let socket = connect::connect_in_turn(self.options.target.address, number)?;
        let mut stream = match self.config {
            None => Stream::plain(socket),
            Some(config) => Stream::secure(socket, config)?,
        };
        stream.write_all(self.request).map_err(failed)?;
        let (mut scanner, mut chunk) = (ResponseScanner::default(), [0; 4096]);
        loop {
            let read = stream.read(&mut chunk).map_err(failed)?;
            if read == 0 {
                return Err("closed by the server".to_owned());
            }
            if scanner.scan(&chunk[..read])? > 0 {
                break;
            }
        }
        let is_resumed = stream.is_resumed();
        stream.socket().shutdown(Shutdown::Both).map_err(failed)?;
        Ok(is_resumed)
    }
}
