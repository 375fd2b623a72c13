//! WebSocket frames as a client needs them: masked ones to send, headers of the server's frames to count by.

/// The kind of frame that is sent (RFC 6455 §5.2).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Kind {
    /// UTF-8 text.
    Text,
    /// Any bytes.
    Binary,
    /// A ping, which the server answers with a pong without its application.
    Ping,
}

impl Kind {
    fn opcode(self) -> u8 {
        match self {
            Self::Text => OPCODE_TEXT,
            Self::Binary => OPCODE_BINARY,
            Self::Ping => OPCODE_PING,
        }
    }

    /// The opcode of the answer.
    fn opcode_of_answer(self) -> u8 {
        match self {
            Self::Text | Self::Binary => self.opcode(),
            Self::Ping => OPCODE_PONG,
        }
    }
}

/// One whole message in one masked frame.
pub fn masked_message(kind: Kind, payload: &[u8]) -> Vec<u8> {
    masked(kind.opcode(), payload)
}

/// The same with a payload that is compressed (RFC 7692 §6).
pub fn masked_compressed_message(kind: Kind, payload: &[u8]) -> Vec<u8> {
    masked(COMPRESSED | kind.opcode(), payload)
}

/// A server's answer to that message or ping: one unmasked frame.
pub fn unmasked_answer(kind: Kind, payload: &[u8]) -> Vec<u8> {
    let mut frame = header(kind.opcode_of_answer(), payload.len(), 0);
    frame.extend_from_slice(payload);
    frame
}

/// Counts the messages in a server's byte stream by the lengths in the frame headers; payloads of data frames are
/// skipped unread.
///
/// ```text
///  Header ──whole──► Data(left)    ──left == 0──► Header
///                 └► Control(body) ──complete──► Header   ping: pong owed · close: the run ends
/// ```
#[derive(Debug, Default)]
pub struct FrameScanner {
    /// Header bytes of a frame whose header is incomplete; at most 10.
    head: Vec<u8>,
    /// Payload bytes of the current frame that have yet to arrive.
    left: u64,
    /// The type of the current frame, while `left` > 0.
    current: Option<Current>,
    /// Pongs owed for pings seen, ready to send.
    pongs: Vec<u8>,
    /// Whether messages may be compressed.
    deflate: bool,
}

/// The result of one call of [`FrameScanner::scan`].
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Scanned {
    /// Messages whose last byte arrived.
    pub messages: u64,
    /// Payload bytes of data frames that arrived.
    pub payload: u64,
    /// Pongs that arrived.
    pub pongs: u64,
}

#[derive(Debug)]
enum Current {
    Data { last: bool },
    Control { opcode: u8, body: Vec<u8> },
}

impl FrameScanner {
    /// A scanner for a connection on which messages may be compressed.
    pub fn of_compressed() -> Self {
        Self { deflate: true, ..Self::default() }
    }

    /// Takes the next bytes from the server. An error says how the server broke the protocol, or that and why it
    /// closed.
    pub fn scan(&mut self, mut bytes: &[u8]) -> Result<Scanned, String> {
        let mut found = Scanned::default();
        while !bytes.is_empty() {
            if self.current.is_none() {
                let Some(rest) = self.take_header(bytes)? else { break };
                bytes = rest;
            }
            let taken = usize::try_from(self.left).map_or(bytes.len(), |left| left.min(bytes.len()));
            let (payload, rest) = bytes.split_at(taken);
            bytes = rest;
            self.left -= taken as u64;
            match &mut self.current {
                Some(Current::Data { .. }) => found.payload += taken as u64,
                Some(Current::Control { body, .. }) => body.extend_from_slice(payload),
                None => {}
            }
            if self.left == 0 {
                self.finish_frame(&mut found)?;
            }
        }
        Ok(found)
    }

