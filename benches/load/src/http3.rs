//! Requests over HTTP/3 in a closed loop, `in_flight` streams on each connection, and connections that are idle. Only what a
//! load needs of HTTP/3: the request is always the same, encoded by the static table of QPACK, and a response is what
//! arrives until the stream ends, whose first frame has to be HEADERS with `:status: 200`.
//!
//! ```text
//! connect ─► warm-up ─► drain ─► [gate] ─► measured window ─► drain ─► result
//! ```

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use quinn::crypto::rustls::QuicClientConfig;
use quinn::{
    ClientConfig, Connection, Endpoint, EndpointConfig, IdleTimeout, TransportConfig, default_runtime,
};
use rustls::ClientConfig as TlsConfig;
use socket2::{Domain, Socket, Type};
use tokio::runtime::Builder;
use tokio::task::JoinSet;

use crate::histogram::Histogram;
use crate::options::{Options, Tls};
use crate::report::{self, Line};
use crate::stream;

/// Runs the loop of requests and prints its result.
pub fn run(options: &Options) -> Result<(), String> {
    let runtime = Builder::new_current_thread().enable_all().build().map_err(|error| error.to_string())?;
    runtime.block_on(load(options))
}

/// Opens connections, makes one request on each, and keeps them until stdin ends.
pub fn idle(options: &Options) -> Result<(), String> {
    let runtime = Builder::new_current_thread().enable_all().build().map_err(|error| error.to_string())?;
    runtime.block_on(async {
        let (_endpoints, connections) = connect(options, None).await?;
        let request: Arc<[u8]> = request(options).into();
        for connection in &connections {
            ask(connection, &request).await?;
        }
        Line::new("ready").number("connections", connections.len()).print()?;
        let _ = tokio::task::spawn_blocking(report::wait_for_line).await;
        Ok(())
    })
}

async fn load(options: &Options) -> Result<(), String> {
    let (_endpoint, connections) = connect(options, Some(Duration::from_secs(30))).await?;
    let request: Arc<[u8]> = request(options).into();
    let warm_up = turn(&connections, &request, options.in_flight, options.warm_up).await?;
    Line::new("warm").number("requests", warm_up.answered).print()?;
    if options.gate {
        tokio::task::spawn_blocking(report::wait_for_line).await.map_err(|error| error.to_string())??;
    }
    let window = options.seconds.unwrap_or(Duration::from_secs(3));
    let (started, cpu) = (Instant::now(), report::cpu_time());
    let result = turn(&connections, &request, options.in_flight, window).await?;
    let (elapsed, cpu) = (started.elapsed(), report::cpu_time() - cpu);
    let latencies = result.latencies.lock().unwrap_or_else(PoisonError::into_inner);
    Line::new("done")
        .number("connections", connections.len())
        .seconds("seconds", elapsed)
        .number("answered", result.answered)
        .number("bytes", result.bytes)
        .number("requests_per_second", format_args!("{:.1}", result.answered as f64 / elapsed.as_secs_f64()))
        .microseconds("p50_us", latencies.quantile(500))
        .microseconds("p99_us", latencies.quantile(990))
        .microseconds("p999_us", latencies.quantile(999))
        .seconds("client_cpu_seconds", cpu)
        .print()
}

/// What came of a window.
struct Outcome {
    answered: u64,
    bytes: u64,
    latencies: Arc<Mutex<Histogram>>,
}

/// Keeps so many requests going on each connection for `window`, and waits for the last answers.
async fn turn(
    connections: &[Connection],
    request: &Arc<[u8]>,
    in_flight: usize,
    window: Duration,
) -> Result<Outcome, String> {
    let until = Instant::now() + window;
    let latencies = Arc::new(Mutex::new(Histogram::new()));
    let mut tasks = JoinSet::new();
    for connection in connections {
        for _ in 0..in_flight {
            let (connection, request) = (connection.clone(), Arc::clone(request));
            let latencies = Arc::clone(&latencies);
            tasks.spawn(async move {
                let (mut answered, mut bytes) = (0, 0);
                while Instant::now() < until {
                    let started = Instant::now();
                    bytes += ask(&connection, &request).await?;
                    answered += 1;
                    let latency = u64::try_from(started.elapsed().as_nanos()).unwrap_or(u64::MAX);
                    latencies.lock().unwrap_or_else(PoisonError::into_inner).record(latency);
                }
                Ok::<_, String>((answered, bytes))
            });
        }
    }
    let mut all = Outcome { answered: 0, bytes: 0, latencies };
    while let Some(ended) = tasks.join_next().await {
        let (answered, bytes): (u64, u64) = ended.map_err(|error| error.to_string())??;
        all.answered += answered;
        all.bytes += bytes;
    }
    Ok(all)
}

/// One request and its response. Returns the length of that.
async fn ask(connection: &Connection, request: &[u8]) -> Result<u64, String> {
    let (mut sending, mut receiving) = connection.open_bi().await.map_err(|error| error.to_string())?;
    sending.write_all(request).await.map_err(|error| error.to_string())?;
    sending.finish().map_err(|error| error.to_string())?;
    let (mut length, mut is_first) = (0, true);
    loop {
        let chunk = receiving.read_chunk(usize::MAX, true).await.map_err(|error| error.to_string())?;
        let Some(chunk) = chunk else { break };
        if is_first && !is_ok(&chunk.bytes) {
            return Err("the first frame of a response is not HEADERS with :status 200".to_owned());
        }
        is_first = false;
        length += chunk.bytes.len() as u64;
    }
    if is_first { Err("a response without a byte".to_owned()) } else { Ok(length) }
}

