//! `bare`: the minimal cost of an HTTP server. It answers every read with the same bytes, on one thread, with one read
//! and one write each. No server can be faster on the same machine under the same load, so it is the upper bound for
//! the figures of real servers.
//!
//! It has the same interface to the runner as the servers in `benches/servers`.

use std::io::{BufRead, ErrorKind, Read, Write};
use std::thread;

use mio::net::{TcpListener, TcpStream};
use mio::{Events, Interest, Poll, Token};

use crate::report::{cpu_time, print};

/// As long as the answer of the other servers.
const ANSWER: &[u8] =
    b"HTTP/1.1 200 OK\r\nDate: Sat, 21 Nov 2026 00:00:00 GMT\r\nContent-Length: 12\r\n\r\nHello world!";
const LISTENER: Token = Token(usize::MAX);

/// Serves until stdin ends.
pub fn run() -> Result<(), String> {
    serve().map_err(|error| format!("bare: {error}"))
}

fn serve() -> std::io::Result<()> {
    let mut listener = TcpListener::bind(([127, 0, 0, 1], 0).into())?;
    let mut poll = Poll::new()?;
    poll.registry().register(&mut listener, LISTENER, Interest::READABLE)?;
    print(&format!("{{\"port\":{}}}", listener.local_addr()?.port()))?;
    thread::spawn(answer_commands);

    let mut connections: Vec<Option<TcpStream>> = Vec::new();
    let mut events = Events::with_capacity(256);
    let mut input = [0; 16 * 1024];
    loop {
        poll.poll(&mut events, None)?;
        for event in &events {
            if event.token() == LISTENER {
                while let Ok((mut stream, _)) = listener.accept() {
                    stream.set_nodelay(true)?;
                    poll.registry().register(&mut stream, Token(connections.len()), Interest::READABLE)?;
                    connections.push(Some(stream));
                }
                continue;
            }
            let connection = &mut connections[event.token().0];
            let Some(stream) = connection else { continue };
            let answered = match stream.read(&mut input) {
                Ok(0) => Err(ErrorKind::UnexpectedEof.into()),
                Ok(_) => stream.write_all(ANSWER),
                Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(()),
                Err(error) => Err(error),
            };
            if answered.is_err() {
                *connection = None;
            }
        }
    }
}

/// Answers every command with the CPU time used so far, all of it outside of Node.
fn answer_commands() {
    for _ in std::io::stdin().lock().lines().map_while(Result::ok) {
        let microseconds = cpu_time().as_secs_f64() * 1e6;
        if print(&format!("{{\"main\":0,\"workers\":{microseconds:.1},\"rss\":null}}")).is_err() {
            break;
        }
    }
    std::process::exit(0);
}
