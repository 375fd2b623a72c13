//! The fields of a response: status and fields of the application, without those that belong to an HTTP/1.1 connection
//! (RFC 9113 §8.2.2), and what this layer adds.

use super::hpack::encoder::Encoder;
use crate::protocol::http::response_framing::{FramingField, Plan};
use crate::protocol::http::response_head::{FieldFlags, ResponseHead, is_length, lines, value_of};

/// Appends the header block of a response that is framed as `plan` says. The reason phrase is dropped: HTTP/2 has none
/// (RFC 9113 §8.3.2).
pub(super) fn encode_response(
    head: &ResponseHead<'_>,
    plan: &Plan,
    date: &[u8; 29],
    encoder: &mut Encoder,
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

/// Appends the block of trailers: lines as those of a response head.
pub(super) fn encode_trailers(fields: &[u8], encoder: &mut Encoder, out: &mut Vec<u8>) {
    encoder.start(out);
    for line in lines(fields) {
        if !is_of_connection(line.0) {
            encoder.append(line.0, value_of(line), out);
        }
    }
}

/// Appends the block of an interim response, or of one that says no more than its status.
pub(super) fn encode_status(status: [u8; 3], encoder: &mut Encoder, out: &mut Vec<u8>) {
    encoder.start(out);
    encoder.append_status(status, out);
}

/// The three digits.
pub(super) fn status_of(head: &ResponseHead<'_>) -> [u8; 3] {
    head.status.first_chunk().copied().unwrap_or(*b"200")
}

/// RFC 9113 §8.2.2: fields that an HTTP/2 message must not have.
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
    use crate::protocol::http2::hpack::decoder::Decoder;

    const DATE: &[u8; 29] = b"Sun, 06 Nov 1994 08:49:37 GMT";

    fn encoded(method: AskedMethod, status: &str, fields: &str, framing: Framing) -> String {
        let flags =
            lines(fields.as_bytes()).fold(FieldFlags::NONE, |flags, (name, _)| flags | FieldFlags::of(name));
        let head = ResponseHead { status: status.as_bytes(), fields: fields.as_bytes(), flags };
        let plan = Plan::new(&head, Asked { method, version: Version::Http11, keep_alive: true }, framing);
        let mut out = Vec::new();
        encode_response(&head, &plan, DATE, &mut Encoder::new(), &mut out);
        let mut text = String::new();
        let show = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Decoder::new()
            .decode(&out, |name, value| text += &format!("{}: {}\n", show(name), show(value)))
            .unwrap();
        text.replace("date: Sun, 06 Nov 1994 08:49:37 GMT\n", "D\n")
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
        encode_trailers(b"Grpc-Status: 0\r\nConnection: x\r\n", &mut Encoder::new(), &mut out);
        let mut fields = Vec::new();
        Decoder::new().decode(&out, |name, value| fields.push((name.to_vec(), value.to_vec()))).unwrap();
        assert_eq!(fields, [(b"grpc-status".to_vec(), b"0".to_vec())]);
    }
}
