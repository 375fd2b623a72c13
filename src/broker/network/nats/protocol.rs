//! The client protocol of NATS, without sockets: what a server sends, and what it is sent.

use bytes::{Buf, Bytes, BytesMut};
use serde_json::{Value, json};

use crate::broker::cause::{BrokerCause, BrokerFailure};
use crate::broker::nats_url::Credentials;

/// Something that a server has sent.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Operation {
    /// `INFO`: what the server says of itself, at the start and whenever it has changed.
    Info(Info),
    /// `MSG` or `HMSG`.
    Message(Message),
    /// `PING`, to be answered.
    Ping,
    /// `PONG`: everything that was sent before the `PING` has been handled.
    Pong,
    /// `+OK`
    Ok,
    /// `-ERR`, with its text.
    Error(String),
}

/// What a server says of itself.
#[derive(Debug, Default, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "they are members of INFO")]
pub(super) struct Info {
    /// Most bytes that a message may have.
    pub max_payload: u64,
    /// Whether it tells who asks for an answer that nobody hears the question.
    pub has_headers: bool,
    /// Whether it wants TLS.
    pub requires_tls: bool,
    /// Whether it can speak TLS.
    pub offers_tls: bool,
    /// Whether it is about to end (lame duck mode).
    pub is_leaving: bool,
    /// Other servers of its cluster.
    pub others: Vec<String>,
}

/// A message for a subscription.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Message {
    /// The number of the subscription.
    pub subscription: u64,
    /// The subject.
    pub subject: Bytes,
    /// Where an answer is to go to.
    pub reply: Option<Bytes>,
    /// Whether it comes from the server: nobody has subscribed what was asked.
    pub is_unheard: bool,
    /// The payload, without headers.
    pub payload: Bytes,
}

/// Reads what a server sends.
#[derive(Debug, Default)]
pub(super) struct Parser {
    /// Bytes of the line that has begun which hold no line end.
    scanned: usize,
    /// The message whose payload is to come.
    pending: Option<Pending>,
}

#[derive(Debug)]
struct Pending {
    subscription: u64,
    subject: Bytes,
    reply: Option<Bytes>,
    headers: usize,
    /// Of headers and payload.
    length: usize,
}

impl Parser {
    /// Takes the next operation from the front of `buffer`; `None` if more bytes are needed.
    ///
    /// # Errors
    /// The server breaks a rule.
    pub(super) fn next(&mut self, buffer: &mut BytesMut) -> Result<Option<Operation>, BrokerFailure> {
        if self.pending.is_none() {
            let Some(line) = self.take_line(buffer)? else { return Ok(None) };
            match parse_line(line)? {
                Line::Operation(operation) => return Ok(Some(operation)),
                Line::Message(pending) => self.pending = Some(pending),
            }
        }
        let is_complete = |pending: &mut Pending| buffer.len() >= pending.length + LINE_END.len();
        let Some(pending) = self.pending.take_if(is_complete) else { return Ok(None) };
        let mut payload = buffer.split_to(pending.length).freeze();
        if !buffer.starts_with(LINE_END) {
            return Err(broken("a message that does not end where it should"));
        }
        buffer.advance(LINE_END.len());
        let headers = payload.split_to(pending.headers);
        let Pending { subscription, subject, reply, .. } = pending;
        let is_unheard = headers.starts_with(NO_RESPONDERS);
        Ok(Some(Operation::Message(Message { subscription, subject, reply, is_unheard, payload })))
    }

    /// Takes a line, without its end.
    fn take_line(&mut self, buffer: &mut BytesMut) -> Result<Option<Bytes>, BrokerFailure> {
        if buffer.first().is_some_and(|first| !FIRST_BYTES.contains(first)) {
            return Err(BrokerFailure::new(BrokerCause::Protocol, "the server does not speak NATS"));
        }
        let Some(at) = memchr::memchr(b'\n', &buffer[self.scanned..]) else {
            self.scanned = buffer.len();
            return if self.scanned > MAX_LINE { Err(broken("a line without an end")) } else { Ok(None) };
        };
        let end = std::mem::take(&mut self.scanned) + at;
        if end > MAX_LINE {
            return Err(broken("a line that is too long"));
        }
        let mut line = buffer.split_to(end + 1).freeze();
        if !line.ends_with(LINE_END) {
            return Err(broken("a malformed line"));
        }
        line.truncate(line.len() - LINE_END.len());
        Ok(Some(line))
    }
}

