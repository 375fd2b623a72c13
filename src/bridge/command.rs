//! The commands of Node's thread to a worker. Commands are imperatives, with the names of the events they answer;
//! their payloads lie in one arena per batch.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use socket2::Socket;

use super::capacity_hint::CapacityHint;
use super::children::Children;
use super::connect::ConnectOrder;
use super::event::{BodyOffer, Slice};
use super::handover::HandOver;
use super::id::{AppId, ClientId, ConnectionId, ListenerId, RequestNumber, TopicId, WorkerId};
use super::latch::Latch;
use super::ledger::{Ledger, WebSocketLedger};
use super::quic::{HandedDatagrams, QuicOrder};
use super::rules::Rules;
use super::setup::SetupOrder;
use super::sync::Arc;
use super::takeover::{TakenPlace, Takeover};
use crate::protocol::cause::CloseCause;
use crate::protocol::http::response_framing::Framing;
use crate::protocol::http::response_head::FieldFlags;
use crate::protocol::websocket::fragment::Fragment;
use crate::protocol::websocket::{Agreement, MessageKind};

/// One command. It has no effect if its connection has closed, or if it is for an earlier request of the connection.
#[derive(Debug)]
pub(crate) enum Command {
    /// Set or replace the setup with which new connections of an app are served.
    SetUpApp(Box<SetupOrder>),
    /// Accept connections from a socket that is bound and listening already.
    Listen(Box<ListenOrder>),
    /// Speak QUIC on a UDP socket that is bound already. Each worker that shares its connections gets one.
    ListenQuic(Box<QuicOrder>),
    /// Handle datagrams that another worker has received.
    TakeDatagrams(Box<HandedDatagrams>),
    /// Close UDP sockets that accept nothing and have no connection left.
    CloseFinishedPorts,
    /// Stop accepting; established connections stay open.
    StopListening {
        /// The listening socket.
        listener: ListenerId,
        /// Released when the socket is closed, because the caller promises a free port on return.
        done: Arc<Latch>,
    },
    /// Close every listening socket of an app. Connections that already wait in its backlog are accepted before.
    StopAccepting {
        /// The app and the epoch that ends.
        app: AppId,
        /// Released when the sockets are closed and all that was accepted is on its way to its worker.
        done: Arc<Latch>,
    },
    /// Take over a connection that was accepted elsewhere.
    AdoptConnection(Box<Adoption>),
    /// Open a WebSocket to a server.
    Connect(Box<ConnectOrder>),
    /// Serve a WebSocket whose opening handshake was made over Node's HTTP. `ConnectEnded` answers it.
    HandOver(Box<HandOver>),
    /// Cancel a connect, unless it has ended. No event follows: Node's thread has notified the application.
    CancelConnect {
        /// Which one.
        client: ClientId,
    },
    /// End some connections on which no request is under way: the process has no descriptors left. Sent by the worker
    /// that could not accept.
    MakeRoom,
    /// Resume a TLS handshake that was suspended with `ServerNameRequested`. JavaScript has handled the name: the
    /// session looks it up again, or uses the default certificate.
    ResumeHandshake {
        /// Which connection.
        connection: ConnectionId,
    },
    /// Fail a connection whose bytes go through JavaScript: the peer's end of it has broken.
    BreakConnection {
        /// Which one; it was adopted before.
        place: Arc<TakenPlace>,
        /// How it has broken.
        cause: CloseCause,
    },
    /// Drop a connection in any state. No event follows: the handlers of the application have run.
    CloseConnection {
        /// Which one.
        connection: ConnectionId,
    },
    /// Close every listening socket and every connection of an app, as it was before `app.epoch` ended.
    CloseApp {
        /// The app and the epoch that ends.
        app: AppId,
        /// Released when they are closed.
        done: Arc<Latch>,
    },
    /// The output of an app exceeds `maxBufferedOutput`: close its slowest connections on this worker, as far as
    /// needed.
    Relieve {
        /// Its number.
        app: u32,
    },
    /// Send `AppEnded` once no connection of an app is left, of any epoch; at once if there is none.
    AwaitEnd {
        /// Its number.
        app: u32,
    },
    /// Remove an app of which no connection is left and none will come.
    ForgetApp {
        /// Its number, which may be given to another one.
        app: u32,
    },
    /// Close every connection of an app gracefully, and drop those left at the timeout (`app.shutdown()`). Follows
    /// [`Self::StopAccepting`], so there will be no further ones.
    ShutDownApp(Arc<ShutdownOrder>),

