//! Target `multipart`: a form. The first line of the input is its content type, the rest its body.

use crate::protocol::http::multipart::{Part, parse};

/// Asserts of an accepted form:
/// - the data of its parts lies in the body, in their order;
/// - it can be encoded again, with another boundary, and is then parsed alike.
///
/// # Panics
/// If one of them does not hold.
pub fn multipart(data: &[u8]) {
    let line = data.iter().position(|&byte| byte == b'\n').unwrap_or(data.len());
    let (content_type, body) = (&data[..line], data.get(line + 1..).unwrap_or_default());
    let Ok(parts) = parse(body.to_vec().into(), content_type) else { return };
    let mut rest = body;
    for part in &parts {
        let position = memchr::memmem::find(rest, &part.data);
        let position = position.expect("the data lies in the body, behind that of the part before");
        rest = &rest[position + part.data.len()..];
    }
    if parts.iter().any(|part| part.filename.iter().flatten().any(u8::is_ascii_control)) {
        // A name that is percent-encoded in `filename*` has no other encoding.
        return;
    }
    let is_free = |boundary: &&str| memchr::memmem::find(body, boundary.as_bytes()).is_none();
    let Some(boundary) = ["x", "yy", "zzz"].into_iter().find(is_free) else { return };
    let content_type = format!("multipart/form-data; boundary={boundary}");
    assert_eq!(parse(write(&parts, boundary).into(), content_type.as_bytes()), Ok(parts));
}

/// Encodes a form by RFC 7578.
#[must_use]
pub(crate) fn write(parts: &[Part], boundary: &str) -> Vec<u8> {
    let mut body = Vec::new();
    for part in parts {
        body.extend_from_slice(format!("--{boundary}\r\nContent-Disposition: form-data; name=").as_bytes());
        write_quoted(&part.name, &mut body);
        if let Some(filename) = &part.filename {
            body.extend_from_slice(b"; filename=");
            write_quoted(filename, &mut body);
        }
        if let Some(content_type) = &part.content_type {
            body.extend_from_slice(b"\r\nContent-Type: ");
            body.extend_from_slice(content_type);
        }
        body.extend_from_slice(b"\r\n\r\n");
        body.extend_from_slice(&part.data);
        body.extend_from_slice(b"\r\n");
    }
    body.extend_from_slice(format!("--{boundary}--\r\n").as_bytes());
    body
}

/// RFC 9110 §5.6.4: a quoted-string.
fn write_quoted(text: &[u8], out: &mut Vec<u8>) {
    out.push(b'"');
    for &byte in text {
        if matches!(byte, b'"' | b'\\') {
            out.push(b'\\');
        }
        out.push(byte);
    }
    out.push(b'"');
}
