//! The command line, parsed once into what the modes need.

use std::net::{SocketAddr, ToSocketAddrs};
use std::time::Duration;

use crate::frame::Kind;

/// The options of one run.
#[derive(Debug)]
pub struct Options {
    /// The mode.
    pub command: Command,
    /// The server.
    pub target: Target,
    /// Connections to open, at least 1. Default 64 (`idle` 10,000, `subscribe` 1,000).
    pub connections: usize,
    /// Messages in flight on each echo connection, at least 1. Default 1.
    pub in_flight: usize,
    /// Payload of an echoed message in bytes. Default 20.
    pub size: usize,
    /// The kind of message that is sent. Default text.
    pub kind: Kind,
    /// Whether echoed messages are compressed, each on its own. Default no.
    pub deflate: bool,
    /// Body of an HTTP request in bytes, sent with POST. Default none, and GET.
    pub body: Option<usize>,
    /// Header fields of an HTTP request besides Host. Default 0.
    pub fields: usize,
    /// Load before the measured window, not counted. Default 1 s.
    pub warm_up: Duration,
    /// How long answers accumulate in a closed loop (see closed_loop.rs); the system adds its timer slack, 50 µs on
    /// Linux. Default 10 µs, 0 switches it off, and so do fewer than four connections.
    pub nap: Duration,
    /// How long a connection of a closed loop waits between an answer and its next request, so that the load is less
    /// than the server can take; there is no nap then. Default 0.
    pub think: Duration,
    /// How long `flood` waits for an answer. Default 15 s.
    pub patience: Duration,
    /// Length of the measured window; for `subscribe` the longest time to listen (`None`: until stdin ends or
    /// `count` is reached). Default 3 s for the closed loops.
    pub seconds: Option<Duration>,
    /// Wait for a line on stdin between warm-up and measured window, so that the caller can read the server's
    /// counters while nothing is on its way.
    pub gate: bool,
    /// Whether TLS is used, and how. Default by the scheme of the URL.
    pub tls: Tls,
    /// The longest datagram that a connection of HTTP/3 takes, in bytes of its payload, from 1,200 on. Default 1,472, as
    /// browsers; other clients take any (65,527).
    pub longest_datagram: u16,
    /// `subscribe` ends once this many messages arrived over all connections.
    pub count: Option<u64>,
}

/// The modes, see the crate's documentation.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Command {
    /// WebSocket echo in a closed loop.
    Echo,
    /// GET requests on keep-alive connections in a closed loop.
    Http,
    /// GET requests over HTTP/3 in a closed loop, `in_flight` of them on each connection.
    Http3,
    /// Connections of HTTP/3 that stay open after a request.
    IdleHttp3,
    /// WebSockets that stay open and silent.
    Idle,
    /// WebSockets that count what they receive.
    Subscribe,
    /// New connections, one after the other.
    Handshake,
    /// Requests beside a WebSocket that floods its handler.
    Flood,
    /// A server, for comparison. Takes no options.
    Bare,
}

/// The layer below HTTP.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Tls {
    /// Nothing: `ws://`, `http://`.
    Off,
    /// TLS, every handshake from scratch: `wss://`, `https://`.
    Full,
    /// TLS, with the ticket of the connection before (`handshake` only).
    Resumed,
}

/// A server address and the path to ask for.
#[derive(Debug)]
pub struct Target {
    /// Resolved address; IPv4 first where the name has both.
    pub address: SocketAddr,
    /// `host:port` as it stands in the URL, for the Host header.
    pub authority: String,
    /// Origin-form target, starts with `/`.
    pub path: String,
}

impl Options {
    /// Reads the arguments behind the program's name.
    pub fn parse(mut arguments: impl Iterator<Item = String>) -> Result<Self, String> {
        let command = match arguments.next().as_deref() {
            Some("echo") => Command::Echo,
            Some("http") => Command::Http,
            Some("http3") => Command::Http3,
            Some("idle-http3") => Command::IdleHttp3,
            Some("idle") => Command::Idle,
            Some("subscribe") => Command::Subscribe,
            Some("handshake") => Command::Handshake,
            Some("flood") => Command::Flood,
            Some("bare") => Command::Bare,
            other => {
                return Err(format!(
                    "expected echo, http, http3, idle-http3, idle, subscribe, handshake, flood or bare, got {}",
                    other.unwrap_or("nothing")
                ));
            }
        };
        let mut options = Self::defaults(command);
        let mut url = None;
        let mut path = None;
        while let Some(flag) = arguments.next() {
            let mut value = || arguments.next().ok_or_else(|| format!("{flag} needs a value"));
            match flag.as_str() {
                "--url" => url = Some(value()?),
                "--path" => path = Some(value()?),
                "--connections" => options.connections = positive(&flag, &value()?)?,
                "--in-flight" => options.in_flight = positive(&flag, &value()?)?,
                "--size" => options.size = number(&flag, &value()?)?,
                "--count" => options.count = Some(number(&flag, &value()?)?),
                "--seconds" => options.seconds = Some(seconds(&flag, &value()?)?),
                "--warm-up" => options.warm_up = seconds(&flag, &value()?)?,
                "--nap" => options.nap = Duration::from_micros(number(&flag, &value()?)?),
                "--think" => options.think = Duration::from_micros(number(&flag, &value()?)?),
                "--patience" => options.patience = seconds(&flag, &value()?)?,
                "--body" => options.body = Some(number(&flag, &value()?)?),
                "--fields" => options.fields = number(&flag, &value()?)?,
                "--longest-datagram" => options.longest_datagram = number(&flag, &value()?)?,
                "--text" => options.kind = Kind::Text,
                "--binary" => options.kind = Kind::Binary,
                "--ping" => options.kind = Kind::Ping,
                "--deflate" => options.deflate = true,
                "--gate" => options.gate = true,
                "--resume" => options.tls = Tls::Resumed,
                _ => return Err(format!("unknown option {flag}")),
            }
        }
        if command == Command::Bare {
            return Ok(options);
        }
        if options.kind == Kind::Ping && (options.size > LONGEST_PING || options.deflate) {
            return Err(format!("a ping is at most {LONGEST_PING} bytes and never compressed"));
        }
        let url = url.ok_or("--url is missing")?;
        let (scheme, secure) = match command {
            Command::Http | Command::Handshake => ("http://", "https://"),
            // There is none without TLS.
            Command::Http3 | Command::IdleHttp3 => ("https://", "https://"),
            Command::Echo | Command::Idle | Command::Subscribe | Command::Flood | Command::Bare => {
                ("ws://", "wss://")
            }
        };
        if options.tls == Tls::Off && url.starts_with(secure) {
            options.tls = Tls::Full;
        }
        options.target = Target::parse(&url, if options.tls == Tls::Off { scheme } else { secure })?;
        if let Some(path) = path {
            options.target.path = path;
        }
        Ok(options)
    }