    /// Answer in one go: head, framing and whole body.
    Respond {
        /// Where to.
        to: ResponseId,
        /// Status line text and field block.
        head: HeadBytes,
        /// The body.
        body: Slice,
        /// Whether the connection ends with this response.
        close: bool,
    },
    /// Answer with a head; the body follows in pieces.
    StartResponse {
        /// Where to.
        to: ResponseId,
        /// Status line text and field block.
        head: HeadBytes,
        /// How the end of the body is marked.
        framing: Framing,
    },
    /// Record in a ledger how much of the body that follows is written.
    MeterResponse {
        /// Whose body.
        to: ResponseId,
        /// Shared with Node's thread.
        ledger: Arc<Ledger>,
    },
    /// Send `ResponseWritable` once most of the queued output is written; at once if that is so already.
    NotifyWritable {
        /// Whose body.
        to: ResponseId,
    },
    /// A piece of the body.
    WriteBody {
        /// Where to.
        to: ResponseId,
        /// The bytes.
        data: Slice,
    },
    /// The response is complete.
    FinishResponse {
        /// Where to.
        to: ResponseId,
        /// Complete `Name: value\r\n` lines to send behind the body; empty for none.
        trailers: Slice,
        /// Whether the connection ends with this response.
        close: bool,
    },
    /// Drop the connection of a response (`res.close()`).
    AbortResponse {
        /// Which one.
        to: ResponseId,
    },
    /// Stop reading: the request body has no handler, or `res.pause()` was called. TCP flow control slows the peer
    /// down.
    PauseReading {
        /// Whose body.
        to: ResponseId,
    },
    /// Offer nothing more of the request body ([`super::event::Event::BodyOffered`]): it has no handler that takes pieces.
    DeclineBody {
        /// Whose body.
        to: ResponseId,
    },
    /// Resume reading.
    ResumeReading {
        /// Whose body.
        to: ResponseId,
    },
    /// Answer with 101 and switch to WebSocket.
    Upgrade {
        /// Where to.
        to: ResponseId,
        /// The value of `Sec-WebSocket-Accept`.
        accept: Slice,
        /// The selected subprotocol; empty for none.
        protocol: Slice,
        /// Further complete `Name: value\r\n` lines.
        fields: Slice,
        /// The negotiated compression, which `fields` states to the client.
        agreement: Option<Agreement>,
        /// The rules of the route.
        rules: Arc<Rules>,
        /// The output accounting of the new WebSocket, shared with Node's thread.
        ledger: Arc<WebSocketLedger>,
    },

