//! `httparse` as [`opinion::Ask`](super::opinion::Ask). The fuzz targets that need it include this file by its path.

use super::opinion::{Opinion, ParsedHead};

/// The result of `httparse` for a request head. It is lenient where RFC 9112 permits that (bare LF, empty lines before
/// the request line) and does not interpret fields.
pub(super) fn ask(bytes: &[u8]) -> Opinion {
    let mut fields = [httparse::EMPTY_HEADER; 100];
    let mut request = httparse::Request::new(&mut fields);
    match request.parse(bytes) {
        Err(_) => Opinion::Refused,
        Ok(httparse::Status::Partial) => Opinion::Partial,
        Ok(httparse::Status::Complete(len)) => Opinion::Head(ParsedHead {
            len,
            method: request.method.unwrap_or_default().into(),
            target: request.path.unwrap_or_default().into(),
            fields: request
                .headers
                .iter()
                .map(|field| (field.name.to_ascii_lowercase().into_bytes(), field.value.to_vec()))
                .collect(),
        }),
    }
}