/// Whether a response starts with HEADERS whose first field is `:status: 200`: entry 25 of the static table.
fn is_ok(bytes: &[u8]) -> bool {
    let field = match bytes {
        [HEADERS, length, ..] if *length < 0x40 => bytes.get(4),
        [HEADERS, length, ..] if *length < 0x80 => bytes.get(5),
        _ => None,
    };
    field == Some(&(STATIC | 25))
}

/// HEADERS with a GET.
fn request(options: &Options) -> Vec<u8> {
    // No dynamic table; GET, https, and two literals with names of the static table.
    let mut section = vec![0, 0, STATIC | 17, STATIC | 23];
    for (name, value) in [(0_u8, &options.target.authority), (1, &options.target.path)] {
        section.push(LITERAL | name);
        section.push(u8::try_from(value.len().min(126)).unwrap_or(126));
        section.extend_from_slice(&value.as_bytes()[..value.len().min(126)]);
    }
    let length = u16::try_from(section.len()).unwrap_or(u16::MAX) | 0x4000;
    [&[HEADERS][..], &length.to_be_bytes(), &section].concat()
}

/// Opens the connections, each with its control stream.
async fn connect(
    options: &Options,
    idle: Option<Duration>,
) -> Result<(Vec<Endpoint>, Vec<Connection>), String> {
    let mut tls = TlsConfig::clone(&*stream::config(Tls::Full)?);
    tls.alpn_protocols = vec![b"h3".to_vec()];
    let crypto = QuicClientConfig::try_from(tls).map_err(|error| error.to_string())?;
    let mut config = ClientConfig::new(Arc::new(crypto));
    let mut transport = TransportConfig::default();
    transport.max_idle_timeout(idle.and_then(|idle| IdleTimeout::try_from(idle).ok()));
    config.transport_config(Arc::new(transport));
    let local: SocketAddr = match options.target.address {
        SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
        SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
    };
    let (mut endpoints, mut connections) = (Vec::new(), Vec::new());
    for number in 0..options.connections {
        if number % CONNECTIONS_PER_SOCKET == 0 {
            endpoints.push(endpoint(local, options.longest_datagram)?);
        }
        let Some(endpoint) = endpoints.last() else { continue };
        let connecting = endpoint.connect_with(config.clone(), options.target.address, "localhost");
        let connection = connecting.map_err(|error| error.to_string())?.await;
        let connection = connection.map_err(|error| format!("connection {number}: {error}"))?;
        let mut control = connection.open_uni().await.map_err(|error| error.to_string())?;
        // The control stream, and SETTINGS without a setting.
        control.write_all(&[0, 4, 0]).await.map_err(|error| error.to_string())?;
        // It has to stay open.
        std::mem::forget(control);
        connections.push(connection);
    }
    Ok((endpoints, connections))
}

/// A socket for connections, with a buffer that takes the burst of a server, as far as the system allows.
fn endpoint(local: SocketAddr, longest_datagram: u16) -> Result<Endpoint, String> {
    let socket =
        Socket::new(Domain::for_address(local), Type::DGRAM, None).map_err(|error| error.to_string())?;
    let _ = socket.set_recv_buffer_size(RECEIVE_BUFFER);
    socket.bind(&local.into()).map_err(|error| error.to_string())?;
    let mut config = EndpointConfig::default();
    config.max_udp_payload_size(longest_datagram).map_err(|error| error.to_string())?;
    let runtime = default_runtime().ok_or("no runtime")?;
    Endpoint::new(config, None, socket.into(), runtime).map_err(|error| error.to_string())
}

/// Bytes that the system may keep for a socket.
const RECEIVE_BUFFER: usize = 4 * 1024 * 1024;
/// Connections that share a socket, so that each has an address of its own as long as there are few.
const CONNECTIONS_PER_SOCKET: usize = 16;
/// RFC 9114 §7.2.2
const HEADERS: u8 = 1;
/// RFC 9204 §4.5.2: a field of the static table.
const STATIC: u8 = 0xc0;
/// RFC 9204 §4.5.4: a literal whose name is in the static table.
const LITERAL: u8 = 0x50;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_one_frame() {
        let line = "http3 --url https://127.0.0.1:9/hello";
        let options = Options::parse(line.split_whitespace().map(str::to_owned)).unwrap();
        let request = request(&options);
        let length = usize::from(u16::from_be_bytes([request[1], request[2]]) & 0x3fff);
        assert_eq!((request[0], request.len()), (HEADERS, 3 + length));
        assert!(request.ends_with(b"\x51\x06/hello"));
    }

    #[test]
    fn other_answers_are_errors() {
        assert!(is_ok(&[1, 10, 0, 0, 0xd9]));
        assert!(is_ok(&[1, 0x40, 70, 0, 0, 0xd9]));
        for answer in [&[1, 10, 0, 0, 0xdb][..], &[0, 10, 0, 0, 0xd9], &[1], &[]] {
            assert!(!is_ok(answer), "{answer:?}");
        }
    }
}
