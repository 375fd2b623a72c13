//! The parts of a `multipart/form-data` body (RFC 7578, RFC 2046 §5.1).
//!
//! ```text
//!  --boundary CRLF  Content-Disposition: form-data; name="file"; filename="a.txt" CRLF … CRLF CRLF  data CRLF
//!  --boundary CRLF  …
//!  --boundary--
//! ```
//!
//! `multer` finds the parts and their header lines. This file parses the values of the headers: a parameter is
//! recognized only where the grammar allows one, so that a file called `; name=other` cannot give its part another
//! name.

use std::convert::Infallible;

use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::stream;
use multer::{Field, Multipart};

use super::head::{is_token, trim};

/// One part of a form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Part {
    /// The name of the field, as received: UTF-8 unless a `_charset_` field of the form names another encoding (RFC
    /// 7578 §4.6).
    pub name: Vec<u8>,
    /// The file name, as received. It may be empty, a path, or any other bytes.
    pub filename: Option<Vec<u8>>,
    /// The Content-Type, as received.
    pub content_type: Option<Vec<u8>>,
    /// The content.
    pub data: Bytes,
}

/// Why a body could not be parsed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum MultipartError {
    /// RFC 2046 §5.1: another type than `multipart/…`.
    #[error("the content type is not multipart")]
    NotMultipart,
    /// RFC 2046 §5.1.1: one boundary parameter of 1 to 70 visible characters and blanks, not ending with a blank.
    #[error("the boundary parameter is missing, repeated or invalid")]
    InvalidBoundary,
    /// RFC 2046 §5.1.1: no first boundary, no final one, or malformed header lines.
    #[error("the body is not divided by its boundary into parts with headers")]
    InvalidFraming,
    /// A part has more than [`MAX_HEADERS`] header lines.
    #[error("a part has too many headers")]
    TooManyHeaders,
    /// The body has more than [`MAX_PARTS`] parts.
    #[error("the body has too many parts")]
    TooManyParts,
    /// RFC 7578 §4.2: each part has a Content-Disposition with a name; no parameter of it may be repeated.
    #[error("the Content-Disposition of a part is missing, malformed or without a name")]
    InvalidDisposition,
}

/// Parses a body into its parts, in order. `content_type` is that of the request.
///
/// # Errors
/// The first rule that the body violates. A truncated body, or one with an invalid part, returns no parts at all.
pub(crate) fn parse(body: Bytes, content_type: &[u8]) -> Result<Vec<Part>, MultipartError> {
    let boundary = boundary_of(content_type)?;
    if !starts_with_delimiter(&body, &boundary) {
        return Err(MultipartError::InvalidFraming);
    }
    let mut multipart = Multipart::new(stream::iter([Ok::<_, Infallible>(body)]), boundary);
    let mut parts = Vec::new();
    while let Some(field) = at_once(multipart.next_field())? {
        if parts.len() == MAX_PARTS {
            return Err(MultipartError::TooManyParts);
        }
        parts.push(read_part(field)?);
    }
    Ok(parts)
}

/// Runs an asynchronous step of `multer` to its end. It never has to wait, because the whole body is in memory.
fn at_once<T>(step: impl Future<Output = multer::Result<T>>) -> Result<T, MultipartError> {
    match step.now_or_never() {
        Some(Ok(value)) => Ok(value),
        Some(Err(_)) | None => Err(MultipartError::InvalidFraming),
    }
}

/// RFC 2046 §5.1.1: a delimiter must be at the start of a line. `multer` accepts the first one anywhere.
fn starts_with_delimiter(body: &[u8], boundary: &str) -> bool {
    let delimiter = format!("--{boundary}");
    memchr::memmem::find(body, delimiter.as_bytes())
        .is_some_and(|position| position == 0 || body[..position].ends_with(b"\r\n"))
}

fn read_part(mut field: Field<'_>) -> Result<Part, MultipartError> {
    let headers = field.headers();
    if headers.len() > MAX_HEADERS {
        return Err(MultipartError::TooManyHeaders);
    }
    let value = |name: &str| headers.get(name).map(|value| value.as_bytes());
    let disposition = value("content-disposition").and_then(Disposition::parse);
    let Disposition { name, filename } = disposition.ok_or(MultipartError::InvalidDisposition)?;
    let content_type = value("content-type").map(|value| trim(value).to_vec());
    let mut data = Bytes::new();
    while let Some(chunk) = at_once(field.chunk())? {
        data = if data.is_empty() { chunk } else { [data, chunk].concat().into() };
    }
    Ok(Part { name, filename, content_type, data })
}

/// The parameters of a Content-Disposition (RFC 7578 §4.2). Its type is not checked.
struct Disposition {
    name: Vec<u8>,
    filename: Option<Vec<u8>>,
}

impl Disposition {
    fn parse(value: &[u8]) -> Option<Self> {
        let (kind, parameters) = split_parameters(value);
        if !is_token(kind) {
            return None;
        }
        let (mut name, mut filename, mut extended) = (None, None, None);
        for parameter in parameters {
            let (key, value) = parameter?;
            let place = match key.to_ascii_lowercase().as_slice() {
                b"name" => &mut name,
                b"filename" => &mut filename,
                b"filename*" => &mut extended,
                _ => continue,
            };
            if place.replace(value).is_some() {
                return None;
            }
        }
        // RFC 7578 §4.2 forbids `filename*`, but some clients send it. It is used only without `filename`: an
        // intermediary may have checked only one of the two.
        let filename = filename.or_else(|| decode_extended(&extended?));
        Some(Self { name: name?, filename })
    }
}

