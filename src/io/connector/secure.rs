//! The TLS handshake of a client, and the stream that carries the opening handshake.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::{Context as TaskContext, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::system_error::{exhaustion, system_code};
use crate::io::transport::Transport;
use crate::protocol::connect::{ConnectCause, ConnectFailure};
use crate::tls::client::ClientTls;
use crate::tls::fault::{TlsFault, words};

/// Performs the TLS handshake on a new connection, which carries TLS from then on.
pub(super) async fn secure(transport: &mut Transport, tls: ClientTls) -> Result<(), ConnectFailure> {
    let session = if tls.takes_time() {
        tokio::task::spawn_blocking(|| tls.connect())
            .await
            .map_err(|_| ConnectFailure::new(ConnectCause::Failed, "a bug in ferrows"))?
    } else {
        tls.connect()
    };
    let session = session.map_err(|error| {
        let failure = |cause| ConnectFailure::new(cause, error.to_string());
        match exhaustion() {
            Some(error) => {
                ConnectFailure { system: system_code(&error), ..failure(ConnectCause::OutOfDescriptors) }
            }
            None => failure(ConnectCause::Tls),
        }
    })?;
    transport.secure_as_client(session);
    let result = poll_fn(|task| poll_handshake(transport, task)).await;
    result.map_err(|error| {
        // Sends the alert; if that fails too, the first error is reported.
        let _ = transport.flush();
        failure_of(&error)
    })
}

fn poll_handshake(transport: &mut Transport, task: &mut TaskContext<'_>) -> Poll<io::Result<()>> {
    let mut buffer = [0; 4096];
    loop {
        if !transport.flush()? {
            ready!(transport.poll_write_ready(task))?;
            continue;
        }
        if !transport.is_handshaking() {
            return Poll::Ready(Ok(()));
        }
        let mut buffer = ReadBuf::new(&mut buffer);
        match transport.poll_read(task, &mut buffer)? {
            Poll::Ready(()) if buffer.filled().is_empty() && transport.is_handshaking() => {
                return Poll::Ready(Err(TlsFault::Abandoned.into()));
            }
            // The bytes read may require a response, or have completed the handshake.
            Poll::Pending if transport.is_handshaking() && transport.unsent() == 0 => return Poll::Pending,
            Poll::Ready(()) | Poll::Pending => {}
        }
    }
}

/// Describes why a handshake failed, for the developer who runs the client.
fn failure_of(error: &io::Error) -> ConnectFailure {
    let tls = |detail: String| ConnectFailure::new(ConnectCause::Tls, detail);
    match TlsFault::of(error) {
        None => {
            let failure = ConnectFailure::new(ConnectCause::Ended, format!("in the TLS handshake: {error}"));
            ConnectFailure { system: system_code(error), ..failure }
        }
        Some(TlsFault::Silent | TlsFault::Abandoned | TlsFault::Truncated) => {
            tls("the server left in the middle of it".to_owned())
        }
        Some(fault @ TlsFault::KeysExhausted) => tls(fault.to_string()),
        Some(TlsFault::Alert(alert)) => tls(format!("the server sent the alert {alert:?}")),
        Some(TlsFault::PlainHttp | TlsFault::ProxyHeader | TlsFault::NotTls) => tls(NO_TLS.to_owned()),
        Some(TlsFault::Invalid(rustls::Error::InvalidMessage(
            rustls::InvalidMessage::InvalidContentType,
        ))) => tls(NO_TLS.to_owned()),
        Some(TlsFault::Invalid(error)) => tls(words(error)),
    }
}

const NO_TLS: &str = "the server does not speak TLS";

/// Implements tokio's traits for a connection that the task of its connect owns.
pub(super) struct Stream<'a>(pub &'a mut Transport);

impl AsyncRead for Stream<'_> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        task: &mut TaskContext<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.0.poll_read(task, buffer)
    }
}

impl AsyncWrite for Stream<'_> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        task: &mut TaskContext<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        loop {
            match self.0.try_write(bytes) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    ready!(self.0.poll_write_ready(task))?;
                }
                result => return Poll::Ready(result),
            }
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, task: &mut TaskContext<'_>) -> Poll<io::Result<()>> {
        while !self.0.flush()? {
            ready!(self.0.poll_write_ready(task))?;
        }
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, task: &mut TaskContext<'_>) -> Poll<io::Result<()>> {
        // The handshake never shuts the stream down: the connection continues as a WebSocket.
        self.poll_flush(task)
    }
}
