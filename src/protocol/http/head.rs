//! The head of a request: request line and fields (RFC 9112 §3, §5), as spans of the received bytes.
//!
//! ```text
//!  GET /chat?room=1 HTTP/1.1\r\n Host: example.org\r\n … \r\n \r\n
//!  method  target            fields                      end: the first CRLF CRLF
//!          path ?query
//! ```
//!
//! The parser is our own because each error must name the violated rule, and because much of what `httparse` accepts
//! (bare LF, empty lines) would have to be rejected in a second pass. `tests/properties.rs` compares the two.

use super::error::HttpError;
use super::field::{lower_case_token_byte, parse_field};
use super::framing::is_authority;

pub(crate) use super::field::{HeaderField, Span, is_field_value, is_token, is_token_byte, members, trim};
pub(in crate::protocol) use super::field::{first_control, is_space};
pub(in crate::protocol) use super::framing::FramingFields;
pub(crate) use super::framing::{BodyLength, Version};

/// How large a request head may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct HeadLimits {
    /// Maximum length of a head in bytes, including the empty line. At most 65,535 (larger values mean that), default
    /// 16 KiB.
    pub max_head_bytes: usize,
    /// Maximum number of fields, default 100.
    pub max_headers: usize,
}

impl Default for HeadLimits {
    fn default() -> Self {
        Self { max_head_bytes: 16 * 1024, max_headers: 100 }
    }
}

/// A valid request head. All connections of a worker reuse one value, so that parsing allocates nothing once the list
/// of fields has grown to its usual length. The spans refer to the bytes given to [`parse_head`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct RequestHead {
    /// The method as received: a token, compared case-sensitively.
    pub method: Span,
    /// The request target as received.
    pub target: Span,
    /// The path, not decoded: of an origin-form or absolute-form target without the query (`/` if an absolute-form has
    /// none), `*` of `OPTIONS *`, host and port of a CONNECT.
    pub path: Span,
    /// The query, not decoded and without its `?`; `None` if there is no `?`.
    pub query: Option<Span>,
    /// Host and port of an absolute-form target, which replace the Host field (RFC 9112 §3.2.2).
    pub authority: Option<Span>,
    /// The fields in the order received.
    pub fields: Vec<HeaderField>,
    /// The version of the request.
    pub version: Version,
    /// The framing of the body.
    pub body: BodyLength,
    /// The connection persists after this request as far as the client is concerned (RFC 9112 §9.3).
    pub keep_alive: bool,
    /// The client waits for `100 Continue` (RFC 9110 §10.1.1). Never true without a body.
    pub expects_continue: bool,
}

impl RequestHead {
    /// The value of the first field of this name, which must be given in lower case. `head` has the bytes that were
    /// parsed.
    #[cfg(test)]
    #[must_use]
    pub(crate) fn field<'a>(&self, head: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
        self.fields.iter().find(|field| field.name.of(head) == name).map(|field| field.value.of(head))
    }
}

/// Parses a complete head at the start of `input` into `head`, and lower-cases the field names in place.
///
/// Returns the length of the head including the empty line, or `None` if it is incomplete; then `input` and `head` are
/// unchanged. The first `scanned` bytes are not searched for the empty line again: pass 0 first, later the length of
/// the input that was incomplete.
///
/// The result depends on the bytes only, not on how they were split: the errors of an incomplete head are found in the
/// order of the bytes, and all other rules are checked once the head is complete.
///
/// # Errors
/// The first rule that the head violates. The content of `head` is then unspecified.
pub(crate) fn parse_head(
    input: &mut [u8],
    scanned: usize,
    limits: &HeadLimits,
    head: &mut RequestHead,
) -> Result<Option<usize>, HttpError> {
    let Some(end) = find_end(input, scanned, limits)? else { return Ok(None) };
    let bytes = &mut input[..end];

    let mut next = parse_request_line(bytes, head)?;
    head.fields.clear();
    let mut framing = FramingFields::default();
    let empty_line = end - 2;
    while next < empty_line {
        if head.fields.len() == limits.max_headers {
            return Err(HttpError::TooManyFields);
        }
        let (field, following) = parse_field(bytes, next)?;
        framing.read_field(field.name.of(bytes), field.value.of(bytes))?;
        head.fields.push(field);
        next = following;
    }

    let meaning = framing.conclude(head.version)?;
    head.body = meaning.body;
    head.keep_alive = meaning.keep_alive;
    head.expects_continue = meaning.expects_continue;
    Ok(Some(end))
}