    /// Send a message.
    SendMessage {
        /// Where to.
        connection: ConnectionId,
        /// Text or binary.
        kind: MessageKind,
        /// The message.
        payload: Slice,
        /// Whether to compress it, if that was negotiated.
        compress: bool,
    },
    /// Send a fragment of a message. Between two fragments Node's thread sends no other message here, except published
    /// ones.
    SendFragment {
        /// Where to.
        connection: ConnectionId,
        /// Which part.
        fragment: Fragment,
        /// Its bytes.
        payload: Slice,
    },
    /// Send a Ping.
    SendPing {
        /// Where to.
        connection: ConnectionId,
        /// At most 125 bytes.
        payload: Slice,
    },
    /// Send a Pong.
    SendPong {
        /// Where to.
        connection: ConnectionId,
        /// At most 125 bytes.
        payload: Slice,
    },
    /// Send `Written` once all that is queued now is written.
    AwaitWritten {
        /// Which one.
        connection: ConnectionId,
    },
    /// Stop or resume reading from the peer. TCP flow control slows it down.
    PauseWebSocket {
        /// Which one.
        connection: ConnectionId,
        /// Stop.
        is_paused: bool,
    },
    /// Send a Close frame and wait for the peer's; `Closed` follows.
    StartClose {
        /// Which one.
        connection: ConnectionId,
        /// Status code; 0 sends an empty Close.
        code: u16,
        /// Reason, UTF-8.
        reason: Slice,
    },
    /// Send a Close frame and wait for the peer's (`ws.end()`).
    EndWebSocket {
        /// Which one.
        connection: ConnectionId,
        /// Why.
        cause: CloseCause,
        /// Status code; 0, 1005 and 1006 send an empty Close.
        code: u16,
        /// Reason, UTF-8.
        reason: Slice,
    },
    /// Send the Close frame that is owed: the close handler has run, and everything it sent is queued before this.
    ConcludeWebSocket {
        /// Which one.
        connection: ConnectionId,
    },
    /// Drop the TCP connection (`ws.close()`).
    CloseWebSocket {
        /// Which one.
        connection: ConnectionId,
    },
    /// Close it, because its backlog exceeds `maxBackpressure`. `WebSocketEvent::Closed` follows.
    LimitWebSocket {
        /// Which one.
        connection: ConnectionId,
    },
    /// Send `Drained` once nothing is queued; at once if that is so already.
    NotifyDrain {
        /// Which one.
        connection: ConnectionId,
    },
    /// Add a subscriber to a topic.
    Subscribe {
        /// Who.
        connection: ConnectionId,
        /// To what.
        topic: TopicId,
    },
    /// Remove a subscriber from a topic.
    Unsubscribe {
        /// Who.
        connection: ConnectionId,
        /// From what.
        topic: TopicId,
    },
    /// Send one message to every subscriber that this worker has.
    Publish {
        /// The topic.
        topic: TopicId,
        /// The publishing WebSocket, which gets no copy.
        except: Option<ConnectionId>,
        /// Text or binary.
        kind: MessageKind,
        /// The message.
        payload: Slice,
        /// Whether to compress it for the recipients that have negotiated compression.
        compress: bool,
    },

    /// Write what the kernel takes of this connection's output, then release the latch: Node's thread waits for the
    /// resulting backlog.
    WriteConnection {
        /// Which one.
        connection: ConnectionId,
        /// Released even if the connection has closed.
        done: Arc<Latch>,
    },
    /// The same for all connections of the worker.
    Write(Arc<Latch>),
    /// Release the latch once all queued output is written: the process is about to exit.
    Flush(Arc<Latch>),
    /// Close the connections of QUIC, and release the latch: the process is about to exit, and its system, which closes those
    /// of TCP, knows nothing of them.
    SayGoodbye(Arc<Latch>),
    /// End the thread.
    Stop,
}

/// A command with a long payload that is not copied: it is carried out before the call returns that makes it, by Node's
/// thread, where Node's loop leads. Beside the payload it is what the [`Command`] of that name is.
#[derive(Debug)]
pub(crate) enum LentCommand<'a> {
    /// A message that is not compressed.
    SendMessage {
        /// Where to.
        connection: ConnectionId,
        /// Text or binary.
        kind: MessageKind,
        /// The message.
        payload: &'a [u8],
    },
    /// A whole response.
    Respond {
        /// Where to.
        to: ResponseId,
        /// Status line text and field block, which lie in the arena of the batch before this.
        head: HeadBytes,
        /// The body.
        body: &'a [u8],
        /// Whether the connection ends with this response.
        close: bool,
    },
    /// A piece of the body.
    WriteBody {
        /// Where to.
        to: ResponseId,
        /// The bytes.
        data: &'a [u8],
    },
    /// Read a piece of a request body that was offered ([`super::event::Event::BodyOffered`]). There is no command that does
    /// this later.
    ReadBody {
        /// From where.
        connection: ConnectionId,
        /// The offer.
        offer: BodyOffer,
        /// Where to: at most as many bytes as were offered.
        memory: &'a mut [u8],
        /// What was read; remains `None` if the offer does not hold any more.
        taken: &'a mut Option<BodyPiece>,
    },
}

