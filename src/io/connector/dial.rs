//! Opens a TCP connection to a host name. If the name has several addresses, they are tried as RFC 8305 ("Happy
//! Eyeballs") describes: the address families alternate, and each attempt starts 250 ms after the one before, which may
//! still be pending.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::task::JoinSet;

use super::resolver::Resolver;
use super::system_error::system_code;
use crate::protocol::connect::{ConnectCause, ConnectFailure};

/// Returns the addresses of a host, at least one, in the order in which to try them.
pub(super) async fn resolve(host: &str, port: u16) -> Result<Vec<SocketAddr>, ConnectFailure> {
    if let Ok(address) = host.parse::<IpAddr>() {
        return Ok(vec![SocketAddr::new(address, port)]);
    }
    let mut addresses = Resolver::shared().resolve(host).await?.to_vec();
    for address in &mut addresses {
        address.set_port(port);
    }
    Ok(in_turn(addresses))
}

/// Alternates the address families. The family of the system's first address comes first (RFC 8305 §4).
fn in_turn(addresses: Vec<SocketAddr>) -> Vec<SocketAddr> {
    let is_first_v6 = addresses.first().is_some_and(SocketAddr::is_ipv6);
    let (first, second): (Vec<_>, Vec<_>) =
        addresses.into_iter().partition(|address| address.is_ipv6() == is_first_v6);
    let longest = first.len().max(second.len());
    (0..longest).flat_map(|place| [first.get(place), second.get(place)]).flatten().copied().collect()
}

/// Returns the first connection that is established to any of the addresses, and drops the other attempts.
pub(super) async fn dial(addresses: Vec<SocketAddr>) -> Result<TcpStream, ConnectFailure> {
    let mut waiting = addresses.into_iter().peekable();
    let mut attempts = JoinSet::new();
    let mut failures = Vec::new();
    loop {
        if let Some(address) = waiting.next() {
            attempts.spawn(async move { (address, TcpStream::connect(address).await) });
        }
        let next = attempts.join_next();
        let ended = match waiting.peek() {
            None => next.await,
            Some(_) => match tokio::time::timeout(ATTEMPT_DELAY, next).await {
                Ok(ended) => ended,
                Err(_) => continue,
            },
        };
        match ended {
            Some(Ok((_, Ok(stream)))) => return Ok(stream),
            Some(Ok((address, Err(error)))) => failures.push((address, error)),
            // The attempt panicked; the runtime has logged that.
            Some(Err(_)) => {}
            None if waiting.peek().is_none() => return Err(failure_of(&failures)),
            None => {}
        }
    }
}

/// Combines the failed attempts: the cause is that of the first one, and the detail lists the error of each.
fn failure_of(failures: &[(SocketAddr, io::Error)]) -> ConnectFailure {
    let Some((_, first)) = failures.first() else {
        return ConnectFailure::new(ConnectCause::Failed, "no attempt was made");
    };
    let words = |(address, error): &(SocketAddr, io::Error)| match system_code(error) {
        Some(code) => format!("{address} ({code})"),
        None => format!("{address} ({error})"),
    };
    let detail = failures.iter().map(words).collect::<Vec<_>>().join(", ");
    ConnectFailure { system: system_code(first), ..ConnectFailure::new(cause_of(first), detail) }
}

fn cause_of(error: &io::Error) -> ConnectCause {
    use io::ErrorKind as Kind;
    if matches!(system_code(error), Some("EMFILE" | "ENFILE")) {
        return ConnectCause::OutOfDescriptors;
    }
    match error.kind() {
        Kind::ConnectionRefused => ConnectCause::Refused,
        Kind::HostUnreachable | Kind::NetworkUnreachable | Kind::NetworkDown => ConnectCause::Unreachable,
        Kind::TimedOut => ConnectCause::TimedOut,
        Kind::ConnectionReset | Kind::ConnectionAborted | Kind::BrokenPipe => ConnectCause::Ended,
        _ => ConnectCause::Failed,
    }
}

/// RFC 8305 §5, "Connection Attempt Delay".
const ATTEMPT_DELAY: Duration = Duration::from_millis(250);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::io::connector::system_error::{FILE_TABLE_OVERFLOW, TOO_MANY_OPEN_FILES};

    fn address(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    #[test]
    fn families_take_turns() {
        let of = |list: &[&str]| in_turn(list.iter().map(|text| address(text)).collect());
        let all = ["[::1]:1", "[::2]:1", "[::3]:1", "1.1.1.1:1", "2.2.2.2:1"];
        let turns = ["[::1]:1", "1.1.1.1:1", "[::2]:1", "2.2.2.2:1", "[::3]:1"];
        assert_eq!(of(&all), turns.map(address));
        assert_eq!(of(&["1.1.1.1:1", "[::1]:1"]), ["1.1.1.1:1", "[::1]:1"].map(address));
        assert_eq!(of(&["1.1.1.1:1"]), ["1.1.1.1:1"].map(address));
    }

    #[test]
    fn a_failure_has_the_first_cause_and_all_addresses() {
        let failures = [
            (address("[::1]:1"), io::ErrorKind::ConnectionRefused.into()),
            (address("127.0.0.1:1"), io::ErrorKind::HostUnreachable.into()),
        ];
        let failure = failure_of(&failures);
        assert_eq!((failure.cause, failure.system), (ConnectCause::Refused, Some("ECONNREFUSED")));
        assert_eq!(failure.detail, "[::1]:1 (ECONNREFUSED), 127.0.0.1:1 (EHOSTUNREACH)");
    }

    #[test]
    fn errors_name_their_cause() {
        let table = [
            (io::ErrorKind::ConnectionRefused, ConnectCause::Refused),
            (io::ErrorKind::NetworkUnreachable, ConnectCause::Unreachable),
            (io::ErrorKind::TimedOut, ConnectCause::TimedOut),
            (io::ErrorKind::ConnectionReset, ConnectCause::Ended),
            (io::ErrorKind::AddrNotAvailable, ConnectCause::Failed),
        ];
        for (kind, cause) in table {
            assert_eq!(cause_of(&kind.into()), cause, "{kind:?}");
        }
        for (number, code) in [(TOO_MANY_OPEN_FILES, "EMFILE"), (FILE_TABLE_OVERFLOW, "ENFILE")] {
            let error = io::Error::from_raw_os_error(number);
            assert_eq!((cause_of(&error), system_code(&error)), (ConnectCause::OutOfDescriptors, Some(code)));
        }
    }
}