/// Returns the length of the head, or `None` if its empty line has not arrived. The first `from` bytes are not
/// searched.
fn find_end(input: &[u8], from: usize, limits: &HeadLimits) -> Result<Option<usize>, HttpError> {
    let Some(&first) = input.first() else { return Ok(None) };
    if lower_case_token_byte(first) == 0 {
        // Refused at once: a TLS handshake on a plaintext port would otherwise wait for the timeout.
        return Err(HttpError::InvalidMethod);
    }
    let max = limits.max_head_bytes.min(usize::from(u16::MAX));
    let window = &input[..input.len().min(max)];
    let from = from.min(window.len());
    for line_feed in memchr::memchr_iter(b'\n', &window[from..]) {
        let line = &window[..from + line_feed];
        let Some((b'\r', line)) = line.split_last() else { return Err(HttpError::BareLf) };
        if line.ends_with(b"\r\n") {
            return Ok(Some(line.len() + 2));
        }
    }
    if input.len() < max {
        return Ok(None);
    }
    match memchr::memchr2(b'\n', b' ', window).map(|found| window[found]) {
        Some(b' ') if !window.contains(&b'\n') => Err(HttpError::TargetTooLong),
        Some(_) => Err(HttpError::HeadTooLong),
        None => Err(HttpError::MethodTooLong),
    }
}

/// RFC 9112 §3: method SP request-target SP HTTP-version CRLF. Returns the index of the line after it.
fn parse_request_line(bytes: &[u8], head: &mut RequestHead) -> Result<usize, HttpError> {
    let method_end = bytes.iter().position(|&byte| lower_case_token_byte(byte) == 0).unwrap_or(bytes.len());
    match bytes.get(method_end) {
        Some(b' ') => {}
        Some(b'\r') | None => return Err(HttpError::InvalidRequestLine),
        Some(_) => return Err(HttpError::InvalidMethod),
    }

    let start = method_end + 1;
    let end = start + bytes[start..].iter().take_while(|&&byte| byte > b' ' && byte != 0x7f).count();
    match bytes.get(end) {
        Some(b' ') if end > start => {}
        Some(b' ' | b'\r') | None => return Err(HttpError::InvalidRequestLine),
        Some(_) => return Err(HttpError::InvalidTarget),
    }

    let (version, next) = parse_version(bytes, end + 1)?;
    head.method = Span::new(0, method_end);
    head.target = Span::new(start, end);
    head.version = version;
    parse_target(bytes, head)?;
    Ok(next)
}

/// RFC 9112 §2.3: `HTTP/` DIGIT `.` DIGIT, and the CRLF after it.
fn parse_version(bytes: &[u8], start: usize) -> Result<(Version, usize), HttpError> {
    let rest = &bytes[start..];
    if rest.starts_with(b" ") {
        return Err(HttpError::InvalidRequestLine);
    }
    let Some((name, rest)) = rest.split_first_chunk::<8>() else { return Err(HttpError::InvalidVersion) };
    let version = match name {
        b"HTTP/1.1" => Version::Http11,
        b"HTTP/1.0" => Version::Http10,
        [b'H', b'T', b'T', b'P', b'/', b'0'..=b'9', b'.', b'0'..=b'9'] => {
            return Err(HttpError::VersionNotSupported);
        }
        _ => return Err(HttpError::InvalidVersion),
    };
    match rest {
        [b'\r', b'\n', ..] => Ok((version, start + 10)),
        [b'\r', ..] => Err(HttpError::BareCr),
        [b' ' | b'\t', ..] => Err(HttpError::InvalidRequestLine),
        _ => Err(HttpError::InvalidVersion),
    }
}

