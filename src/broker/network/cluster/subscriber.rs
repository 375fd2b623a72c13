//! The connection to a master that is subscribed: reads and writes its stream in a task of its own. The client of the
//! crate `redis` would take an end of a subscription that the server tells by itself for the answer to a command.

use std::ops::Range;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use redis::cmd;
use tokio::io::{AsyncReadExt, AsyncWriteExt, ReadHalf, WriteHalf};
use tokio::sync::{Semaphore, mpsc};

use crate::broker::cause::{BrokerCause, BrokerFailure};
use crate::broker::network::dial::Stream;
use crate::broker::network::guard::MAX_STRING;
use crate::broker::redis_url::RedisUser;

/// Something that a server sends to a subscriber.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Frame {
    /// A message.
    Message {
        /// Its channel.
        channel: Bytes,
        /// Header and payload.
        payload: Bytes,
    },
    /// A channel is subscribed.
    Subscribed(Bytes),
    /// A channel is not subscribed any more: as ordered, or because its slot is leaving.
    Unsubscribed(Bytes),
    /// The answer to a `PING`, with what that had.
    Pong(Bytes),
    /// A command was refused.
    Error(String),
    /// Something that does not matter.
    Other,
}

/// What has arrived at a time.
pub(super) struct Batch {
    /// The number of the node.
    pub node: u64,
    /// Oldest first.
    pub frames: Vec<Frame>,
    /// The room that gets free when they are taken.
    pub weight: usize,
    /// Why the connection has ended, if it has.
    pub end: Option<BrokerFailure>,
}

/// A stream on which the server knows who asks.
pub(super) struct Introduced {
    stream: Box<dyn Stream>,
    buffer: BytesMut,
    parser: Parser,
}

/// Where commands go to. The connection ends when it is dropped.
pub(super) type Orders = mpsc::UnboundedSender<Vec<u8>>;

/// Says who asks.
///
/// # Errors
/// The server refuses that.
pub(super) async fn introduce(
    mut stream: Box<dyn Stream>,
    user: &RedisUser,
) -> Result<Introduced, BrokerFailure> {
    let (mut buffer, mut parser) = (BytesMut::new(), Parser::default());
    if let Some(password) = &user.password {
        let mut auth = cmd("AUTH");
        if let Some(name) = &user.name {
            auth.arg(name);
        }
        stream.write_all(&auth.arg(password).get_packed_command()).await.map_err(ended)?;
        stream.flush().await.map_err(ended)?;
        let answer = loop {
            if let Some(frame) = parser.next(&mut buffer)? {
                break frame;
            }
            if stream.read_buf(&mut buffer).await.map_err(ended)? == 0 {
                return Err(closed());
            }
        };
        if let Frame::Error(text) = answer {
            return Err(BrokerFailure::new(BrokerCause::Auth, text));
        }
    }
    Ok(Introduced { stream, buffer, parser })
}

/// Starts the task. What arrives goes to `batches`, as long as there is `room` for it.
pub(super) fn start(
    introduced: Introduced,
    node: u64,
    batches: mpsc::UnboundedSender<Batch>,
    room: Arc<Semaphore>,
) -> Orders {
    let (orders, ordered) = mpsc::unbounded_channel();
    let Introduced { stream, buffer, parser } = introduced;
    let (reader, writer) = tokio::io::split(stream);
    let (output, is_unflushed) = (BytesMut::new(), false);
    let mut driver =
        Driver { reader, writer, parser, buffer, output, is_unflushed, orders: ordered, ready: Vec::new() };
    tokio::spawn(async move {
        let end = driver.drive(node, &batches, &room).await.err();
        // What was read before the end still counts. Nobody may want it any more.
        let _ = batches.send(Batch { node, frames: std::mem::take(&mut driver.ready), weight: 0, end });
    });
    orders
}