    /// Pong frames owed to the server, handed over once.
    pub fn take_pongs(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.pongs)
    }

    /// Reads a frame header from the bytes kept and `bytes`; `None` while it is incomplete, else the bytes behind it.
    fn take_header<'a>(&mut self, bytes: &'a [u8]) -> Result<Option<&'a [u8]>, String> {
        if self.head.is_empty() {
            return match Header::parse(bytes, self.deflate)? {
                Some(header) => Ok(Some(&bytes[self.start_frame(&header)..])),
                None => {
                    self.head.extend_from_slice(bytes);
                    Ok(None)
                }
            };
        }
        let kept = self.head.len();
        let more = bytes.len().min(LONGEST_HEADER - kept);
        self.head.extend_from_slice(&bytes[..more]);
        let Some(header) = Header::parse(&self.head, self.deflate)? else { return Ok(None) };
        self.head.clear();
        Ok(Some(&bytes[self.start_frame(&header) - kept..]))
    }

    /// Enters the frame and returns the length of its header.
    fn start_frame(&mut self, header: &Header) -> usize {
        self.left = header.payload;
        self.current = Some(match header.opcode {
            opcode @ (OPCODE_CLOSE | OPCODE_PING | OPCODE_PONG) => {
                Current::Control { opcode, body: Vec::new() }
            }
            _ => Current::Data { last: header.last },
        });
        header.length
    }

    /// Leaves a complete frame, and counts what it completed.
    fn finish_frame(&mut self, found: &mut Scanned) -> Result<(), String> {
        match self.current.take() {
            Some(Current::Data { last }) => found.messages += u64::from(last),
            Some(Current::Control { opcode: OPCODE_CLOSE, body }) => return Err(describe_close(&body)),
            Some(Current::Control { opcode: OPCODE_PING, body }) => {
                self.pongs.extend_from_slice(&masked(OPCODE_PONG, &body));
            }
            Some(Current::Control { .. }) => found.pongs += 1,
            None => {}
        }
        Ok(())
    }
}

/// A frame header of the server.
struct Header {
    last: bool,
    opcode: u8,
    /// Payload length in bytes.
    payload: u64,
    /// Length of the header itself, 2 to 10.
    length: usize,
}

impl Header {
    /// `None` while `bytes` holds less than the whole header.
    fn parse(bytes: &[u8], deflate: bool) -> Result<Option<Self>, String> {
        let [first, second, extended @ ..] = bytes else { return Ok(None) };
        if second & MASKED != 0 {
            return Err("the server sent a masked frame (RFC 6455 §5.1)".to_owned());
        }
        let reserved = if deflate { RESERVED & !COMPRESSED } else { RESERVED };
        if first & reserved != 0 {
            return Err(format!(
                "the server set reserved bits without an extension: first byte {first:#04x}"
            ));
        }
        let opcode = first & 0x0f;
        if !matches!(opcode, 0..=OPCODE_BINARY | OPCODE_CLOSE..=OPCODE_PONG) {
            return Err(format!("the server sent a frame with unknown opcode {opcode}"));
        }
        let (payload, length) = match (second, extended) {
            (126, [a, b, ..]) => (u64::from(u16::from_be_bytes([*a, *b])), 4),
            (127, [a, b, c, d, e, f, g, h, ..]) => (u64::from_be_bytes([*a, *b, *c, *d, *e, *f, *g, *h]), 10),
            (126 | 127, _) => return Ok(None),
            (short, _) => (u64::from(*short), 2),
        };
        Ok(Some(Self { last: first & FIN != 0, opcode, payload, length }))
    }
}

fn describe_close(body: &[u8]) -> String {
    match body {
        [high, low, reason @ ..] => format!(
            "the server closed with code {} and reason \"{}\"",
            u16::from_be_bytes([*high, *low]),
            String::from_utf8_lossy(reason)
        ),
        _ => "the server closed without a code".to_owned(),
    }
}

fn masked(opcode: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = header(opcode, payload.len(), MASKED);
    frame.extend_from_slice(&MASK);
    frame.extend(payload.iter().zip(MASK.iter().cycle()).map(|(byte, mask)| byte ^ mask));
    frame
}