/// RFC 9112 §3.2: the four forms of a request target. Fills in path and query.
///
/// Characters that must be percent-encoded by RFC 3986 are accepted (browsers send `|`, `curl` sends UTF-8). Invalid
/// UTF-8 and `#` are not: a fragment is never sent, and peers disagree on where the path of such a target ends. CONNECT
/// may also have a path, because uWebSockets.js routes it like the other methods.
pub(in crate::protocol) fn parse_target(bytes: &[u8], head: &mut RequestHead) -> Result<(), HttpError> {
    let start = usize::from(head.target.start);
    let target = head.target.of(bytes);
    let method = head.method.of(bytes);
    head.authority = None;
    if memchr::memchr(b'#', target).is_some() || std::str::from_utf8(target).is_err() {
        return Err(HttpError::InvalidTarget);
    }
    match target {
        [b'/', ..] => split_query(target, start, head),
        b"*" if method == b"OPTIONS" => take_whole(head),
        _ if method == b"CONNECT" => {
            // RFC 9112 §3.2.3: authority-form requires a port, so it ends with a digit.
            let has_port = target.contains(&b':') && target.last().is_some_and(u8::is_ascii_digit);
            if !has_port || !is_authority(target) {
                return Err(HttpError::InvalidTarget);
            }
            take_whole(head);
        }
        _ => return split_absolute(target, start, head),
    }
    Ok(())
}

/// Sets the path to the whole target.
fn take_whole(head: &mut RequestHead) {
    head.path = head.target;
    head.query = None;
}

/// Sets path and query from `target`, which starts at index `start`.
fn split_query(target: &[u8], start: usize, head: &mut RequestHead) {
    let end = start + target.len();
    let path_end = memchr::memchr(b'?', target).map_or(end, |mark| start + mark);
    head.path = Span::new(start, path_end);
    head.query = (path_end < end).then(|| Span::new(path_end + 1, end));
}

/// RFC 9112 §3.2.2: `http://` authority, then path and query.
fn split_absolute(target: &[u8], start: usize, head: &mut RequestHead) -> Result<(), HttpError> {
    let scheme = memchr::memmem::find(target, b"://").ok_or(HttpError::InvalidTarget)?;
    let authority = scheme + 3;
    let authority_end =
        authority + target[authority..].iter().take_while(|byte| !b"/?".contains(byte)).count();
    if !is_http(&target[..scheme]) || !is_authority(&target[authority..authority_end]) {
        return Err(HttpError::InvalidTarget);
    }
    head.authority = Some(Span::new(start + authority, start + authority_end));
    split_query(&target[authority_end..], start + authority_end, head);
    if head.path.len == 0 {
        // RFC 9110 §4.2.3: an empty path means `/`. The span refers to a slash of `http://`.
        head.path = Span::new(start + scheme + 1, start + scheme + 2);
    }
    Ok(())
}