struct Driver {
    reader: ReadHalf<Box<dyn Stream>>,
    writer: WriteHalf<Box<dyn Stream>>,
    parser: Parser,
    /// What was read and not parsed.
    buffer: BytesMut,
    /// What is to be written.
    output: BytesMut,
    /// Whether the stream has taken something that it may keep.
    is_unflushed: bool,
    orders: mpsc::UnboundedReceiver<Vec<u8>>,
    /// What was parsed and not yet delivered.
    ready: Vec<Frame>,
}

impl Driver {
    async fn drive(
        &mut self,
        node: u64,
        batches: &mpsc::UnboundedSender<Batch>,
        room: &Semaphore,
    ) -> Result<(), BrokerFailure> {
        self.parse()?;
        loop {
            let Self { reader, writer, buffer, output, is_unflushed, orders, ready, .. } = self;
            buffer.reserve(MIN_READ);
            let weight = weight(ready);
            tokio::select! {
                order = orders.recv() => match order {
                    None => return Ok(()),
                    Some(order) => output.extend_from_slice(&order),
                },
                written = write(writer, output, is_unflushed), if !output.is_empty() || *is_unflushed => written?,
                read = reader.read_buf(buffer), if ready.is_empty() => {
                    if read.map_err(ended)? == 0 {
                        return Err(closed());
                    }
                    self.parse()?;
                }
                permit = room.acquire_many(weight), if !ready.is_empty() => {
                    let Ok(permit) = permit else { return Ok(()) };
                    permit.forget();
                    let (frames, weight) = (std::mem::take(ready), weight as usize);
                    if batches.send(Batch { node, frames, weight, end: None }).is_err() {
                        return Ok(());
                    }
                }
            }
        }
    }

    fn parse(&mut self) -> Result<(), BrokerFailure> {
        while let Some(frame) = self.parser.next(&mut self.buffer)? {
            self.ready.push(frame);
        }
        Ok(())
    }
}

/// Writes some of the output. May be dropped while it waits.
async fn write(
    writer: &mut WriteHalf<Box<dyn Stream>>,
    output: &mut BytesMut,
    is_unflushed: &mut bool,
) -> Result<(), BrokerFailure> {
    if output.is_empty() {
        writer.flush().await.map_err(ended)?;
        *is_unflushed = false;
    } else {
        if writer.write_buf(output).await.map_err(ended)? == 0 {
            return Err(closed());
        }
        *is_unflushed = true;
    }
    Ok(())
}

/// Bytes, no more than there may ever be room for.
fn weight(ready: &[Frame]) -> u32 {
    let weight = |frame: &Frame| match frame {
        Frame::Message { channel, payload } => channel.len() + payload.len(),
        Frame::Error(text) => text.len(),
        Frame::Subscribed(_) | Frame::Unsubscribed(_) | Frame::Pong(_) | Frame::Other => 0,
    };
    let sum: usize = ready.iter().map(|frame| weight(frame) + size_of::<Frame>()).sum();
    // The limit fits.
    sum.min(MAX_RECEIVED) as u32
}

fn ended(error: std::io::Error) -> BrokerFailure {
    BrokerFailure::new(BrokerCause::Closed, error)
}

fn closed() -> BrokerFailure {
    BrokerFailure::new(BrokerCause::Closed, "the server has closed the connection")
}

/// Reads the RESP 2 that a server sends to subscribers: strings, numbers, errors, and lists of them.
#[derive(Debug, Default)]
struct Parser {
    /// Bytes without which nothing is complete.
    needed: usize,
}

/// Where something stands, and where it ends.
enum Found {
    /// So many bytes are needed at least.
    Incomplete(usize),
    /// A text, or nothing.
    Text(Range<usize>, usize),
    Error(Range<usize>, usize),
    Other(usize),
}

