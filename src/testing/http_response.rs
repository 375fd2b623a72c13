//! The responses of the server, as a strict client reads them (RFC 9112 §4–§7).

/// A response, possibly incomplete.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Response {
    /// The status code.
    pub status: u16,
    /// A Connection field says `close`.
    pub says_close: bool,
    /// How the end of the body is found.
    pub ending: Ending,
    /// The body, decoded.
    pub body: Vec<u8>,
    /// Whether it is complete; unknown for a body that ends [`Ending::WithConnection`].
    pub is_complete: bool,
}

/// How the end of a body is found (RFC 9112 §6.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    /// There is no body, for any fields.
    NoBody,
    /// Content-Length.
    Length,
    /// The last chunk.
    LastChunk,
    /// The end of the connection.
    WithConnection,
}

/// Takes the response to a request of this method from the front of `bytes`.
///
/// # Panics
/// If its head is not whole or breaks a rule, or if it is framed in two ways, or in one that its status forbids.
pub(crate) fn take_response(bytes: &mut &[u8], method: &[u8]) -> Response {
    let Some(head_end) = memchr::memmem::find(bytes, b"\r\n\r\n") else {
        panic!("half a response head: {}", bytes.escape_ascii());
    };
    let (head, rest) = bytes.split_at(head_end + 4);
    *bytes = rest;
    let Ok(head) = str::from_utf8(head) else { panic!("a response head that is not ASCII") };
    let mut lines = head.trim_end().split("\r\n");
    let status = status(lines.next().unwrap_or_default());
    let fields: Vec<(String, &str)> = lines.map(field).collect();
    let values = |name: &str| -> Vec<&str> {
        fields.iter().filter(|(known, _)| known == name).map(|(_, value)| *value).collect()
    };

    assert_eq!(values("date").len(), 1, "{head}");
    let says_close = values("connection").iter().any(|value| value.eq_ignore_ascii_case("close"));
    let has_no_body = method == b"HEAD" || matches!(status, 100..200 | 204 | 304);
    let is_tunnel = method == b"CONNECT" && matches!(status, 200..300);
    let is_unframed = matches!(status, 100..200 | 204) || is_tunnel;
    let (ending, body, is_complete) = match (&values("content-length")[..], &values("transfer-encoding")[..])
    {
        ([], []) if has_no_body || is_tunnel => (Ending::NoBody, Vec::new(), true),
        ([_], []) | ([], ["chunked"]) if has_no_body && !is_unframed => (Ending::NoBody, Vec::new(), true),
        ([], []) => (Ending::WithConnection, std::mem::take(bytes).to_vec(), true),
        ([length], []) if !is_unframed => take_length(bytes, length),
        ([], ["chunked"]) if !is_unframed => take_chunks(bytes),
        framing => panic!("{framing:?} in {head}"),
    };
    Response { status, says_close, ending, body, is_complete }
}

/// The status code of a status line.
fn status(line: &str) -> u16 {
    let code = line.strip_prefix("HTTP/1.1 ").and_then(|rest| rest.split(' ').next());
    match code.filter(|code| code.len() == 3).map(str::parse) {
        Some(Ok(status)) => status,
        Some(Err(_)) | None => panic!("no status line: {line}"),
    }
}

/// Name, in lower case, and value of a field line.
fn field(line: &str) -> (String, &str) {
    let Some((name, value)) = line.split_once(": ") else { panic!("no field: {line}") };
    assert!(!line.contains(['\r', '\n']), "a line within a line: {line}");
    (name.to_ascii_lowercase(), value)
}

/// A body of this many bytes.
fn take_length(bytes: &mut &[u8], length: &str) -> (Ending, Vec<u8>, bool) {
    let Ok(length) = length.parse::<usize>() else { panic!("Content-Length: {length}") };
    let (body, rest) = bytes.split_at(length.min(bytes.len()));
    *bytes = rest;
    (Ending::Length, body.to_vec(), body.len() == length)
}

/// A chunked body. Chunks are written whole, without extensions and trailers.
fn take_chunks(bytes: &mut &[u8]) -> (Ending, Vec<u8>, bool) {
    let mut body = Vec::new();
    while !bytes.is_empty() {
        let size = memchr::memmem::find(bytes, b"\r\n")
            .and_then(|end| Some((end + 2, str::from_utf8(&bytes[..end]).ok()?)))
            .and_then(|(start, digits)| Some((start, usize::from_str_radix(digits, 16).ok()?)));
        let Some((start, size)) = size else { panic!("no chunk: {}", bytes.escape_ascii()) };
        let Some((data, rest)) = bytes[start..].split_at_checked(size) else { panic!("half a chunk") };
        let Some(rest) = rest.strip_prefix(b"\r\n") else { panic!("a chunk of the wrong size") };
        body.extend_from_slice(data);
        *bytes = rest;
        if size == 0 {
            return (Ending::LastChunk, body, true);
        }
    }
    (Ending::LastChunk, body, false)
}