fn header(opcode: u8, length: usize, mask_bit: u8) -> Vec<u8> {
    let mut header = vec![FIN | opcode];
    match length {
        0..=125 => header.push(mask_bit | length as u8),
        126..=0xffff => {
            header.push(mask_bit | 126);
            header.extend_from_slice(&(length as u16).to_be_bytes());
        }
        _ => {
            header.push(mask_bit | 127);
            header.extend_from_slice(&(length as u64).to_be_bytes());
        }
    }
    header
}

const FIN: u8 = 0x80;
const RESERVED: u8 = 0x70;
/// RSV1.
const COMPRESSED: u8 = 0x40;
const MASKED: u8 = 0x80;
const OPCODE_TEXT: u8 = 1;
const OPCODE_BINARY: u8 = 2;
const OPCODE_CLOSE: u8 = 8;
const OPCODE_PING: u8 = 9;
const OPCODE_PONG: u8 = 10;
/// Unmasked, with a 64-bit length.
const LONGEST_HEADER: usize = 10;
/// One key for all frames: they are prepared once, and no proxy lies between two loopback sockets.
const MASK: [u8; 4] = [0x3c, 0xa5, 0x51, 0xe7];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_the_same_at_every_split() {
        let mut stream = unmasked_answer(Kind::Text, b"hi");
        stream.extend_from_slice(&[0x02, 3, 1, 2, 3]); // first fragment
        stream.extend_from_slice(&[0x89, 2, b'o', b'k']); // a ping between fragments
        stream.extend_from_slice(&[0x80, 0]); // last fragment, empty
        stream.extend_from_slice(&unmasked_answer(Kind::Binary, &[7; 300]));
        stream.extend_from_slice(&unmasked_answer(Kind::Binary, &[7; 70_000]));
        stream.extend_from_slice(&unmasked_answer(Kind::Ping, b"back"));
        let expected = Scanned { messages: 4, payload: 2 + 3 + 300 + 70_000, pongs: 1 };
        for split in (0..400).chain([70_000, stream.len() - 1, stream.len()]) {
            let mut scanner = FrameScanner::default();
            let first = scanner.scan(&stream[..split]).unwrap();
            let second = scanner.scan(&stream[split..]).unwrap();
            let sum = Scanned {
                messages: first.messages + second.messages,
                payload: first.payload + second.payload,
                pongs: first.pongs + second.pongs,
            };
            assert_eq!(sum, expected, "split at {split}");
            assert_eq!(scanner.take_pongs(), masked(OPCODE_PONG, b"ok"));
        }
    }

    #[test]
    fn byte_by_byte() {
        let stream = [unmasked_answer(Kind::Text, &[b'x'; 126]), unmasked_answer(Kind::Text, b"")].concat();
        let mut scanner = FrameScanner::default();
        let messages: u64 = stream.chunks(1).map(|byte| scanner.scan(byte).unwrap().messages).sum();
        assert_eq!(messages, 2);
    }

    #[test]
    fn a_broken_or_closing_server_is_an_error() {
        let complaint = |bytes: &[u8]| FrameScanner::default().scan(bytes).unwrap_err();
        assert_eq!(
            complaint(&[0x88, 6, 0x03, 0xf1, b'l', b'o', b'n', b'g']),
            "the server closed with code 1009 and reason \"long\""
        );
        assert_eq!(complaint(&[0x88, 0]), "the server closed without a code");
        assert!(complaint(&[0x81, 0x82]).contains("masked"));
        assert!(complaint(&[0xc1, 0]).contains("reserved bits"));
        assert!(FrameScanner::of_compressed().scan(&[0xc1, 0]).is_ok());
        assert!(FrameScanner::of_compressed().scan(&[0xa1, 0]).is_err());
        assert!(complaint(&[0x83, 0]).contains("unknown opcode 3"));
    }

    #[test]
    fn masking_is_undone_by_masking() {
        let frame = masked_message(Kind::Text, b"twenty bytes payload");
        assert_eq!(frame.len(), 26);
        assert_eq!(&frame[..2], &[0x81, 0x94]);
        let plain: Vec<u8> = frame[6..].iter().zip(frame[2..6].iter().cycle()).map(|(a, b)| a ^ b).collect();
        assert_eq!(plain, b"twenty bytes payload");
    }
}