/// The boundary of a Content-Type (RFC 2046 §5.1.1).
fn boundary_of(content_type: &[u8]) -> Result<String, MultipartError> {
    let (kind, parameters) = split_parameters(content_type);
    if !kind.get(..MULTIPART.len()).is_some_and(|start| start.eq_ignore_ascii_case(MULTIPART)) {
        return Err(MultipartError::NotMultipart);
    }
    let mut boundary = None;
    for parameter in parameters {
        let (key, value) = parameter.ok_or(MultipartError::InvalidBoundary)?;
        if key.eq_ignore_ascii_case(b"boundary") && boundary.replace(value).is_some() {
            return Err(MultipartError::InvalidBoundary);
        }
    }
    let boundary = boundary.and_then(|boundary| String::from_utf8(boundary).ok());
    boundary.filter(|boundary| is_boundary(boundary.as_bytes())).ok_or(MultipartError::InvalidBoundary)
}

/// RFC 2046 §5.1.1, except that a boundary may have any visible characters. It must not end with a space.
fn is_boundary(boundary: &[u8]) -> bool {
    (1..=LONGEST_BOUNDARY).contains(&boundary.len())
        && boundary.iter().all(|byte| (b' '..=b'~').contains(byte))
        && !boundary.ends_with(b" ")
}

/// Returns the text before the first `;`, trimmed, and the parameters after it.
fn split_parameters(value: &[u8]) -> (&[u8], Parameters<'_>) {
    let end = memchr::memchr(b';', value).unwrap_or(value.len());
    (trim(&value[..end]), Parameters { rest: &value[end..] })
}

/// `*( OWS ";" OWS [ name "=" ( token / quoted-string ) ] )` (RFC 9110 §5.6.6), with three extensions: blanks around
/// `=`, any characters in an unquoted value, and literal backslashes, as in `filename="C:\dir\a.txt"`. Yields `None`
/// for text that is not a parameter, and ends there.
struct Parameters<'a> {
    rest: &'a [u8],
}

impl<'a> Iterator for Parameters<'a> {
    type Item = Option<(&'a [u8], Vec<u8>)>;

    fn next(&mut self) -> Option<Self::Item> {
        let mut rest = trim(self.rest);
        while let [b';', behind @ ..] = rest {
            rest = trim(behind);
        }
        if rest.is_empty() {
            return None;
        }
        let parameter = read_parameter(rest);
        self.rest = parameter.as_ref().map_or(&[], |(_, _, behind)| behind);
        Some(parameter.map(|(key, value, _)| (key, value)))
    }
}

/// Parses one parameter. Returns name, value, and the rest, which is empty or starts with `;`.
fn read_parameter(text: &[u8]) -> Option<(&[u8], Vec<u8>, &[u8])> {
    let equals = memchr::memchr(b'=', text)?;
    let (key, value) = (trim(&text[..equals]), trim(&text[equals + 1..]));
    let (value, behind) = match value {
        [b'"', quoted @ ..] => read_quoted(quoted)?,
        _ => {
            let end =
                value.iter().position(|byte| matches!(byte, b';' | b' ' | b'\t')).unwrap_or(value.len());
            (value[..end].to_vec(), &value[end..])
        }
    };
    let behind = trim(behind);
    (is_token(key) && matches!(behind, [] | [b';', ..])).then_some((key, value, behind))
}

/// Parses a quoted-string after its opening quote (RFC 9110 §5.6.4). Returns its value and the rest.
fn read_quoted(text: &[u8]) -> Option<(Vec<u8>, &[u8])> {
    let (mut value, mut rest) = (Vec::new(), text);
    loop {
        match rest {
            [] => return None,
            [b'"', behind @ ..] => return Some((value, behind)),
            [b'\\', byte @ (b'"' | b'\\'), behind @ ..] | [byte, behind @ ..] => {
                value.push(*byte);
                rest = behind;
            }
        }
    }
}

/// RFC 8187 §3.2.1: `UTF-8'language'percent-encoded`. `None` for other character sets and for invalid UTF-8.
fn decode_extended(value: &[u8]) -> Option<Vec<u8>> {
    let mut pieces = value.splitn(3, |&byte| byte == b'\'');
    let (charset, _language, mut encoded) = (pieces.next()?, pieces.next()?, pieces.next()?);
    let mut decoded = Vec::with_capacity(encoded.len());
    while let [byte, behind @ ..] = encoded {
        encoded = behind;
        let byte = match (byte, behind) {
            (b'%', [high, low, behind @ ..]) => {
                encoded = behind;
                let digit =
                    |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
                digit(*high)? << 4 | digit(*low)?
            }
            (b'%', _) => return None,
            (byte, _) => *byte,
        };
        decoded.push(byte);
    }
    let is_utf8 = charset.eq_ignore_ascii_case(b"utf-8") && std::str::from_utf8(&decoded).is_ok();
    is_utf8.then_some(decoded)
}

const MULTIPART: &[u8] = b"multipart/";
/// Maximum number of header lines of one part, as in uWebSockets.js. Two are usual; old clients send a third
/// (Content-Transfer-Encoding).
const MAX_HEADERS: usize = 10;
/// Maximum number of parts of one body. A form has dozens. Parsing the parts that fit into some megabytes would block
/// Node's thread for seconds.
const MAX_PARTS: usize = 10_000;
/// Maximum length of a boundary, in bytes (RFC 2046 §5.1.1).
const LONGEST_BOUNDARY: usize = 70;

#[cfg(test)]
mod tests;