/// What [`LentCommand::ReadBody`] has read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct BodyPiece {
    /// Number of bytes, not 0.
    pub length: usize,
    /// Whether the body is complete.
    pub last: bool,
}

/// Payload length, in bytes, from which on a command is worth carrying out by itself: as many as uWebSockets.js corks.
pub(crate) const LENT_FROM: usize = 16 * 1024;

/// The address of one response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ResponseId {
    /// The connection.
    pub connection: ConnectionId,
    /// The request that is answered.
    pub request: RequestNumber,
}

/// A response head as Node's thread has checked and laid it out.
#[derive(Clone, Copy, Debug)]
pub(crate) struct HeadBytes {
    /// Status code, a space and the reason phrase; empty means `200 OK`.
    pub status: Slice,
    /// Complete `Name: value\r\n` lines.
    pub fields: Slice,
    /// Which fields that matter to framing are among them.
    pub flags: FieldFlags,
}

/// A listening socket on its way to the worker that accepts from it.
#[derive(Debug)]
pub(crate) struct ListenOrder {
    /// Bound, listening, non-blocking.
    pub socket: Socket,
    /// Its name.
    pub listener: ListenerId,
    /// Who listens.
    pub app: AppId,
    /// The workers that share its connections, in turn.
    pub share: Vec<WorkerId>,
    /// The apps that take its connections over.
    pub children: Arc<Children>,
    /// The file of a Unix socket that was bound here, which is removed again when the listener closes.
    pub file: Option<SocketFile>,
}

/// A connection on its way to the worker that will serve it.
#[derive(Debug)]
pub(crate) struct Adoption {
    /// Connected, non-blocking.
    pub socket: Socket,
    /// Whose connection it is.
    pub app: AppId,
    /// The peer's address as reported by the accept or by the caller; `None` if there is none (Unix socket) or it is
    /// unknown.
    pub address: Option<SocketAddr>,
    /// Present if its first request was read elsewhere.
    pub(crate) takeover: Option<Takeover>,
    /// Released when the connection counts as one of the worker's.
    pub done: Option<Arc<Latch>>,
}

/// The arguments of `app.shutdown()`.
#[derive(Debug)]
pub(crate) struct ShutdownOrder {
    /// The app and the epoch that ends.
    pub app: AppId,
    /// Status code for WebSockets, as in [`Command::EndWebSocket`].
    pub code: u16,
    /// Reason for WebSockets. Never empty.
    pub reason: String,
    /// How long connections may take to end.
    pub timeout: Duration,
}

/// The file of a Unix socket.
#[derive(Debug)]
pub(crate) struct SocketFile {
    /// Where it lies.
    pub path: PathBuf,
    /// Its device and inode, where they exist. Another file at the path belongs to a successor and must not be removed.
    pub identity: Option<(u64, u64)>,
}

/// The commands of one flush of Node's thread, and their payloads.
#[derive(Debug, Default)]
pub(crate) struct CommandBatch {
    /// In the order of the calls.
    pub commands: Vec<Command>,
    /// The arena of all payloads.
    pub bytes: Vec<u8>,
    capacity_hint: CapacityHint,
}

impl CommandBatch {
    /// A batch of one command without payload.
    #[must_use]
    pub(crate) fn of(command: Command) -> Self {
        Self { commands: vec![command], ..Self::default() }
    }

    /// Whether there is nothing to hand over.
    #[must_use]
    pub(crate) fn is_empty(&self) -> bool {
        self.commands.is_empty()
    }

    /// Empties the batch for reuse.
    pub(crate) fn clear(&mut self) {
        self.commands.clear();
        self.capacity_hint.clear(&mut self.bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_fits_a_cache_line() {
        assert!(size_of::<Command>() <= 64, "{}", size_of::<Command>());
    }
}
