//! The fields of a response: status and fields of the application, without those that belong to an HTTP/1.1 connection
//! (RFC 9113 §8.2.2, RFC 9114 §4.2), and what this layer adds.

use crate::protocol::http::response_framing::{FramingField, Plan};
use crate::protocol::http::response_head::{FieldFlags, ResponseHead, is_length, lines, value_of};

/// Encodes the fields of one message.
pub(in crate::protocol) trait FieldEncoder {
    /// Starts a message.
    fn start(&mut self, out: &mut Vec<u8>);
    /// Adds the status, three digits, which is the first field of a response.
    fn append_status(&self, status: [u8; 3], out: &mut Vec<u8>);
    /// Adds a field; its name may have capitals.
    fn append(&mut self, name: &[u8], value: &[u8], out: &mut Vec<u8>);
}

/// Appends the fields of a response that is framed as `plan` says. The reason phrase is dropped: there is none
/// (RFC 9113 §8.3.2, RFC 9114 §4.3.2).
pub(in crate::protocol) fn encode_response(
    head: &ResponseHead<'_>,
    plan: &Plan,
    date: &[u8; 29],
    encoder: &mut impl FieldEncoder,
    out: &mut Vec<u8>,
) {
    encoder.start(out);
    encoder.append_status(status_of(head), out);
    let mut keep_length = plan.field == FramingField::Theirs;
    for line in lines(head.fields) {
        let is_kept = match FieldFlags::of(line.0) {
            FieldFlags::CONTENT_LENGTH if is_length(line) => std::mem::take(&mut keep_length),
            FieldFlags::CONTENT_LENGTH => false,
            _ => !is_of_connection(line.0),
        };
        if is_kept {
            encoder.append(line.0, value_of(line), out);
        }
    }
    if !head.flags.has(FieldFlags::DATE) {
        encoder.append(b"date", date, out);
    }
    if let FramingField::Length(length) = plan.field {
        encoder.append(b"content-length", itoa::Buffer::new().format(length).as_bytes(), out);
    }
}

/// Appends trailers: lines as those of a response head.
pub(in crate::protocol) fn encode_trailers(
    fields: &[u8],
    encoder: &mut impl FieldEncoder,
    out: &mut Vec<u8>,
) {
    encoder.start(out);
    for line in lines(fields) {
        if !is_of_connection(line.0) {
            encoder.append(line.0, value_of(line), out);
        }
    }
}

/// Appends the fields of an interim response, or of one that says no more than its status.
pub(in crate::protocol) fn encode_status(
    status: [u8; 3],
    encoder: &mut impl FieldEncoder,
    out: &mut Vec<u8>,
) {
    encoder.start(out);
    encoder.append_status(status, out);
}

/// The three digits.
pub(in crate::protocol) fn status_of(head: &ResponseHead<'_>) -> [u8; 3] {
    head.status.first_chunk().copied().unwrap_or(*b"200")
}

/// RFC 9113 §8.2.2, RFC 9114 §4.2: fields that a message must not have.
fn is_of_connection(name: &[u8]) -> bool {
    match name.len() {
        7 => name.eq_ignore_ascii_case(b"upgrade"),
        10 => name.eq_ignore_ascii_case(b"connection") || name.eq_ignore_ascii_case(b"keep-alive"),
        16 => name.eq_ignore_ascii_case(b"proxy-connection"),
        17 => name.eq_ignore_ascii_case(b"transfer-encoding"),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::http::head::Version;
    use crate::protocol::http::response_framing::{Asked, AskedMethod, Framing};

    const DATE: &[u8; 29] = b"Sun, 06 Nov 1994 08:49:37 GMT";

    /// Encodes fields as lines of text.
    struct Text;

    impl FieldEncoder for Text {
        fn start(&mut self, _: &mut Vec<u8>) {}

        fn append_status(&self, status: [u8; 3], out: &mut Vec<u8>) {
            out.extend([b":status: ", &status[..], b"\n"].concat());
        }

        fn append(&mut self, name: &[u8], value: &[u8], out: &mut Vec<u8>) {
            out.extend([&name.to_ascii_lowercase()[..], b": ", value, b"\n"].concat());
        }
    }

    fn encoded(method: AskedMethod, status: &str, fields: &str, framing: Framing) -> String {
        let flags =
            lines(fields.as_bytes()).fold(FieldFlags::NONE, |flags, (name, _)| flags | FieldFlags::of(name));
        let head = ResponseHead { status: status.as_bytes(), fields: fields.as_bytes(), flags };
        let plan = Plan::new(&head, Asked { method, version: Version::Http11, keep_alive: true }, framing);
        let mut out = Vec::new();
        encode_response(&head, &plan, DATE, &mut Text, &mut out);
        String::from_utf8(out).unwrap().replace("date: Sun, 06 Nov 1994 08:49:37 GMT\n", "D\n")
    }

    #[test]
    fn a_response_has_its_status_its_fields_and_ours() {
        assert_eq!(
            encoded(AskedMethod::Other, "200 OK", "Content-Type: a\r\nX-Y:  z \r\n", Framing::Length(5)),
            ":status: 200\ncontent-type: a\nx-y: z\nD\ncontent-length: 5\n"
        );
        assert_eq!(
            encoded(AskedMethod::Other, "404", "Date: now\r\n", Framing::Chunked),
            ":status: 404\ndate: now\n"
        );
    }

    #[test]
    fn what_belongs_to_an_http_11_connection_is_dropped() {
        let fields = "Connection: close\r\nKeep-Alive: 1\r\nTransfer-Encoding: chunked\r\nUPGRADE: a\r\n\
                      Proxy-Connection: b\r\nContent-Length: 7\r\nA: b\r\n";
        assert_eq!(
            encoded(AskedMethod::Other, "200 OK", fields, Framing::Length(5)),
            ":status: 200\na: b\nD\ncontent-length: 5\n"
        );
        assert_eq!(
            encoded(AskedMethod::Head, "200 OK", fields, Framing::Length(0)),
            ":status: 200\ncontent-length: 7\na: b\nD\n"
        );
        assert_eq!(
            encoded(AskedMethod::Other, "204 No Content", fields, Framing::Length(0)),
            ":status: 204\na: b\nD\n"
        );
    }

    #[test]
    fn trailers_are_fields_without_a_status() {
        let mut out = Vec::new();
        encode_trailers(b"Grpc-Status: 0\r\nConnection: x\r\n", &mut Text, &mut out);
        assert_eq!(out, b"grpc-status: 0\n");
    }
}
