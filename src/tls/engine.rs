//! A connection of rustls without buffers (its unbuffered interface): ciphertext is processed where it lies, and what
//! is to be sent is written where the caller wants it.

use rustls::client::UnbufferedClientConnection;
use rustls::server::UnbufferedServerConnection;
use rustls::unbuffered::{
    ConnectionState, EncodeError, EncodeTlsData, EncryptError, InsufficientSizeError, UnbufferedStatus,
};
use rustls::{CommonState, Error};

/// The state machine of TLS for one connection, as a server or as a client.
pub(super) enum Engine {
    Server(UnbufferedServerConnection),
    Client(UnbufferedClientConnection),
}

/// What one step of processing came to.
pub(super) struct Step {
    /// Bytes at the front of the input that are done with.
    pub(super) discard: usize,
    pub(super) outcome: Outcome,
}

/// How processing goes on.
pub(super) enum Outcome {
    /// With the rest of the input.
    Continue,
    /// With more input only.
    Blocked,
    /// The peer has sent `close_notify`. The rest of the input is ignored (RFC 8446 §6.1).
    PeerClosed,
    /// The peer violates TLS. The alert is to be [`flushed`](Engine::flush), and nothing else may be asked for: the input
    /// that rustls refers to is incomplete.
    Failed(Error),
}

impl Engine {
    /// What both roles have in common.
    pub(super) fn common(&self) -> &CommonState {
        match self {
            Self::Server(tls) => tls,
            Self::Client(tls) => tls,
        }
    }

    /// Whether this side is the server.
    pub(super) const fn is_server(&self) -> bool {
        matches!(self, Self::Server(_))
    }

    /// Processes the next part of `input`, which begins with the bytes that earlier steps have not discarded. Appends
    /// messages of TLS to `output`, and passes the plaintext of each record to `plaintext`.
    pub(super) fn step(
        &mut self,
        input: &mut [u8],
        output: &mut Vec<u8>,
        plaintext: &mut dyn FnMut(&[u8]),
    ) -> Step {
        match self {
            Self::Server(tls) => handle(tls.process_tls_records(input), output, plaintext),
            Self::Client(tls) => handle(tls.process_tls_records(input), output, plaintext),
        }
    }

    /// Appends the messages that wait to be sent to `output`. `input` is what earlier steps have not discarded.
    pub(super) fn flush(&mut self, input: &mut [u8], output: &mut Vec<u8>) {
        // As long as messages wait, rustls returns them rather than process input.
        while self.common().wants_write() {
            let Outcome::Continue = self.step(input, output, &mut |_| {}).outcome else { break };
        }
    }

    /// Queues `close_notify` (RFC 8446 §6.1), to be [`flushed`](Self::flush). Has no effect after an error alert, and
    /// before the handshake lets this side send data. `input` is what earlier steps have not discarded.
    pub(super) fn queue_close_notify(&mut self, input: &mut [u8]) {
        match self {
            Self::Server(tls) => while !queue_close_notify(tls.process_tls_records(input)) {},
            Self::Client(tls) => while !queue_close_notify(tls.process_tls_records(input)) {},
        }
    }

    /// Encrypts `plaintext` into `output`, as records that are full except for the last one. Returns the number of bytes
    /// written. `input` is what earlier steps have not discarded.
    ///
    /// # Errors
    /// No more may be encrypted with these keys, or `output` is too short. Nothing is written then.
    pub(super) fn seal(
        &mut self,
        input: &mut [u8],
        plaintext: &[u8],
        output: &mut [u8],
    ) -> Result<usize, EncryptError> {
        match self {
            Self::Server(tls) => loop {
                if let Some(result) = seal(tls.process_tls_records(input), plaintext, output) {
                    return result;
                }
            },
            Self::Client(tls) => loop {
                if let Some(result) = seal(tls.process_tls_records(input), plaintext, output) {
                    return result;
                }
            },
        }
    }
}

fn handle<Data>(
    status: UnbufferedStatus<'_, '_, Data>,
    output: &mut Vec<u8>,
    plaintext: &mut dyn FnMut(&[u8]),
) -> Step {
    let UnbufferedStatus { mut discard, state } = status;
    let outcome = match state {
        Ok(ConnectionState::ReadTraffic(mut traffic)) => loop {
            match traffic.next_record() {
                Some(Ok(record)) => {
                    discard += record.discard;
                    plaintext(record.payload);
                }
                Some(Err(error)) => break Outcome::Failed(error),
                None => break Outcome::Continue,
            }
        },
        Ok(ConnectionState::EncodeTlsData(mut message)) => {
            append(&mut message, output);
            Outcome::Continue
        }
        Ok(ConnectionState::TransmitTlsData(transmission)) => {
            // The caller sends what is in `output`.
            transmission.done();
            Outcome::Continue
        }
        Ok(ConnectionState::PeerClosed) => Outcome::PeerClosed,
        Ok(
            ConnectionState::Closed | ConnectionState::BlockedHandshake | ConnectionState::WriteTraffic(_),
        ) => Outcome::Blocked,
        // Early data (0-RTT), which no configuration allows.
        Ok(_) => Outcome::Failed(Error::General("unexpected state of rustls".into())),
        Err(error) => Outcome::Failed(error),
    };
    Step { discard, outcome }
}

fn append<Data>(message: &mut EncodeTlsData<'_, Data>, output: &mut Vec<u8>) {
    let start = output.len();
    loop {
        match message.encode(&mut output[start..]) {
            Ok(count) => return output.truncate(start + count),
            Err(EncodeError::InsufficientSize(InsufficientSizeError { required_size })) => {
                output.resize(start + required_size, 0);
            }
            Err(EncodeError::AlreadyEncoded) => return output.truncate(start),
        }
    }
}

/// Queues the alert if rustls is ready to. Returns `false` if it is after the next call.
fn queue_close_notify<Data>(status: UnbufferedStatus<'_, '_, Data>) -> bool {
    match status.state {
        Ok(ConnectionState::WriteTraffic(mut traffic)) => {
            // Without room for it rustls keeps the alert, which is what is wanted.
            let _ = traffic.queue_close_notify(&mut []);
            true
        }
        Ok(ConnectionState::TransmitTlsData(transmission)) => {
            transmission.done();
            false
        }
        _ => true,
    }
}

/// Encrypts if rustls is ready to; `None` if it is after the next call.
fn seal<Data>(
    status: UnbufferedStatus<'_, '_, Data>,
    plaintext: &[u8],
    output: &mut [u8],
) -> Option<Result<usize, EncryptError>> {
    match status.state {
        Ok(ConnectionState::WriteTraffic(mut traffic)) => Some(traffic.encrypt(plaintext, output)),
        Ok(ConnectionState::TransmitTlsData(transmission)) => {
            transmission.done();
            None
        }
        // The input has been processed and nothing waits to be sent, so there is no other state in an open connection.
        _ => Some(Err(EncryptError::EncryptExhausted)),
    }
}
