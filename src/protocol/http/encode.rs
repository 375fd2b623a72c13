//! Encodes a response (RFC 9112 §4–§7): status line, the application's fields, Connection, Date, and
//! the framing of the body, in this order.

use super::framing::Version;
use super::response_framing::{Asked, Framing, FramingField, Plan};
use super::response_head::{FieldFlags, ResponseHead, has_close_option, is_length, lines};

/// Appends the head of a response; `close`: the connection closes after it. Returns how the body is written.
pub(super) fn encode_head(
    head: &ResponseHead<'_>,
    asked: Asked,
    framing: Framing,
    close: bool,
    date: &[u8; 29],
    out: &mut Vec<u8>,
) -> Plan {
    let says_something = head.flags.has(FieldFlags::CONNECTION);
    let says_close = says_something && has_close_option(head.fields);
    let is_known = says_something && asked.version == Version::Http11 && !asked.keep_alive;
    let mut plan = Plan::new(head, asked, framing);
    plan.close |= close || says_close;

    // The lines added here have at most 160 bytes, so a short response grows the buffer once.
    out.reserve(160 + head.status.len() + head.fields.len());
    out.extend_from_slice(b"HTTP/1.1 ");
    out.extend_from_slice(head.status);
    out.extend_from_slice(b"\r\n");
    if head.flags.has(FieldFlags::CONTENT_LENGTH | FieldFlags::TRANSFER_ENCODING) {
        copy_unframed(head.fields, plan.field == FramingField::Theirs, out);
    } else {
        out.extend_from_slice(head.fields);
    }
    if plan.close {
        if !says_close && !is_known {
            out.extend_from_slice(b"Connection: close\r\n");
        }
    } else if asked.version == Version::Http10 && !says_something {
        out.extend_from_slice(b"Connection: keep-alive\r\n");
    }
    if !head.flags.has(FieldFlags::DATE) {
        out.extend_from_slice(b"Date: ");
        out.extend_from_slice(date);
        out.extend_from_slice(b"\r\n");
    }
    match plan.field {
        FramingField::Length(length) => {
            out.extend_from_slice(b"Content-Length: ");
            out.extend_from_slice(itoa::Buffer::new().format(length).as_bytes());
            out.extend_from_slice(b"\r\n\r\n");
        }
        FramingField::Chunked => out.extend_from_slice(b"Transfer-Encoding: chunked\r\n\r\n"),
        FramingField::None | FramingField::Theirs => out.extend_from_slice(b"\r\n"),
    }
    plan
}

/// Appends what precedes `length` bytes of data in a chunk (RFC 9112 §7.1); [`AFTER_CHUNK`] follows them. An empty
/// chunk would end the body, so `length` is never 0.
pub(super) fn start_chunk(length: usize, out: &mut Vec<u8>) {
    let mut digits = [0; 16];
    let mut start = digits.len();
    let mut rest = length;
    while rest > 0 {
        start -= 1;
        digits[start] = b"0123456789abcdef"[rest & 15];
        rest >>= 4;
    }
    out.extend_from_slice(&digits[start..]);
    out.extend_from_slice(b"\r\n");
}

/// What follows the data of a chunk.
pub(super) const AFTER_CHUNK: &[u8] = b"\r\n";