enum Line {
    Operation(Operation),
    Message(Pending),
}

fn parse_line(line: Bytes) -> Result<Line, BrokerFailure> {
    let end = line.iter().position(|byte| is_space(*byte)).unwrap_or(line.len());
    let arguments = line[end..].trim_ascii();
    let is = |name: &str| line[..end].eq_ignore_ascii_case(name.as_bytes());
    let operation = match arguments {
        [] if is("PING") => Operation::Ping,
        [] if is("PONG") => Operation::Pong,
        [] if is("+OK") => Operation::Ok,
        text if is("-ERR") => Operation::Error(parse_error(text)),
        json if is("INFO") => Operation::Info(parse_info(json)?),
        words if is("MSG") => return parse_message(&line, words, false),
        words if is("HMSG") => return parse_message(&line, words, true),
        _ => return Err(broken("an operation that is none of a server's")),
    };
    Ok(Line::Operation(operation))
}

/// `subject sid [reply] [headers] length`
fn parse_message(line: &Bytes, words: &[u8], has_headers: bool) -> Result<Line, BrokerFailure> {
    let malformed = || broken("a malformed message");
    let mut words = words.split(|byte| is_space(*byte)).filter(|word| !word.is_empty());
    let number = |word: &[u8]| {
        let is_number = word.iter().all(u8::is_ascii_digit);
        let number = std::str::from_utf8(word).ok().filter(|_| is_number).and_then(|word| word.parse().ok());
        number.ok_or_else(malformed)
    };
    let (Some(subject), Some(subscription)) = (words.next(), words.next()) else { return Err(malformed()) };
    let (subscription, rest) = (number(subscription)?, std::array::from_fn(|_| words.next()));
    let (reply, headers, length) = match (rest, has_headers) {
        ([Some(length), None, None, None], false) => (None, 0, number(length)?),
        ([Some(reply), Some(length), None, None], false) => (Some(reply), 0, number(length)?),
        ([Some(headers), Some(length), None, None], true) => (None, number(headers)?, number(length)?),
        ([Some(reply), Some(headers), Some(length), None], true) => {
            (Some(reply), number(headers)?, number(length)?)
        }
        _ => return Err(malformed()),
    };
    if headers > length {
        return Err(malformed());
    }
    if length > MAX_MESSAGE {
        let detail = format!("the server has announced {length} bytes; {MAX_MESSAGE} are accepted");
        return Err(BrokerFailure::new(BrokerCause::TooLarge, detail));
    }
    let (subject, reply) = (line.slice_ref(subject), reply.map(|reply| line.slice_ref(reply)));
    // The limit fits.
    let (headers, length) = (headers as usize, length as usize);
    Ok(Line::Message(Pending { subscription, subject, reply, headers, length }))
}

fn parse_info(text: &[u8]) -> Result<Info, BrokerFailure> {
    let malformed = || broken("a malformed INFO");
    let value: Value = serde_json::from_slice(text).map_err(|_| malformed())?;
    let info = value.as_object().ok_or_else(malformed)?;
    let is_set = |name: &str| info.get(name).and_then(Value::as_bool).unwrap_or(false);
    let others = info.get("connect_urls").and_then(Value::as_array).map_or(&[][..], |urls| urls);
    Ok(Info {
        max_payload: info.get("max_payload").and_then(Value::as_u64).unwrap_or(DEFAULT_MAX_PAYLOAD),
        has_headers: is_set("headers"),
        requires_tls: is_set("tls_required"),
        offers_tls: is_set("tls_available"),
        is_leaving: is_set("ldm"),
        others: others.iter().take(MAX_OTHERS).filter_map(|url| Some(url.as_str()?.to_owned())).collect(),
    })
}