    fn defaults(command: Command) -> Self {
        let (connections, seconds) = match command {
            Command::Echo | Command::Http => (64, Some(Duration::from_secs(3))),
            Command::Http3 => (8, Some(Duration::from_secs(3))),
            Command::IdleHttp3 => (1_000, None),
            Command::Idle => (10_000, None),
            Command::Subscribe => (1_000, None),
            Command::Handshake => (4, Some(Duration::from_secs(3))),
            Command::Flood => (1, Some(Duration::from_secs(3))),
            Command::Bare => (0, None),
        };
        let target = Target {
            address: SocketAddr::from(([127, 0, 0, 1], 0)),
            authority: String::new(),
            path: String::new(),
        };
        Self {
            command,
            target,
            connections,
            in_flight: 1,
            size: 20,
            kind: Kind::Text,
            deflate: false,
            body: None,
            fields: 0,
            warm_up: Duration::from_secs(1),
            nap: Duration::from_micros(10),
            think: Duration::ZERO,
            patience: Duration::from_secs(15),
            seconds,
            gate: false,
            tls: Tls::Off,
            longest_datagram: 1_472,
            count: None,
        }
    }
}

impl Target {
    fn parse(url: &str, scheme: &str) -> Result<Self, String> {
        let rest =
            url.strip_prefix(scheme).ok_or_else(|| format!("--url must start with {scheme}, got {url}"))?;
        let split = rest.find('/').unwrap_or(rest.len());
        let (authority, path) = rest.split_at(split);
        let mut addresses: Vec<_> = authority
            .to_socket_addrs()
            .map_err(|error| format!("cannot resolve {authority}: {error}"))?
            .collect();
        addresses.sort_by_key(SocketAddr::is_ipv6);
        let address = *addresses.first().ok_or_else(|| format!("{authority} has no address"))?;
        let path = if path.is_empty() { "/" } else { path };
        Ok(Self { address, authority: authority.to_owned(), path: path.to_owned() })
    }
}

/// Payload of a control frame (RFC 6455 §5.5).
const LONGEST_PING: usize = 125;

fn number<T: std::str::FromStr>(flag: &str, value: &str) -> Result<T, String> {
    value.parse().map_err(|_| format!("{flag} needs a whole number, got {value}"))
}

fn positive(flag: &str, value: &str) -> Result<usize, String> {
    match number(flag, value)? {
        0 => Err(format!("{flag} must be at least 1")),
        count => Ok(count),
    }
}

fn seconds(flag: &str, value: &str) -> Result<Duration, String> {
    let seconds = value.parse::<f64>().ok().and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    seconds.ok_or_else(|| format!("{flag} needs a number of seconds, got {value}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Options, String> {
        Options::parse(line.split_whitespace().map(str::to_owned))
    }

    #[test]
    fn modes_have_their_own_defaults() {
        let echo = parse("echo --url ws://127.0.0.1:9001").unwrap();
        assert_eq!((echo.connections, echo.in_flight, echo.size), (64, 1, 20));
        assert_eq!(echo.seconds, Some(Duration::from_secs(3)));
        assert_eq!(echo.target.path, "/");
        let idle = parse("idle --url ws://127.0.0.1:9001/chat").unwrap();
        assert_eq!((idle.connections, idle.seconds), (10_000, None));
        assert_eq!((idle.target.authority.as_str(), idle.target.path.as_str()), ("127.0.0.1:9001", "/chat"));
    }

    #[test]
    fn mistakes_are_named() {
        for (line, complaint) in [
            (
                "",
                "expected echo, http, http3, idle-http3, idle, subscribe, handshake, flood or bare, got nothing",
            ),
            ("echo", "--url is missing"),
            ("echo --url", "--url needs a value"),
            ("http --url ws://127.0.0.1:1/", "--url must start with http://, got ws://127.0.0.1:1/"),
            ("echo --url ws://127.0.0.1:1/ --connections 0", "--connections must be at least 1"),
            ("echo --url ws://127.0.0.1:1/ --size x", "--size needs a whole number, got x"),
            ("echo --url ws://127.0.0.1:1/ --seconds -1", "--seconds needs a number of seconds, got -1"),
            ("echo --url ws://127.0.0.1:1/ --fast", "unknown option --fast"),
            ("echo --ping --size 126", "a ping is at most 125 bytes and never compressed"),
        ] {
            assert_eq!(parse(line).unwrap_err(), complaint, "{line}");
        }
    }
}