impl Parser {
    fn next(&mut self, buffer: &mut BytesMut) -> Result<Option<Frame>, BrokerFailure> {
        if buffer.is_empty() || buffer.len() < self.needed {
            return Ok(None);
        }
        self.needed = 0;
        if buffer[0] == b'*' {
            return self.next_list(buffer);
        }
        Ok(match scan(buffer, 0)? {
            Found::Incomplete(needed) => {
                self.needed = needed;
                None
            }
            Found::Text(text, end) => Some(Frame::Pong(buffer.split_to(end).freeze().slice(text))),
            Found::Error(text, end) => {
                let frame = Frame::Error(String::from_utf8_lossy(&buffer[text]).into_owned());
                let _ = buffer.split_to(end);
                Some(frame)
            }
            Found::Other(end) => {
                let _ = buffer.split_to(end);
                Some(Frame::Other)
            }
        })
    }

    fn next_list(&mut self, buffer: &mut BytesMut) -> Result<Option<Frame>, BrokerFailure> {
        let Some((count, mut at)) = line(buffer, 0)? else { return Ok(None) };
        let count = number(&buffer[count])?.filter(|count| *count <= MAX_ITEMS).ok_or_else(broken)?;
        let mut items = Vec::new();
        for _ in 0..count {
            match scan(buffer, at)? {
                Found::Incomplete(needed) => {
                    self.needed = needed;
                    return Ok(None);
                }
                Found::Text(text, end) => {
                    items.push(text);
                    at = end;
                }
                Found::Error(_, end) | Found::Other(end) => {
                    items.push(0..0);
                    at = end;
                }
            }
        }
        let bytes = buffer.split_to(at).freeze();
        let text = |at: usize| bytes.slice(items[at].clone());
        let kind = items.first().map_or(&b""[..], |kind| &bytes[kind.clone()]);
        Ok(Some(match (kind, items.len()) {
            (b"smessage", 3) => Frame::Message { channel: text(1), payload: text(2) },
            (b"ssubscribe", 3) => Frame::Subscribed(text(1)),
            (b"sunsubscribe", 3) => Frame::Unsubscribed(text(1)),
            (b"pong", 2) => Frame::Pong(text(1)),
            _ => Frame::Other,
        }))
    }
}

/// Reads what starts at a place and is no list.
fn scan(bytes: &[u8], at: usize) -> Result<Found, BrokerFailure> {
    let Some(kind) = bytes.get(at) else { return Ok(Found::Incomplete(at + 1)) };
    if !matches!(kind, b'$' | b'+' | b'-' | b':') {
        return Err(BrokerFailure::new(BrokerCause::Protocol, "the server does not speak RESP"));
    }
    let Some((text, end)) = line(bytes, at)? else { return Ok(Found::Incomplete(bytes.len() + 1)) };
    match kind {
        b'+' | b':' => Ok(Found::Other(end)),
        b'-' => Ok(Found::Error(text, end)),
        _ => match number(&bytes[text])? {
            None => Ok(Found::Other(end)),
            Some(length) if length as u64 > MAX_STRING => {
                let detail = format!("the server has announced {length} bytes; {MAX_STRING} are accepted");
                Err(BrokerFailure::new(BrokerCause::TooLarge, detail))
            }
            Some(length) => match bytes.get(end + length..end + length + 2) {
                None => Ok(Found::Incomplete(end + length + 2)),
                Some(b"\r\n") => Ok(Found::Text(end..end + length, end + length + 2)),
                Some(_) => Err(broken()),
            },
        },
    }
}

/// Where the text of a line stands, without the kind in front of it, and where the next one starts; `None` if it is not
/// complete.
fn line(bytes: &[u8], at: usize) -> Result<Option<(Range<usize>, usize)>, BrokerFailure> {
    match memchr::memchr(b'\n', &bytes[at..]) {
        None if bytes.len() - at > MAX_LINE => {
            Err(BrokerFailure::new(BrokerCause::Protocol, "the server has sent a line without an end"))
        }
        None => Ok(None),
        Some(length) if length >= 2 && bytes[at + length - 1] == b'\r' => {
            Ok(Some((at + 1..at + length - 1, at + length + 1)))
        }
        Some(_) => Err(broken()),
    }
}

