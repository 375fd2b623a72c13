//! Reads and writes the stream of a connection, in a task of its own.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::{Buf, Bytes, BytesMut};
use tokio::io::{AsyncReadExt, AsyncWriteExt, ReadHalf, WriteHalf};
use tokio::sync::{Semaphore, mpsc, oneshot};

use super::protocol::{self, Info, Message, Operation, PING, PONG, Parser};
use crate::broker::cause::{BrokerCause, BrokerFailure};
use crate::broker::network::dial::Stream;
use crate::broker::network::guard::Verdict;

/// Something to send. A `PING` follows it.
pub(super) struct Order {
    /// Operations.
    pub bytes: Vec<u8>,
    /// Gets the errors after which the connection goes on, once the server has handled everything.
    pub answer: oneshot::Sender<Vec<String>>,
}

/// Something that has arrived.
pub(super) enum Incoming {
    /// News of the server.
    Info(Info),
    /// A message.
    Message(Message),
}

/// What has arrived at a time.
pub(super) struct Batch {
    /// Oldest first.
    pub arrived: Vec<Incoming>,
    /// The room that gets free when it is taken.
    pub weight: usize,
}

/// Runs until the connection ends, or nobody needs it any more.
pub(super) struct Driver {
    reader: ReadHalf<Box<dyn Stream>>,
    writer: WriteHalf<Box<dyn Stream>>,
    parser: Parser,
    /// What was read and not parsed.
    buffer: BytesMut,
    output: Output,
    orders: mpsc::UnboundedReceiver<Order>,
    delivery: Delivery,
    /// Who waits for a `PONG`, oldest first.
    waiting: VecDeque<oneshot::Sender<Vec<String>>>,
    /// Errors since the last `PONG`.
    errors: Vec<String>,
    /// What was parsed and not yet delivered.
    ready: Vec<Incoming>,
}

impl Driver {
    pub(super) fn new(
        stream: Box<dyn Stream>,
        buffer: BytesMut,
        (orders, written): (mpsc::UnboundedReceiver<Order>, Arc<AtomicU64>),
        (sender, room): (mpsc::UnboundedSender<Batch>, Arc<Semaphore>),
    ) -> Self {
        let (reader, writer) = tokio::io::split(stream);
        Self {
            reader,
            writer,
            parser: Parser::default(),
            buffer,
            output: Output { written, pieces: VecDeque::new(), is_unflushed: false },
            orders,
            delivery: Delivery { sender, room },
            waiting: VecDeque::new(),
            errors: Vec::new(),
            ready: Vec::new(),
        }
    }

    /// Runs; writes to `verdict` why it has ended before anybody notices.
    pub(super) async fn run(mut self, verdict: Verdict) {
        if let Err(failure) = self.drive().await {
            verdict.get_or_init(|| failure);
        }
        // What was read before the end still counts.
        let ready = std::mem::take(&mut self.ready);
        if !ready.is_empty() {
            self.delivery.send(ready, 0);
        }
    }

    async fn drive(&mut self) -> Result<(), BrokerFailure> {
        self.parse()?;
        loop {
            let Self { reader, writer, buffer, output, orders, delivery, ready, .. } = self;
            buffer.reserve(MIN_READ);
            tokio::select! {
                order = orders.recv() => match order {
                    None => return Ok(()),
                    Some(order) => self.take(order),
                },
                written = output.write(writer), if !output.is_empty() => written?,
                read = reader.read_buf(buffer), if ready.is_empty() => {
                    if read.map_err(ended)? == 0 {
                        return Err(closed());
                    }
                    self.parse()?;
                    self.delivery.deliver_now(&mut self.ready);
                }
                is_wanted = delivery.deliver(ready), if !ready.is_empty() => if !is_wanted {
                    return Ok(());
                },
            }
        }
    }

    fn take(&mut self, order: Order) {
        if !order.bytes.is_empty() {
            self.output.push(order.bytes.into());
        }
        self.output.push(Bytes::from_static(PING));
        self.waiting.push_back(order.answer);
    }

