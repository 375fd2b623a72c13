//! Byte streams to brokers.

use std::io;
#[cfg(unix)]
use std::path::Path;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::broker::cause::{BrokerCause, BrokerFailure};
use crate::broker::redis_url::Address;
use crate::tls::client;

/// A byte stream to a broker.
pub(super) trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}
impl<S: AsyncRead + AsyncWrite + Unpin + Send> Stream for S {}

/// A server that is reached over TCP.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Endpoint {
    /// Where it is.
    pub address: Address,
    /// Without TLS `None`; else the hosts for one of which its certificate must be valid.
    pub certified: Option<Vec<String>>,
}

impl Endpoint {
    /// A server that its url names.
    pub(super) fn given(address: &Address, is_secure: bool) -> Self {
        let certified = is_secure.then(|| vec![address.host.clone()]);
        Self { address: address.clone(), certified }
    }

    /// A server that another one names: perhaps by an address although certificates are for names. As the other one is
    /// trusted, a certificate that is valid for that will do.
    pub(super) fn named(address: Address, by: &Self) -> Self {
        let certified = by.certified.as_ref().map(|others| {
            let mut hosts = vec![address.host.clone()];
            hosts.extend(others.iter().filter(|host| **host != address.host).cloned());
            hosts
        });
        Self { address, certified }
    }

    /// A connection.
    ///
    /// # Errors
    /// The reason of the system, or why the server is not trusted.
    pub(super) async fn dial(&self) -> Result<Box<dyn Stream>, BrokerFailure> {
        let Address { host, port } = &self.address;
        let mut failure = None;
        for certified in self.certified.iter().flatten() {
            match secure(certified, tcp(host, *port).await?).await {
                Ok(stream) => return Ok(stream),
                Err(error) => failure = failure.or(Some(error)),
            }
        }
        failure.map_or(Ok(()), Err)?;
        tcp(host, *port).await
    }
}

/// A connection over TCP.
///
/// # Errors
/// The reason of the system.
pub(super) async fn tcp(host: &str, port: u16) -> Result<Box<dyn Stream>, BrokerFailure> {
    let stream = TcpStream::connect((host, port)).await.map_err(failed)?;
    // A message must not wait for the acknowledgement of the one before.
    stream.set_nodelay(true).map_err(failed)?;
    Ok(Box::new(stream))
}

/// A connection by a Unix socket.
///
/// # Errors
/// The reason of the system.
#[cfg(unix)]
pub(super) async fn unix(path: &Path) -> Result<Box<dyn Stream>, BrokerFailure> {
    Ok(Box::new(tokio::net::UnixStream::connect(path).await.map_err(failed)?))
}

/// TLS over a stream, to a server whose certificate must be valid for `host`.
///
/// # Errors
/// Why the server is not trusted, or does not speak TLS.
pub(super) async fn secure(host: &str, stream: Box<dyn Stream>) -> Result<Box<dyn Stream>, BrokerFailure> {
    let failed = |detail: String| BrokerFailure::new(BrokerCause::Tls, detail);
    let name =
        host.to_owned().try_into().map_err(|_| failed("the host is no name of a server".to_owned()))?;
    let config = tokio::task::spawn_blocking(client::without_protocols).await;
    let config = config.map_err(|error| failed(error.to_string()))?;
    let config = config.map_err(|error| failed(error.to_string()))?;
    let stream = TlsConnector::from(config).connect(name, stream).await;
    Ok(Box::new(stream.map_err(|error| failed(error.to_string()))?))
}

fn failed(error: io::Error) -> BrokerFailure {
    BrokerFailure::new(BrokerCause::Connect, error)
}
