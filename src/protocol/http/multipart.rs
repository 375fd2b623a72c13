//! The parts of a `multipart/form-data` body (RFC 7578, RFC 2046 §5.1).
//!
//! ```text
//!  --boundary CRLF  Content-Disposition: form-data; name="file"; filename="a.txt" CRLF … CRLF CRLF  data CRLF
//!  --boundary CRLF  …
//!  --boundary--
//! ```
//!
//! Where the parts begin and end, and their header lines, is found by `multer`. What the lines mean is read here: a
//! parameter counts only where one may stand, so that a file called `; name=other` cannot give its part another name.

use std::convert::Infallible;

use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::stream;
use multer::{Field, Multipart};

use super::head::{is_token, trim};

/// One part of a form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Part {
    /// The name of its field, as received: UTF-8 unless the sender says otherwise elsewhere in the form.
    pub name: Vec<u8>,
    /// The name of its file, as received: a path or anything else that the sender likes. May be empty.
    pub filename: Option<Vec<u8>>,
    /// Its Content-Type, as received.
    pub content_type: Option<Vec<u8>>,
    /// Its content: any bytes.
    pub data: Bytes,
}

/// Why a body has no parts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum MultipartError {
    /// RFC 2046 §5.1: another type than `multipart/…`.
    #[error("the content type is not multipart")]
    NotMultipart,
    /// RFC 2046 §5.1.1: one boundary parameter of 1 to 70 visible characters and blanks, of which no blank is the last.
    #[error("the boundary parameter is missing, repeated or invalid")]
    InvalidBoundary,
    /// RFC 2046 §5.1.1: no first boundary, no final one, or header lines that are none.
    #[error("the body is not divided by its boundary into parts with headers")]
    InvalidFraming,
    /// More than [`MAX_HEADERS`] header lines in front of a part.
    #[error("a part has too many headers")]
    TooManyHeaders,
    /// More than [`MAX_PARTS`] parts.
    #[error("the body has too many parts")]
    TooManyParts,
    /// RFC 7578 §4.2: each part has a Content-Disposition with a name; no parameter of it may be repeated.
    #[error("the Content-Disposition of a part is missing, malformed or without a name")]
    InvalidDisposition,
}

/// Divides a body into its parts, in the order of the body. `content_type` is that of the request.
///
/// # Errors
/// The first rule that does not hold. Of a body that breaks off, or of which one part breaks a rule, nothing is of use.
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

/// What a step of `multer` comes to: the whole body is there, so there is never anything to wait for.
fn at_once<T>(step: impl Future<Output = multer::Result<T>>) -> Result<T, MultipartError> {
    match step.now_or_never() {
        Some(Ok(value)) => Ok(value),
        Some(Err(_)) | None => Err(MultipartError::InvalidFraming),
    }
}

/// RFC 2046 §5.1.1: a delimiter stands at the beginning of a line. `multer` takes the first one wherever it stands.
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

/// What a Content-Disposition says (RFC 7578 §4.2). Its type is not looked at: there is only one use for a form.
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
        // RFC 7578 §4.2 forbids `filename*`, yet it is sent. It only counts where the other one is missing, because two
        // names are one too many to have checked.
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

/// RFC 2046 §5.1.1, but for the set of characters: any visible one may stand in a boundary, and the blank not last.
fn is_boundary(boundary: &[u8]) -> bool {
    (1..=LONGEST_BOUNDARY).contains(&boundary.len())
        && boundary.iter().all(|byte| (b' '..=b'~').contains(byte))
        && !boundary.ends_with(b" ")
}

/// What stands in front of the first `;`, trimmed, and the parameters behind it.
fn split_parameters(value: &[u8]) -> (&[u8], Parameters<'_>) {
    let end = memchr::memchr(b';', value).unwrap_or(value.len());
    (trim(&value[..end]), Parameters { rest: &value[end..] })
}

/// `*( OWS ";" OWS [ name "=" ( token / quoted-string ) ] )` (RFC 9110 §5.6.6), with three liberties: blanks around `=`,
/// any characters in an unquoted value, and backslashes that escape nothing, as in `filename="C:\dir\a.txt"`. Yields
/// `None` for what is no parameter, and ends there.
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

/// One parameter, and what is behind it: nothing, or a `;`.
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

/// The rest of a quoted-string (RFC 9110 §5.6.4), and what is behind it.
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

/// RFC 8187 §3.2.1: `UTF-8'language'percent-encoded`. `None` for other character sets, and for what is no UTF-8.
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
/// Header lines of one part, as many as uWebSockets.js reads: two are usual, a third (Content-Transfer-Encoding) was once.
const MAX_HEADERS: usize = 10;
/// Parts of one body. A form has dozens; reading as many as a body of some megabytes has room for would take seconds, on
/// Node's thread.
const MAX_PARTS: usize = 10_000;
/// RFC 2046 §5.1.1.
const LONGEST_BOUNDARY: usize = 70;

#[cfg(test)]
mod tests;