/// Whether `scheme` is `http` or `https`, in any case (RFC 9110 §4.2).
fn is_http(scheme: &[u8]) -> bool {
    scheme.eq_ignore_ascii_case(b"http") || scheme.eq_ignore_ascii_case(b"https")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Parses one complete head. Returns method, path and query.
    fn line(text: &str) -> Result<(String, String, Option<String>), HttpError> {
        let mut bytes = format!("{text}\r\nHost: a\r\n\r\n").into_bytes();
        let mut head = RequestHead::default();
        let end = parse_head(&mut bytes, 0, &HeadLimits::default(), &mut head)?;
        assert_eq!(end, Some(bytes.len()));
        let show = |span: Span| String::from_utf8_lossy(span.of(&bytes)).into_owned();
        Ok((show(head.method), show(head.path), head.query.map(show)))
    }

    /// The result of [`parse_head`] for `text` with these limits.
    fn judge(text: &[u8], limits: &HeadLimits) -> Result<Option<usize>, HttpError> {
        parse_head(&mut text.to_vec(), 0, limits, &mut RequestHead::default())
    }

    #[test]
    fn the_four_forms_of_a_target_are_taken_apart() {
        let cases = [
            ("GET / HTTP/1.1", "/", None),
            ("GET /a?b HTTP/1.1", "/a", Some("b")),
            ("GET /a? HTTP/1.1", "/a", Some("")),
            ("GET /a?b?c HTTP/1.1", "/a", Some("b?c")),
            ("GET //a//b/ HTTP/1.1", "//a//b/", None),
            ("GET /%41|{}\"<> HTTP/1.1", "/%41|{}\"<>", None),
            ("GET /\u{e9} HTTP/1.1", "/\u{e9}", None),
            ("GET http://a HTTP/1.1", "/", None),
            ("GET http://a?b HTTP/1.1", "/", Some("b")),
            ("GET http://a/b?c HTTP/1.1", "/b", Some("c")),
            ("GET HTTPS://[::1]:80/b HTTP/1.1", "/b", None),
            ("OPTIONS * HTTP/1.1", "*", None),
            ("OPTIONS /a HTTP/1.1", "/a", None),
            ("CONNECT a.b:443 HTTP/1.1", "a.b:443", None),
            ("CONNECT [::1]:443 HTTP/1.1", "[::1]:443", None),
            ("CONNECT /a?b HTTP/1.1", "/a", Some("b")),
        ];
        for (text, path, query) in cases {
            let method = text.split(' ').next().unwrap_or_default();
            let expected = (method.to_owned(), path.to_owned(), query.map(str::to_owned));
            assert_eq!(line(text), Ok(expected), "{text}");
        }
    }

    #[test]
    fn only_an_absolute_form_has_an_authority() {
        let mut head = RequestHead::default();
        for (target, authority) in [
            ("GET http://a.b:80/c?d", Some("a.b:80")),
            ("GET HTTPS://[::1]?d", Some("[::1]")),
            ("GET /http://a/", None),
            ("OPTIONS *", None),
            ("GET http://a", Some("a")),
            ("CONNECT a:1", None),
        ] {
            let mut bytes = format!("{target} HTTP/1.1\r\nHost: h\r\n\r\n").into_bytes();
            assert!(parse_head(&mut bytes, 0, &HeadLimits::default(), &mut head).is_ok());
            let found = head.authority.map(|span| String::from_utf8_lossy(span.of(&bytes)).into_owned());
            assert_eq!(found.as_deref(), authority, "{target}");
        }
    }

    #[test]
    fn a_method_is_any_token_and_stays_as_received() {
        for method in ["get", "PATCH", "M-SEARCH", "x!#$%&'*+-.^_`|~9"] {
            assert_eq!(line(&format!("{method} / HTTP/1.1")).map(|line| line.0), Ok(method.to_owned()));
        }
    }

    #[test]
    fn a_broken_request_line_is_refused_by_the_rule_it_breaks() {
        let cases = [
            ("GE(T / HTTP/1.1", HttpError::InvalidMethod),
            ("GET\t/ HTTP/1.1", HttpError::InvalidMethod),
            ("\x16\x03\x01", HttpError::InvalidMethod),
            (" GET / HTTP/1.1", HttpError::InvalidMethod),
            ("GET", HttpError::InvalidRequestLine),
            ("GET ", HttpError::InvalidRequestLine),
            ("GET /", HttpError::InvalidRequestLine),
            ("GET  / HTTP/1.1", HttpError::InvalidRequestLine),
            ("GET /  HTTP/1.1", HttpError::InvalidRequestLine),
            ("GET / HTTP/1.1 ", HttpError::InvalidRequestLine),
            ("GET / HTTP/1.1 x", HttpError::InvalidRequestLine),
            ("GET / / HTTP/1.1", HttpError::InvalidVersion),
            ("GET /\t HTTP/1.1", HttpError::InvalidTarget),
            ("GET /\0 HTTP/1.1", HttpError::InvalidTarget),
            ("GET /\x7f HTTP/1.1", HttpError::InvalidTarget),
            ("GET /a#b HTTP/1.1", HttpError::InvalidTarget),
            ("GET a HTTP/1.1", HttpError::InvalidTarget),
            ("GET ?a HTTP/1.1", HttpError::InvalidTarget),
            ("GET * HTTP/1.1", HttpError::InvalidTarget),
            ("OPTIONS ** HTTP/1.1", HttpError::InvalidTarget),
            ("GET ftp://a/ HTTP/1.1", HttpError::InvalidTarget),
            ("GET http:///a HTTP/1.1", HttpError::InvalidTarget),
            ("GET http://u@a/ HTTP/1.1", HttpError::InvalidTarget),
            ("GET http:/a HTTP/1.1", HttpError::InvalidTarget),
            ("CONNECT a HTTP/1.1", HttpError::InvalidTarget),
            ("CONNECT a1 HTTP/1.1", HttpError::InvalidTarget),
            ("CONNECT a: HTTP/1.1", HttpError::InvalidTarget),
            ("CONNECT [::1] HTTP/1.1", HttpError::InvalidTarget),
            ("CONNECT http://a:1/ HTTP/1.1", HttpError::InvalidTarget),
            ("GET / http/1.1", HttpError::InvalidVersion),
            ("GET / HTTP/1.", HttpError::InvalidVersion),
            ("GET / HTTP/1.10", HttpError::InvalidVersion),
            ("GET / HTTP/11", HttpError::InvalidVersion),
            ("GET / HTTP/1.1\0", HttpError::InvalidVersion),
            ("GET / HTTP/0.9", HttpError::VersionNotSupported),
            ("GET / HTTP/1.2", HttpError::VersionNotSupported),
            ("PRI * HTTP/2.0", HttpError::VersionNotSupported),
            ("GET / HTTP/1.1\rX: y", HttpError::BareCr),
        ];
        for (text, error) in cases {
            assert_eq!(line(text), Err(error), "{}", text.escape_debug());
        }
    }

    #[test]
    fn a_target_that_is_no_utf8_is_refused() {
        for target in [b"/\x80".as_slice(), b"/\xe9/", b"/\xc3", b"http://a/\xff"] {
            let text = [b"GET ", target, b" HTTP/1.1\r\nHost: a\r\n\r\n"].concat();
            assert_eq!(judge(&text, &HeadLimits::default()), Err(HttpError::InvalidTarget));
        }
    }

    #[test]
    fn the_empty_line_ends_a_head_and_nothing_after_it_is_looked_at() {
        let text = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n\n\0";
        assert_eq!(judge(text, &HeadLimits::default()), Ok(Some(text.len() - 2)));
        assert_eq!(judge(&text[..text.len() - 3], &HeadLimits::default()), Ok(None));
        assert_eq!(judge(b"", &HeadLimits::default()), Ok(None));
    }

    #[test]
    fn a_head_of_exactly_the_limit_is_read_and_one_byte_more_is_not() {
        let text = b"GET /abc HTTP/1.1\r\nHost: a\r\n\r\n";
        let limits = |max_head_bytes| HeadLimits { max_head_bytes, ..HeadLimits::default() };
        assert_eq!(judge(text, &limits(text.len())), Ok(Some(text.len())));
        assert_eq!(judge(text, &limits(text.len() - 1)), Err(HttpError::HeadTooLong));
        assert_eq!(judge(&text[..19], &limits(20)), Ok(None));
        assert_eq!(judge(&text[..20], &limits(20)), Err(HttpError::HeadTooLong));
        assert_eq!(judge(text, &limits(19)), Err(HttpError::HeadTooLong));
        assert_eq!(judge(text, &limits(18)), Err(HttpError::TargetTooLong));
        assert_eq!(judge(&vec![b'a'; 70_000], &limits(usize::MAX)), Err(HttpError::MethodTooLong));
        assert_eq!(judge(b"GET /", &limits(3)), Err(HttpError::MethodTooLong));
        assert_eq!(judge(b"GET /", &limits(4)), Err(HttpError::TargetTooLong));
    }

    #[test]
    fn as_many_fields_as_the_limit_are_read_and_not_one_more() {
        let text =
            |fields: usize| format!("GET / HTTP/1.1\r\nHost: a\r\n{}\r\n", "b: c\r\n".repeat(fields - 1));
        let limits = HeadLimits { max_headers: 3, ..HeadLimits::default() };
        assert_eq!(judge(text(3).as_bytes(), &limits), Ok(Some(text(3).len())));
        assert_eq!(judge(text(4).as_bytes(), &limits), Err(HttpError::TooManyFields));
    }

    #[test]
    fn a_reused_head_keeps_nothing_of_the_request_before() {
        let mut first = b"POST /a?b HTTP/1.0\r\nContent-Length: 5\r\nX: y\r\n\r\n".to_vec();
        let mut second = b"OPTIONS * HTTP/1.1\r\nHost: d\r\n\r\n".to_vec();
        let (mut reused, mut fresh) = (RequestHead::default(), RequestHead::default());
        let limits = HeadLimits::default();
        assert!(matches!(parse_head(&mut first, 0, &limits, &mut reused), Ok(Some(_))));
        assert_eq!(
            parse_head(&mut second, 0, &limits, &mut reused),
            parse_head(&mut second.clone(), 0, &limits, &mut fresh)
        );
        assert_eq!(reused, fresh);
        assert_eq!(reused.field(&second, b"host"), Some(b"d".as_slice()));
        assert_eq!(reused.field(&second, b"x"), None);
    }
}
