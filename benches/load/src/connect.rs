//! Opening connections: file limit, source addresses, WebSocket handshake. Blocking and one after the other, so a
//! server is never asked for more than one handshake at a time and its backlog does not matter.

use std::io::{ErrorKind, Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use rustls::ClientConfig;
use socket2::{Domain, Socket, Type};

use crate::options::{Command, Options, Tls};
use crate::stream::{self, Stream};

/// A connection ready for its load, still blocking.
#[derive(Debug)]
pub struct Opened {
    /// The connection, `TCP_NODELAY` set.
    pub stream: Stream<TcpStream>,
    /// Bytes that the server sent right after its handshake.
    pub early: Vec<u8>,
}

/// Opens all connections of a run.
pub fn open_all(options: &Options) -> Result<Vec<Opened>, String> {
    raise_file_limit(options.connections as u64 + SPARE_FILES)?;
    let tls = if options.tls == Tls::Off { None } else { Some(stream::config(options.tls)?) };
    let mut source = Source::Any;
    let mut opened = Vec::with_capacity(options.connections);
    for number in 0..options.connections {
        let connection = open(options, &mut source, tls.as_ref());
        opened.push(connection.map_err(|message| format!("connection {number}: {message}"))?);
    }
    Ok(opened)
}

fn open(options: &Options, source: &mut Source, tls: Option<&Arc<ClientConfig>>) -> Result<Opened, String> {
    let socket = prepare(source.connect(options.target.address)?)?;
    let mut stream = match tls {
        None => Stream::plain(socket),
        Some(config) => Stream::secure(socket, config)?,
    };
    let early = match options.command {
        // Those of HTTP/3 are opened elsewhere.
        Command::Http | Command::Http3 | Command::IdleHttp3 | Command::Handshake | Command::Bare => {
            Vec::new()
        }
        Command::Echo | Command::Idle | Command::Subscribe | Command::Flood => upgrade(&mut stream, options)?,
    };
    Ok(Opened { stream, early })
}

/// Opens one more connection, from an address that the system chooses.
pub fn connect(target: SocketAddr) -> Result<TcpStream, String> {
    prepare(Source::Any.connect(target)?)
}

/// The connection with that number of very many short ones. The end that closes first keeps the port for a minute, so
/// one source address would soon have none left.
pub fn connect_in_turn(target: SocketAddr, number: u64) -> Result<TcpStream, String> {
    let mut source = match target.ip() {
        IpAddr::V4(address) if address.is_loopback() => Source::Loopback((2 + number % 253) as u8),
        IpAddr::V4(_) | IpAddr::V6(_) => Source::Any,
    };
    prepare(source.connect(target)?)
}

fn prepare(socket: TcpStream) -> Result<TcpStream, String> {
    let prepared = socket.set_nodelay(true).and_then(|()| socket.set_read_timeout(Some(PATIENCE)));
    prepared.map_err(|error| format!("socket option: {error}"))?;
    Ok(socket)
}

/// The source address of connections. One source address has some 28,000 ports towards one server address; past that
/// the next loopback address takes over.
#[derive(Debug)]
enum Source {
    /// Chosen by the system.
    Any,
    /// 127.0.0.x, x from 2 to 254.
    Loopback(u8),
}

impl Source {
    fn connect(&mut self, target: SocketAddr) -> Result<TcpStream, String> {
        loop {
            match self.try_connect(target) {
                Ok(stream) => return Ok(stream),
                Err(error) if matches!(error.kind(), ErrorKind::AddrNotAvailable | ErrorKind::AddrInUse) => {
                    self.advance(target)
                        .ok_or_else(|| format!("no free port left towards {target}: {error}"))?;
                }
                Err(error) => return Err(format!("cannot connect to {target}: {error}")),
            }
        }
    }

    fn try_connect(&self, target: SocketAddr) -> std::io::Result<TcpStream> {
        let socket = Socket::new(Domain::for_address(target), Type::STREAM, None)?;
        if let Self::Loopback(last) = *self {
            socket.bind(&SocketAddr::from((Ipv4Addr::new(127, 0, 0, last), 0)).into())?;
        }
        socket.connect_timeout(&target.into(), PATIENCE)?;
        Ok(socket.into())
    }

    fn advance(&mut self, target: SocketAddr) -> Option<()> {
        let loopback = matches!(target.ip(), IpAddr::V4(address) if address.is_loopback());
        *self = match *self {
            Self::Any if loopback => Self::Loopback(2),
            Self::Loopback(last) if last < 254 => Self::Loopback(last + 1),
            Self::Any | Self::Loopback(_) => return None,
        };
        Some(())
    }
}

/// The client's half of the handshake (RFC 6455 §4.1). Returns the bytes after the server's answer.
fn upgrade(stream: &mut Stream<TcpStream>, options: &Options) -> Result<Vec<u8>, String> {
    let Options { target, deflate, .. } = options;
    let offer = if *deflate { format!("Sec-WebSocket-Extensions: {DEFLATE}\r\n") } else { String::new() };
    let request = format!(
        "GET {} HTTP/1.1\r\nHost: {}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Key: {KEY}\r\nSec-WebSocket-Version: 13\r\n{offer}\r\n",
        target.path, target.authority
    );
    stream.write_all(request.as_bytes()).map_err(|error| format!("handshake: {error}"))?;
    let mut answer = Vec::new();
    let mut chunk = [0; 2048];
    loop {
        let read = stream.read(&mut chunk).map_err(|error| format!("handshake: {error}"))?;
        if read == 0 {
            return Err("the server closed the connection during the handshake".to_owned());
        }
        answer.extend_from_slice(&chunk[..read]);
        if let Some(length) = check_answer(&answer, *deflate)? {
            return Ok(answer.split_off(length));
        }
        if answer.len() > LONGEST_ANSWER {
            return Err(format!("the handshake's answer is longer than {LONGEST_ANSWER} bytes"));
        }
    }
}

/// Length of the server's answer once it is complete and valid.
fn check_answer(answer: &[u8], deflate: bool) -> Result<Option<usize>, String> {
    let mut headers = [httparse::EMPTY_HEADER; 32];
    let mut response = httparse::Response::new(&mut headers);
    let length = match response.parse(answer) {
        Ok(httparse::Status::Complete(length)) => length,
        Ok(httparse::Status::Partial) => return Ok(None),
        Err(error) => return Err(format!("bad handshake: not HTTP/1.1: {error}")),
    };
    if response.code != Some(101) {
        return Err(format!("bad handshake: status {} instead of 101", response.code.unwrap_or(0)));
    }
    let extensions =
        response.headers.iter().find(|header| header.name.eq_ignore_ascii_case("sec-websocket-extensions"));
    if extensions.is_some_and(|header| is_agreed(header.value)) != deflate {
        return Err(format!("bad handshake: Sec-WebSocket-Extensions {extensions:?}"));
    }
    let accept =
        response.headers.iter().find(|header| header.name.eq_ignore_ascii_case("sec-websocket-accept"));
    match accept {
        Some(header) if header.value == ACCEPT => Ok(Some(length)),
        Some(header) => Err(format!(
            "bad handshake: wrong Sec-WebSocket-Accept {}",
            String::from_utf8_lossy(header.value)
        )),
        None => Err("bad handshake: no Sec-WebSocket-Accept".to_owned()),
    }
}

/// Whether the server accepted the offer, with its parameters in any order.
fn is_agreed(extensions: &[u8]) -> bool {
    let sorted = |text: &str| {
        let mut parts: Vec<String> = text.split(';').map(|part| part.trim().to_owned()).collect();
        parts.sort();
        parts
    };
    std::str::from_utf8(extensions).is_ok_and(|text| sorted(text) == sorted(DEFLATE))
}

/// Lifts the soft limit of open files to what the run needs, as far as the hard limit allows.
fn raise_file_limit(needed: u64) -> Result<(), String> {
    let limit = getrlimit(Resource::Nofile);
    if limit.current.is_none_or(|current| current >= needed) {
        return Ok(());
    }
    if let Some(maximum) = limit.maximum.filter(|maximum| *maximum < needed) {
        return Err(format!("{needed} open files needed, the hard limit is {maximum} (ulimit -Hn)"));
    }
    setrlimit(Resource::Nofile, Rlimit { current: Some(needed), maximum: limit.maximum })
        .map_err(|error| format!("cannot raise the limit of open files to {needed}: {error}"))
}

/// Longest wait for a connect or for the handshake's answer.
const PATIENCE: Duration = Duration::from_secs(10);
/// Files besides the connections: standard streams, epoll, wake-up, with room to spare.
const SPARE_FILES: u64 = 32;
/// The offer, which must be accepted unchanged: every message is compressed on its own, so one can be prepared and sent
/// repeatedly.
const DEFLATE: &str = "permessage-deflate; server_no_context_takeover; client_no_context_takeover";
const LONGEST_ANSWER: usize = 16 * 1024;
/// The key of RFC 6455 §1.3 and the answer to it: with one fixed key the client needs no SHA-1.
const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";
const ACCEPT: &[u8] = b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn handshake_answers() {
        let right =
            "HTTP/1.1 101 Switching Protocols\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";
        assert_eq!(check_answer(right.as_bytes(), false).unwrap(), Some(right.len()));
        assert_eq!(check_answer(&right.as_bytes()[..right.len() - 1], false).unwrap(), None);
        assert!(check_answer(right.as_bytes(), true).unwrap_err().contains("Sec-WebSocket-Extensions"));
        let compressed = right.replace(
            "Sec",
            "Sec-WebSocket-Extensions: permessage-deflate; client_no_context_takeover; server_no_context_takeover\r\nSec",
        );
        assert_eq!(check_answer(compressed.as_bytes(), true).unwrap(), Some(compressed.len()));
        let other = compressed.replace("; client_no_context_takeover", "");
        assert!(check_answer(other.as_bytes(), true).unwrap_err().contains("Sec-WebSocket-Extensions"));
        let wrong = right.replace("s3p", "s3q");
        assert!(
            check_answer(wrong.as_bytes(), false).unwrap_err().contains("wrong Sec-WebSocket-Accept s3qPL")
        );
        let refused = b"HTTP/1.1 400 Bad Request\r\n\r\n";
        assert_eq!(check_answer(refused, false).unwrap_err(), "bad handshake: status 400 instead of 101");
    }

    #[test]
    fn sources_move_through_the_loopback_network() {
        let loopback = SocketAddr::from(([127, 0, 0, 1], 1));
        let mut source = Source::Any;
        let moves = std::iter::from_fn(|| source.advance(loopback)).count();
        assert_eq!(moves, 253);
        assert!(matches!(source, Source::Loopback(254)));
        assert!(Source::Any.advance(SocketAddr::from(([10, 0, 0, 1], 1))).is_none());
    }
}