    fn parse(&mut self) -> Result<(), BrokerFailure> {
        while let Some(operation) = self.parser.next(&mut self.buffer)? {
            match operation {
                Operation::Info(info) => self.ready.push(Incoming::Info(info)),
                Operation::Message(message) => self.ready.push(Incoming::Message(message)),
                Operation::Ping if self.output.pieces.len() > MAX_PIECES => {
                    let detail = "the server asks, and does not read the answers";
                    return Err(BrokerFailure::new(BrokerCause::Protocol, detail));
                }
                Operation::Ping => self.output.push(Bytes::from_static(PONG)),
                Operation::Ok => {}
                Operation::Pong => {
                    let errors = std::mem::take(&mut self.errors);
                    if let Some(answer) = self.waiting.pop_front() {
                        // Nobody may wait for it any more.
                        let _ = answer.send(errors);
                    }
                }
                Operation::Error(text) => {
                    let goes_on = protocol::forbidden_subject(&text).is_some()
                        || protocol::is_forbidden_subscription(&text);
                    if !goes_on {
                        return Err(protocol::failure_of(&text));
                    }
                    if self.errors.len() < MAX_ERRORS {
                        self.errors.push(text);
                    }
                }
            }
        }
        Ok(())
    }
}

/// Hands over what has arrived.
struct Delivery {
    sender: mpsc::UnboundedSender<Batch>,
    /// Bytes that may be handed over before they are taken.
    room: Arc<Semaphore>,
}

impl Delivery {
    /// Waits for room. Returns whether anybody wants it. May be dropped while it waits.
    async fn deliver(&self, ready: &mut Vec<Incoming>) -> bool {
        let weight = weight(ready);
        let Ok(permit) = self.room.acquire_many(weight).await else { return false };
        permit.forget();
        self.send(std::mem::take(ready), weight)
    }

    /// Hands over at once if there is room.
    fn deliver_now(&self, ready: &mut Vec<Incoming>) {
        let weight = weight(ready);
        if !ready.is_empty()
            && let Ok(permit) = self.room.try_acquire_many(weight)
        {
            permit.forget();
            self.send(std::mem::take(ready), weight);
        }
    }

    fn send(&self, arrived: Vec<Incoming>, weight: u32) -> bool {
        self.sender.send(Batch { arrived, weight: weight as usize }).is_ok()
    }
}

/// Bytes, no more than there may ever be room for.
fn weight(ready: &[Incoming]) -> u32 {
    let weight = |incoming: &Incoming| match incoming {
        Incoming::Message(message) => message.payload.len(),
        Incoming::Info(_) => 0,
    };
    let sum: usize = ready.iter().map(|it| weight(it) + size_of::<Incoming>()).sum();
    // The limit fits.
    sum.min(MAX_RECEIVED) as u32
}

/// What is to be written.
struct Output {
    /// Bytes so far.
    written: Arc<AtomicU64>,
    /// Oldest first.
    pieces: VecDeque<Bytes>,
    /// Whether the stream has taken something that it may keep.
    is_unflushed: bool,
}

impl Output {
    fn push(&mut self, piece: Bytes) {
        self.pieces.push_back(piece);
    }

    fn is_empty(&self) -> bool {
        self.pieces.is_empty() && !self.is_unflushed
    }

    /// Writes some of it. May be dropped while it waits.
    async fn write(&mut self, writer: &mut (impl AsyncWriteExt + Unpin)) -> Result<(), BrokerFailure> {
        let Some(first) = self.pieces.front_mut() else {
            writer.flush().await.map_err(ended)?;
            self.is_unflushed = false;
            return Ok(());
        };
        let count = writer.write_buf(first).await.map_err(ended)?;
        if count == 0 {
            return Err(closed());
        }
        self.written.fetch_add(count as u64, Ordering::Relaxed);
        if !first.has_remaining() {
            self.pieces.pop_front();
        }
        self.is_unflushed = true;
        Ok(())
    }
}

fn ended(error: std::io::Error) -> BrokerFailure {
    BrokerFailure::new(BrokerCause::Closed, error)
}

/// The server has closed the connection.
pub(super) fn closed() -> BrokerFailure {
    BrokerFailure::new(BrokerCause::Closed, "the server has closed the connection")
}

/// Room for a read.
const MIN_READ: usize = 64 * 1024;
/// Pieces of output that may wait when the server asks for another one.
const MAX_PIECES: usize = 10_000;
/// Errors that are kept until a `PONG`.
const MAX_ERRORS: usize = 1024;
/// Bytes of messages that were read and wait; beyond that the stream is not read.
pub(super) const MAX_RECEIVED: usize = 16 * 1024 * 1024;