/// Copies the fields without those that frame a body; the first valid Content-Length stays if `keep_length`.
fn copy_unframed(fields: &[u8], mut keep_length: bool, out: &mut Vec<u8>) {
    for (name, line) in lines(fields) {
        let flag = FieldFlags::of(name);
        let is_kept = match flag {
            FieldFlags::CONTENT_LENGTH if is_length((name, line)) => std::mem::take(&mut keep_length),
            FieldFlags::CONTENT_LENGTH => false,
            FieldFlags::TRANSFER_ENCODING => false,
            _ => true,
        };
        if is_kept {
            out.extend_from_slice(line);
            out.extend_from_slice(b"\r\n");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::http::response_framing::{AskedMethod, BodyEncoding};

    const DATE: &[u8; 29] = b"Sun, 06 Nov 1994 08:49:37 GMT";

    /// Flags of a field block, found as a caller finds them: name by name.
    fn flags(fields: &str) -> FieldFlags {
        lines(fields.as_bytes()).fold(FieldFlags::NONE, |flags, (name, _)| flags | FieldFlags::of(name))
    }

    /// The head of such a response, without its last CRLF and with the Date line shortened to `D`, and the plan.
    fn encode(
        method: &str,
        version: Version,
        keep_alive: bool,
        status: &str,
        fields: &str,
        framing: Framing,
    ) -> (String, Plan) {
        let asked = Asked { method: AskedMethod::of(method.as_bytes()), version, keep_alive };
        let head =
            ResponseHead { status: status.as_bytes(), fields: fields.as_bytes(), flags: flags(fields) };
        let mut out = Vec::new();
        let plan = encode_head(&head, asked, framing, false, DATE, &mut out);
        let text = String::from_utf8(out).expect("ASCII");
        let text = text.strip_suffix("\r\n").expect("an empty line").to_owned();
        (text.replace("Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n", "D\r\n"), plan)
    }

    /// [`encode`] for HTTP/1.1 with keep-alive; shows head, body encoding, close.
    fn encode_11(method: &str, status: &str, fields: &str, framing: Framing) -> (String, BodyEncoding, bool) {
        let (text, plan) = encode(method, Version::Http11, true, status, fields, framing);
        (text, plan.body, plan.close)
    }

    #[test]
    fn the_order_is_status_fields_connection_date_framing() {
        let head = ResponseHead { status: b"200 OK", fields: b"A: b\r\nC: d\r\n", flags: FieldFlags::NONE };
        let asked = Asked { method: AskedMethod::Other, version: Version::Http11, keep_alive: true };
        let mut out = b"before".to_vec();
        let plan = encode_head(&head, asked, Framing::Length(12), true, DATE, &mut out);
        assert_eq!(
            String::from_utf8_lossy(&out),
            "beforeHTTP/1.1 200 OK\r\nA: b\r\nC: d\r\nConnection: close\r\n\
             Date: Sun, 06 Nov 1994 08:49:37 GMT\r\nContent-Length: 12\r\n\r\n"
        );
        assert!(plan.close);
    }

    #[test]
    fn the_framing_follows_method_status_and_call() {
        use BodyEncoding::{Chunked, Dropped, Length};
        let cases = [
            ("GET", "200 OK", Framing::Length(0), "D\r\nContent-Length: 0\r\n", Length(0), false),
            ("GET", "200 OK", Framing::Length(5), "D\r\nContent-Length: 5\r\n", Length(5), false),
            ("GET", "200 OK", Framing::Chunked, "D\r\nTransfer-Encoding: chunked\r\n", Chunked, false),
            ("GET", "200 OK", Framing::None, "Connection: close\r\nD\r\n", Dropped, true),
            ("HEAD", "200 OK", Framing::Length(5), "D\r\nContent-Length: 5\r\n", Dropped, false),
            ("HEAD", "200 OK", Framing::Chunked, "D\r\nTransfer-Encoding: chunked\r\n", Dropped, false),
            ("HEAD", "200 OK", Framing::None, "D\r\n", Dropped, false),
            ("head", "200 OK", Framing::Length(5), "D\r\nContent-Length: 5\r\n", Length(5), false),
            ("GET", "204 No Content", Framing::Length(5), "D\r\n", Dropped, false),
            ("GET", "204 No Content", Framing::Chunked, "D\r\n", Dropped, false),
            ("HEAD", "204 No Content", Framing::Length(5), "D\r\n", Dropped, false),
            ("GET", "304 Not Modified", Framing::Length(0), "D\r\n", Dropped, false),
            ("GET", "304 Not Modified", Framing::Length(5), "D\r\nContent-Length: 5\r\n", Dropped, false),
            ("GET", "304 Not Modified", Framing::Chunked, "D\r\n", Dropped, false),
            ("GET", "103 Early Hints", Framing::Length(5), "Connection: close\r\nD\r\n", Dropped, true),
            ("CONNECT", "200 OK", Framing::Length(5), "Connection: close\r\nD\r\n", Dropped, true),
            ("CONNECT", "204 No Content", Framing::Length(5), "Connection: close\r\nD\r\n", Dropped, true),
            ("CONNECT", "404 Not Found", Framing::Length(5), "D\r\nContent-Length: 5\r\n", Length(5), false),
            ("GET", "2", Framing::Length(5), "D\r\nContent-Length: 5\r\n", Length(5), false),
        ];
        for (method, status, framing, rest, body, close) in cases {
            let expected = (format!("HTTP/1.1 {status}\r\n{rest}"), body, close);
            assert_eq!(encode_11(method, status, "", framing), expected, "{method} {status} {framing:?}");
        }
    }

    #[test]
    fn an_http_10_client_never_gets_chunks_and_gets_keep_alive() {
        let cases = [
            (
                true,
                Framing::Length(5),
                "Connection: keep-alive\r\nD\r\nContent-Length: 5\r\n",
                BodyEncoding::Length(5),
                false,
            ),
            (
                false,
                Framing::Length(5),
                "Connection: close\r\nD\r\nContent-Length: 5\r\n",
                BodyEncoding::Length(5),
                true,
            ),
            (true, Framing::Chunked, "Connection: close\r\nD\r\n", BodyEncoding::UntilClose, true),
        ];
        for (keep_alive, framing, rest, body, close) in cases {
            let (text, plan) = encode("GET", Version::Http10, keep_alive, "200 OK", "", framing);
            assert_eq!((text, plan.body, plan.close), (format!("HTTP/1.1 200 OK\r\n{rest}"), body, close));
        }
        let (text, plan) = encode("HEAD", Version::Http10, true, "200 OK", "", Framing::Chunked);
        assert_eq!(text, "HTTP/1.1 200 OK\r\nConnection: keep-alive\r\nD\r\n");
        assert_eq!((plan.body, plan.close), (BodyEncoding::Dropped, false));
    }

    #[test]
    fn an_http_11_client_that_asked_to_close_gets_connection_close() {
        let (text, plan) = encode("GET", Version::Http11, false, "200 OK", "", Framing::Length(0));
        assert_eq!(text, "HTTP/1.1 200 OK\r\nConnection: close\r\nD\r\nContent-Length: 0\r\n");
        assert!(plan.close);
    }

    #[test]
    fn framing_fields_of_the_application_never_reach_a_client_that_gets_a_body() {
        let own = "a: 1\r\ncontent-length: 99\r\nTransfer-Encoding: gzip\r\nContent-Length: 7\r\nb: 2\r\n";
        let cases = [
            (Framing::Length(5), "D\r\nContent-Length: 5\r\n"),
            (Framing::Chunked, "D\r\nTransfer-Encoding: chunked\r\n"),
            (Framing::None, "Connection: close\r\nD\r\n"),
        ];
        for (framing, rest) in cases {
            let (text, ..) = encode_11("GET", "200 OK", own, framing);
            assert_eq!(text, format!("HTTP/1.1 200 OK\r\na: 1\r\nb: 2\r\n{rest}"));
        }
    }

    #[test]
    fn a_length_of_the_application_stands_where_no_body_follows() {
        for (method, status) in [("HEAD", "200 OK"), ("GET", "304 Not Modified")] {
            for framing in [Framing::Length(0), Framing::Length(5), Framing::Chunked, Framing::None] {
                let own = "Content-Length: 99\r\nTransfer-Encoding: chunked\r\na: 1\r\n";
                let expected = format!("HTTP/1.1 {status}\r\nContent-Length: 99\r\na: 1\r\nD\r\n");
                assert_eq!(encode_11(method, status, own, framing), (expected, BodyEncoding::Dropped, false));
            }
        }
        let (text, ..) = encode_11("GET", "204 No Content", "Content-Length: 99\r\n", Framing::None);
        assert_eq!(text, "HTTP/1.1 204 No Content\r\nD\r\n");
    }

    #[test]
    fn of_several_lengths_of_the_application_the_first_number_stands() {
        let own = "Content-Length: many\r\nContent-Length:  7 \r\na: 1\r\nContent-Length: 8\r\n";
        for (method, status) in [("HEAD", "200 OK"), ("GET", "304 Not Modified")] {
            let (text, ..) = encode_11(method, status, own, Framing::Length(5));
            assert!(text.contains("Content-Length:  7 \r\na: 1\r\n"), "{text}");
            assert_eq!(text.matches("Content-Length").count(), 1, "{text}");
            let (text, ..) = encode_11(method, status, "Content-Length: -1\r\n", Framing::Length(5));
            assert!(text.ends_with("Content-Length: 5\r\n") && !text.contains("-1"), "{text}");
        }
    }

    #[test]
    fn connection_and_date_of_the_application_are_sent_once() {
        let (text, _, close) = encode_11("GET", "200 OK", "connection: x, Close\r\n", Framing::Length(0));
        assert_eq!(text, "HTTP/1.1 200 OK\r\nconnection: x, Close\r\nD\r\nContent-Length: 0\r\n");
        assert!(close);

        let (text, _, close) =
            encode_11("GET", "200 OK", "Connection: upgrade\r\nclose: 1\r\n", Framing::Length(0));
        assert_eq!(text, "HTTP/1.1 200 OK\r\nConnection: upgrade\r\nclose: 1\r\nD\r\nContent-Length: 0\r\n");
        assert!(!close);

        let (text, ..) =
            encode("GET", Version::Http10, true, "200 OK", "Connection: keep-alive\r\n", Framing::Length(0));
        assert_eq!(text, "HTTP/1.1 200 OK\r\nConnection: keep-alive\r\nD\r\nContent-Length: 0\r\n");

        // HTTP/1.1 clients that asked to close get no Connection field; others get `close`.
        let own = "Connection: keep-alive\r\n";
        let (text, plan) = encode("GET", Version::Http11, false, "200 OK", own, Framing::Length(0));
        assert_eq!(text, "HTTP/1.1 200 OK\r\nConnection: keep-alive\r\nD\r\nContent-Length: 0\r\n");
        assert!(plan.close);
        let (text, ..) = encode("GET", Version::Http10, false, "200 OK", own, Framing::Length(0));
        assert!(text.contains("Connection: keep-alive\r\nConnection: close\r\n"), "{text}");

        let (text, ..) = encode_11("GET", "200 OK", "date: now\r\n", Framing::Length(0));
        assert_eq!(text, "HTTP/1.1 200 OK\r\ndate: now\r\nContent-Length: 0\r\n");
    }

    #[test]
    fn a_chunk_is_its_size_in_hexadecimal_and_its_data() {
        for (len, size) in [(1, "1"), (15, "f"), (16, "10"), (255, "ff"), (4096, "1000"), (70_000, "11170")] {
            let mut out = b"before".to_vec();
            start_chunk(len, &mut out);
            assert_eq!(out, [b"before", size.as_bytes(), b"\r\n"].concat());
        }
    }
}