/// The text stands in quotes.
fn parse_error(text: &[u8]) -> String {
    let text = text.strip_prefix(b"'").and_then(|text| text.strip_suffix(b"'")).unwrap_or(text);
    String::from_utf8_lossy(text).into_owned()
}

/// What the text of an error means.
pub(super) fn failure_of(text: &str) -> BrokerFailure {
    let lower = text.to_ascii_lowercase();
    let has = |words: &[&str]| words.iter().any(|word| lower.contains(word));
    let cause = if has(&["authorization", "authentication", "permissions violation"]) {
        BrokerCause::Auth
    } else if has(&["tls"]) {
        BrokerCause::Tls
    } else if has(&["maximum payload"]) {
        BrokerCause::TooLarge
    } else if has(&["stale connection"]) {
        BrokerCause::Timeout
    } else if has(&["slow consumer", "server shutdown"]) {
        BrokerCause::Closed
    } else {
        BrokerCause::Refused
    };
    BrokerFailure::new(cause, format!("the server says: {text}"))
}

/// The subject, in quotes, to which publishing is not allowed, if the text of an error says so. The connection goes on.
pub(super) fn forbidden_subject(text: &str) -> Option<&str> {
    text.strip_prefix("Permissions Violation for Publish to ")
}

/// Whether the text of an error is about a subscription that is not allowed. The connection goes on.
pub(super) fn is_forbidden_subscription(text: &str) -> bool {
    text.starts_with("Permissions Violation for Subscription to ")
}

/// The first thing that is sent: who asks. What this connection publishes does not come back.
pub(super) fn connect(credentials: Option<&Credentials>, name: &str, is_secure: bool) -> Vec<u8> {
    let mut options = json!({
        "verbose": false,
        "pedantic": false,
        "tls_required": is_secure,
        "echo": false,
        "headers": true,
        "no_responders": true,
        "protocol": 1,
        "lang": "ferrows",
        "version": env!("CARGO_PKG_VERSION"),
        "name": name,
    });
    match credentials {
        None => {}
        Some(Credentials::Token(token)) => options["auth_token"] = token.as_str().into(),
        Some(Credentials::User { name, password }) => {
            options["user"] = name.as_str().into();
            options["pass"] = password.as_str().into();
        }
    }
    format!("CONNECT {options}\r\n").into_bytes()
}

/// Appends a message; an answer to it goes to `reply`.
pub(super) fn publish(bytes: &mut Vec<u8>, subject: &[u8], reply: Option<&[u8]>, payload: &[u8]) {
    bytes.extend_from_slice(b"PUB ");
    bytes.extend_from_slice(subject);
    if let Some(reply) = reply {
        bytes.push(b' ');
        bytes.extend_from_slice(reply);
    }
    append_number(bytes, payload.len() as u64);
    bytes.extend_from_slice(payload);
    bytes.extend_from_slice(LINE_END);
}

/// Appends a subscription, under a number that no other one has.
pub(super) fn subscribe(bytes: &mut Vec<u8>, subject: &[u8], subscription: u64) {
    bytes.extend_from_slice(b"SUB ");
    bytes.extend_from_slice(subject);
    append_number(bytes, subscription);
}

/// Appends the end of a subscription.
pub(super) fn unsubscribe(bytes: &mut Vec<u8>, subscription: u64) {
    bytes.extend_from_slice(b"UNSUB");
    append_number(bytes, subscription);
}

fn append_number(bytes: &mut Vec<u8>, number: u64) {
    bytes.push(b' ');
    bytes.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
    bytes.extend_from_slice(LINE_END);
}

const fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t')
}

fn broken(what: &str) -> BrokerFailure {
    BrokerFailure::new(BrokerCause::Protocol, format!("the server has sent {what}"))
}