/// A length; `None` for that of nothing, `-1`.
fn number(text: &[u8]) -> Result<Option<usize>, BrokerFailure> {
    if text == b"-1" {
        return Ok(None);
    }
    let number = std::str::from_utf8(text).ok().and_then(|text| text.parse::<u32>().ok());
    number.map(|number| Some(number as usize)).ok_or_else(broken)
}

fn broken() -> BrokerFailure {
    BrokerFailure::new(BrokerCause::Protocol, "the server has sent a malformed line")
}

/// Room for a read.
const MIN_READ: usize = 64 * 1024;
/// Longest line, in bytes.
const MAX_LINE: usize = 64 * 1024;
/// Most items of a list.
const MAX_ITEMS: usize = 16;
/// Bytes of messages that were read and wait; beyond that the streams are not read.
pub(super) const MAX_RECEIVED: usize = 16 * 1024 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    /// The frames of some bytes, fed in two pieces, split at each place.
    fn frames(bytes: &[u8]) -> Result<Vec<Frame>, BrokerCause> {
        let read = |split: usize| {
            let (mut parser, mut buffer, mut frames) = (Parser::default(), BytesMut::new(), Vec::new());
            for piece in [&bytes[..split], &bytes[split..]] {
                buffer.extend_from_slice(piece);
                while let Some(frame) = parser.next(&mut buffer).map_err(|failure| failure.cause)? {
                    frames.push(frame);
                }
            }
            Ok(frames)
        };
        let whole = read(0);
        for split in 1..bytes.len() {
            assert_eq!(read(split), whole, "{split}");
        }
        whole
    }

    #[test]
    fn what_a_subscriber_gets_is_read_at_any_split() {
        let text = |text: &'static str| Bytes::from_static(text.as_bytes());
        let bytes = b"+OK\r\n*3\r\n$10\r\nssubscribe\r\n$1\r\na\r\n:1\r\n*3\r\n$8\r\nsmessage\r\n$1\r\na\r\n$4\r\n\r\n*1\r\n\
            -MOVED 1 b:2\r\n*3\r\n$12\r\nsunsubscribe\r\n$1\r\na\r\n:0\r\n*2\r\n$4\r\npong\r\n$1\r\n7\r\n$1\r\n8\r\n\
            *3\r\n$12\r\nsunsubscribe\r\n$-1\r\n:0\r\n";
        let expected = vec![
            Frame::Other,
            Frame::Subscribed(text("a")),
            Frame::Message { channel: text("a"), payload: text("\r\n*1") },
            Frame::Error("MOVED 1 b:2".to_owned()),
            Frame::Unsubscribed(text("a")),
            Frame::Pong(text("7")),
            Frame::Pong(text("8")),
            Frame::Unsubscribed(text("")),
        ];
        assert_eq!(frames(bytes), Ok(expected));
    }

    #[test]
    fn other_protocols_garbage_and_what_is_too_large_are_refused() {
        for bytes in [
            &b"HTTP/1.1 400 Bad Request\r\n\r\n"[..],
            b"\x15\x03\x01\x00\x02\x02\x28",
            b"$x\r\n",
            b"$-5\r\n",
            b"$1\r\nab\r\n",
            b"*17\r\n",
            b"*-1\r\n",
            b"*1\r\n*1\r\n",
            b"+OK\n",
        ] {
            assert_eq!(frames(bytes), Err(BrokerCause::Protocol), "{bytes:?}");
        }
        assert_eq!(frames(b"*3\r\n$8\r\nsmessage\r\n$33554433\r\n"), Err(BrokerCause::TooLarge));
        let mut endless = BytesMut::from(&[b'+'; MAX_LINE + 2][..]);
        assert!(Parser::default().next(&mut endless).is_err());
    }
}