const LINE_END: &[u8] = b"\r\n";
pub(super) const PING: &[u8] = b"PING\r\n";
pub(super) const PONG: &[u8] = b"PONG\r\n";
/// How all operations of a server begin.
const FIRST_BYTES: &[u8] = b"IiMmHhPp+-";
/// How the headers of a message begin that says: nobody has subscribed this.
const NO_RESPONDERS: &[u8] = b"NATS/1.0 503";
/// Longest line, in bytes: of an INFO with many servers.
const MAX_LINE: usize = 64 * 1024;
/// Longest message, in bytes.
pub(super) const MAX_MESSAGE: u64 = 32 * 1024 * 1024;
/// What a server takes unless it says otherwise.
const DEFAULT_MAX_PAYLOAD: u64 = 1024 * 1024;
/// Servers of a cluster that are remembered.
const MAX_OTHERS: usize = 100;

#[cfg(test)]
mod tests {
    use super::*;

    type Outcome = (Vec<Operation>, Option<BrokerCause>);

    fn feed<'a>(pieces: impl Iterator<Item = &'a [u8]>) -> Outcome {
        let (mut parser, mut buffer, mut operations) = (Parser::default(), BytesMut::new(), Vec::new());
        for piece in pieces {
            buffer.extend_from_slice(piece);
            loop {
                match parser.next(&mut buffer) {
                    Ok(Some(operation)) => operations.push(operation),
                    Ok(None) => break,
                    Err(failure) => return (operations, Some(failure.cause)),
                }
            }
        }
        (operations, None)
    }

    /// The same at every split point, and byte by byte.
    fn parsed(bytes: &[u8]) -> Outcome {
        let whole = feed(std::iter::once(bytes));
        assert_eq!(whole, feed(bytes.chunks(1)));
        if bytes.len() < 1000 {
            for at in 0..bytes.len() {
                assert_eq!(whole, feed([&bytes[..at], &bytes[at..]].into_iter()), "{at}");
            }
        }
        whole
    }

    fn message(subject: &'static str, reply: Option<&'static str>, payload: &'static [u8]) -> Message {
        let (subject, reply) = (Bytes::from(subject), reply.map(Bytes::from));
        Message { subscription: 7, subject, reply, is_unheard: false, payload: payload.into() }
    }

    #[test]
    fn what_a_server_sends_is_read() {
        use Operation::{Error, Ok, Ping, Pong};
        let (operations, failure) = parsed(b"+OK\r\nPING\r\npong\r\n-ERR 'Stale Connection'\r\n");
        assert_eq!(
            (&operations[..], failure),
            (&[Ok, Ping, Pong, Error("Stale Connection".into())][..], None)
        );
        let (operations, failure) = parsed(
            b"MSG a.b 7 5\r\na\r\nbc\r\nMSG\ta 7  r.1 0\r\n\r\nHMSG a 7 12 14\r\nNATS/1.0\r\n\r\nhi\r\nPING\r\n",
        );
        let messages =
            [message("a.b", None, b"a\r\nbc"), message("a", Some("r.1"), b""), message("a", None, b"hi")];
        let messages = messages.into_iter().map(Operation::Message).chain([Ping]).collect();
        assert_eq!((operations, failure), (messages, None));
    }

    #[test]
    fn a_question_that_nobody_hears_is_told() {
        let (operations, _) = parsed(b"HMSG r.1 7 16 16\r\nNATS/1.0 503\r\n\r\n\r\n");
        let unheard = Message { is_unheard: true, ..message("r.1", None, b"") };
        assert_eq!(operations, [Operation::Message(unheard)]);
    }

    #[test]
    fn a_server_introduces_itself() {
        let (operations, failure) = parsed(
            b"INFO {\"max_payload\":10,\"headers\":true,\"ldm\":true,\"connect_urls\":[\"a:1\",2,\"b:2\"],\"x\":{}} \r\n",
        );
        let others = vec!["a:1".to_owned(), "b:2".to_owned()];
        let info = Info { max_payload: 10, has_headers: true, is_leaving: true, others, ..Info::default() };
        assert_eq!((operations, failure), (vec![Operation::Info(info)], None));
        let (operations, _) = parsed(b"INFO {\"tls_required\":true,\"tls_available\":true}\r\n");
        let info = Info { max_payload: 1 << 20, requires_tls: true, offers_tls: true, ..Info::default() };
        assert_eq!(operations, [Operation::Info(info)]);
    }

    #[test]
    fn other_protocols_and_garbage_are_told_apart() {
        for bytes in [
            &b"HTTP/1.1 400 Bad Request\r\n\r\n"[..],
            b"SSH-2.0-OpenSSH\r\n",
            b"\x15\x03\x01\x00\x02\x02\x28",
            b"-NOAUTH x\r\n",
            b"PING\n",
            b"PING x\r\n",
            b"INFO []\r\n",
            b"INFO {\r\n",
            b"MSG a 1\r\n",
            b"MSG a 1 -1\r\n",
            b"MSG a 1 +1\r\n",
            b"MSG a x 1\r\n",
            b"MSG a 1 r 2 3\r\n",
            b"MSG a 99999999999999999999 1\r\n",
            b"HMSG a 1 3\r\n",
            b"HMSG a 1 4 3\r\n",
            b"MSG a 1 2\r\nabc\r\n",
            &[&b"INFO "[..], &[b'x'; MAX_LINE]].concat(),
            &[&b"INFO "[..], &[b'x'; MAX_LINE], b"\r\n"].concat(),
        ] {
            assert_eq!(parsed(bytes), (vec![], Some(BrokerCause::Protocol)), "{bytes:?}");
        }
    }

    #[test]
    fn what_is_too_large_is_refused_before_it_arrives() {
        for bytes in [&b"MSG a 1 536870912\r\n"[..], b"HMSG a 1 5 33554433\r\n"] {
            assert_eq!(parsed(bytes), (vec![], Some(BrokerCause::TooLarge)));
        }
    }

    #[test]
    fn errors_have_causes() {
        for (text, cause) in [
            ("Authorization Violation", BrokerCause::Auth),
            ("User Authentication Expired", BrokerCause::Auth),
            ("Permissions Violation for Subscription to \"a\"", BrokerCause::Auth),
            ("Secure Connection - TLS Required", BrokerCause::Tls),
            ("Maximum Payload Violation", BrokerCause::TooLarge),
            ("Stale Connection", BrokerCause::Timeout),
            ("Slow Consumer", BrokerCause::Closed),
            ("maximum connections exceeded", BrokerCause::Refused),
            ("Unknown Protocol Operation", BrokerCause::Refused),
        ] {
            assert_eq!(failure_of(text).cause, cause, "{text}");
        }
        let text = "Permissions Violation for Publish to \"chat.news\"";
        assert_eq!(
            (forbidden_subject(text), is_forbidden_subscription(text)),
            (Some("\"chat.news\""), false)
        );
        assert!(is_forbidden_subscription("Permissions Violation for Subscription to \"a\""));
    }

    #[test]
    fn what_is_sent_has_the_form_of_the_protocol() {
        let mut bytes = Vec::new();
        subscribe(&mut bytes, b"a.b", 3);
        publish(&mut bytes, b"a.b", None, b"x\r\ny");
        publish(&mut bytes, b"a", Some(b"r"), b"");
        unsubscribe(&mut bytes, 3);
        assert_eq!(bytes, b"SUB a.b 3\r\nPUB a.b 4\r\nx\r\ny\r\nPUB a r 0\r\n\r\nUNSUB 3\r\n");
        let user = Credentials::User { name: "a\"nn".to_owned(), password: "p\r\n".to_owned() };
        let line = String::from_utf8(connect(Some(&user), "chat", true)).unwrap();
        let json: Value = serde_json::from_str(line.strip_prefix("CONNECT ").unwrap()).unwrap();
        assert_eq!((&json["user"], &json["pass"]), (&json!("a\"nn"), &json!("p\r\n")));
        assert_eq!(
            (&json["echo"], &json["verbose"], &json["tls_required"]),
            (&json!(false), &json!(false), &json!(true))
        );
        assert_eq!(line.matches("\r\n").count(), 1);
        let token = Credentials::Token("t".to_owned());
        assert!(
            String::from_utf8(connect(Some(&token), "chat", false)).unwrap().contains("\"auth_token\":\"t\"")
        );
    }
}
