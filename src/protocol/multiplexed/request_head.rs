//! The fields of a request (RFC 9113 §8.2 and §8.3, RFC 9114 §4.2 and §4.3), as the request head that HTTP/1.1 would have
//! had: the rest of the server knows one kind of head. The sections that are cited are those of RFC 9113.
//!
//! | HTTP/2, HTTP/3 | becomes |
//! |---|---|
//! | `:method`, `:path` | method and target |
//! | `:authority` | the field `host`, the first one |
//! | `:scheme` | nothing |
//! | several `cookie` fields | one, joined by `; ` (§8.2.3) |
//! | CONNECT with `:protocol` (RFC 8441, RFC 9220) | GET with `upgrade`, `connection` and a `sec-websocket-key` |
//!
//! A field that is not valid makes the request malformed (§8.1.1): its stream is reset, and no handler sees it. A request
//! that only exceeds a limit is answered. All fields are looked at in either case, because the dynamic table depends on
//! them, but no more are kept than the limits allow.

use super::malformed::Malformed;
use super::priority::Priority;
use crate::protocol::http::error::HttpError;
use crate::protocol::http::head::{
    BodyLength, FramingFields, HeadLimits, HeaderField, RequestHead, Span, Version, first_control, is_space,
    is_token, parse_target,
};
use crate::protocol::http::response_framing::AskedMethod;

/// A request head and the bytes that its spans refer to. All connections of a worker reuse one value.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct HeadScratch {
    /// The head.
    pub head: RequestHead,
    /// Its bytes.
    pub bytes: Vec<u8>,
}

/// What a request means to the session itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::protocol) struct Meaning {
    /// The kind of method, for the framing of the response.
    pub method: AskedMethod,
    /// The value of Content-Length.
    pub content_length: Option<u64>,
    /// The client waits for `100 Continue`.
    pub expects_continue: bool,
    /// It is an extended CONNECT: the stream becomes a tunnel.
    pub is_tunnel: bool,
    /// The value of its `priority` field.
    pub priority: Option<Priority>,
}

/// Why a request is not passed on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::protocol) enum HeadFault {
    /// It is malformed.
    Malformed(Malformed),
    /// It exceeds a limit, or asks for what is not there; the answer says so.
    Refused(HttpError),
}

/// Takes the fields of a request one by one.
#[derive(Debug)]
pub(in crate::protocol) struct HeadBuilder<'a> {
    scratch: &'a mut HeadScratch,
    limits: &'a HeadLimits,
    /// The first fault.
    fault: Option<HeadFault>,
    /// RFC 9113 §6.5.2: the size of the header list so far.
    size: usize,
    method: Option<Span>,
    scheme: Option<Span>,
    authority: Option<Span>,
    path: Option<Span>,
    protocol: Option<Span>,
    has_fields: bool,
    cookies: usize,
    framing: FramingFields,
    content_length: Option<u64>,
    priority: Option<Priority>,
}

impl<'a> HeadBuilder<'a> {
    /// For a new request.
    pub(in crate::protocol) fn new(scratch: &'a mut HeadScratch, limits: &'a HeadLimits) -> Self {
        scratch.bytes.clear();
        scratch.head =
            RequestHead { fields: std::mem::take(&mut scratch.head.fields), ..RequestHead::default() };
        scratch.head.fields.clear();
        Self {
            scratch,
            limits,
            fault: None,
            size: 0,
            method: None,
            scheme: None,
            authority: None,
            path: None,
            protocol: None,
            has_fields: false,
            cookies: 0,
            framing: FramingFields::default(),
            content_length: None,
            priority: None,
        }
    }

    /// Takes the next field.
    pub(in crate::protocol) fn add(&mut self, name: &[u8], value: &[u8]) {
        if self.fault.is_none()
            && let Err(fault) = self.try_add(name, value)
        {
            self.fault = Some(fault);
        }
    }

    fn try_add(&mut self, name: &[u8], value: &[u8]) -> Result<(), HeadFault> {
        self.size += name.len() + value.len() + FIELD_OVERHEAD;
        if self.size > self.limits.max_head_bytes.min(usize::from(u16::MAX)) {
            return Err(HeadFault::Refused(HttpError::HeadTooLong));
        }
        check_value(value)?;
        match name.strip_prefix(b":") {
            Some(pseudo) => self.add_pseudo(pseudo, value),
            None => {
                self.has_fields = true;
                self.add_regular(name, value)
            }
        }
    }

    /// RFC 9113 §8.3.1.
    fn add_pseudo(&mut self, name: &[u8], value: &[u8]) -> Result<(), HeadFault> {
        if self.has_fields {
            return Err(Malformed::MisplacedPseudoField.into());
        }
        let span = self.append(value);
        let place = match name {
            b"method" => &mut self.method,
            b"scheme" => &mut self.scheme,
            b"authority" => &mut self.authority,
            b"path" => &mut self.path,
            b"protocol" => &mut self.protocol,
            _ => return Err(Malformed::UnknownPseudoField.into()),
        };
        match place.replace(span) {
            None => Ok(()),
            Some(_) => Err(Malformed::PseudoFields.into()),
        }
    }

    fn add_regular(&mut self, name: &[u8], value: &[u8]) -> Result<(), HeadFault> {
        check_name(name)?;
        match name {
            b"host" => {
                if let Some(authority) = self.authority {
                    // RFC 9113 §8.3.1: the two must not differ. The one that is kept is the authority.
                    let is_same = authority.of(&self.scratch.bytes).eq_ignore_ascii_case(value);
                    return if is_same { Ok(()) } else { Err(Malformed::Authority.into()) };
                }
                self.read_framing(name, value)?;
            }
            b"content-length" => {
                self.read_framing(name, value)?;
                // At most 18 digits: that was checked.
                self.content_length = str::from_utf8(value).ok().and_then(|digits| digits.parse().ok());
            }
            b"expect" => self.read_framing(name, value)?,
            b"connection" | b"keep-alive" | b"proxy-connection" | b"transfer-encoding" | b"upgrade" => {
                return Err(Malformed::ConnectionField.into());
            }
            b"te" if !value.eq_ignore_ascii_case(b"trailers") => {
                return Err(Malformed::ConnectionField.into());
            }
            b"cookie" => self.cookies += 1,
            b"priority" => self.priority = Some(Priority::parse(value)),
            _ => {}
        }
        self.push_field(name, value)
    }

    /// Lets a field that HTTP/1.1 has, too, be checked by its rules.
    fn read_framing(&mut self, name: &[u8], value: &[u8]) -> Result<(), HeadFault> {
        self.framing.read_field(name, value).map_err(|error| match error {
            HttpError::InvalidContentLength | HttpError::ContentLengthConflict => {
                Malformed::ContentLength.into()
            }
            HttpError::InvalidHost | HttpError::RepeatedHost => Malformed::Authority.into(),
            other => HeadFault::Refused(other),
        })
    }

    /// Adds a field to the head.
    fn push_field(&mut self, name: &[u8], value: &[u8]) -> Result<(), HeadFault> {
        if self.scratch.head.fields.len() == self.limits.max_headers {
            return Err(HeadFault::Refused(HttpError::TooManyFields));
        }
        let (name, value) = (self.append(name), self.append(value));
        self.scratch.head.fields.push(HeaderField { name, value });
        Ok(())
    }

    /// Appends text to the bytes of the head.
    fn append(&mut self, text: &[u8]) -> Span {
        let start = self.scratch.bytes.len();
        self.scratch.bytes.extend_from_slice(text);
        Span::new(start, start + text.len())
    }

    /// The kind of method, as far as it is known.
    pub(in crate::protocol) fn asked_method(&self) -> AskedMethod {
        self.method.map_or(AskedMethod::Other, |method| AskedMethod::of(method.of(&self.scratch.bytes)))
    }

    /// All fields have been taken. `is_last`: the request has no body. Fills the head.
    ///
    /// # Errors
    /// Why the request is not passed on.
    pub(in crate::protocol) fn conclude(mut self, is_last: bool) -> Result<Meaning, HeadFault> {
        if let Some(fault) = self.fault {
            return Err(fault);
        }
        let is_tunnel = self.conclude_target()?;
        self.conclude_host()?;
        self.join_cookies()?;
        self.framing.conclude(Version::Http11).map_err(|_| Malformed::Authority)?;
        if is_last && self.content_length.is_some_and(|length| length > 0) {
            return Err(Malformed::ContentLengthMismatch.into());
        }
        let method = AskedMethod::of(self.scratch.head.method.of(&self.scratch.bytes));
        let head = &mut self.scratch.head;
        head.body = match self.content_length {
            _ if is_last || is_tunnel => BodyLength::None,
            Some(length) if length > 0 => BodyLength::Fixed(length),
            Some(_) | None => BodyLength::Chunked,
        };
        head.version = Version::Multiplexed;
        head.keep_alive = true;
        // END_STREAM tells whether there is content, with or without Content-Length.
        head.expects_continue = self.framing.expects_continue() && !is_last && !is_tunnel;
        let expects_continue = head.expects_continue;
        let content_length = self.content_length.filter(|_| !is_tunnel);
        Ok(Meaning { method, content_length, expects_continue, is_tunnel, priority: self.priority })
    }

    /// Method and target. Returns whether the request is an extended CONNECT.
    fn conclude_target(&mut self) -> Result<bool, HeadFault> {
        let bytes = &self.scratch.bytes;
        let method = self.method.ok_or(Malformed::PseudoFields)?;
        if !is_token(method.of(bytes)) {
            return Err(Malformed::Method.into());
        }
        let is_connect = method.of(bytes) == b"CONNECT";
        let target = match (is_connect, self.protocol, self.scheme, self.path) {
            // RFC 9113 §8.5.
            (true, None, None, None) => self.authority.ok_or(Malformed::PseudoFields)?,
            // RFC 9113 §8.3.1, RFC 8441 §4.
            (false, None, Some(scheme), Some(path)) | (true, Some(_), Some(scheme), Some(path)) => {
                if !is_scheme(scheme.of(bytes)) || (is_connect && self.authority.is_none()) {
                    return Err(Malformed::PseudoFields.into());
                }
                let is_options = method.of(bytes) == b"OPTIONS";
                match path.of(bytes) {
                    [b'/', ..] => {}
                    b"*" if is_options => {}
                    _ => return Err(Malformed::Path.into()),
                }
                path
            }
            _ => return Err(Malformed::PseudoFields.into()),
        };
        if target.of(bytes).iter().any(|&byte| byte <= b' ' || byte == 0x7f) {
            return Err(Malformed::Path.into());
        }
        (self.scratch.head.method, self.scratch.head.target) = (method, target);
        let protocol = self.protocol;
        if let Some(protocol) = protocol {
            self.add_handshake(protocol)?;
        }
        parse_target(&self.scratch.bytes, &mut self.scratch.head).map_err(|_| Malformed::Path)?;
        Ok(protocol.is_some())
    }

    /// RFC 8441 §5: says of an extended CONNECT what the opening handshake of RFC 6455 would. There is no key, because
    /// nothing has to be told apart from HTTP/1.1; programs that pass it to `upgrade` get one that is valid. HAProxy passes on
    /// that of a client which speaks HTTP/1.1 to it.
    fn add_handshake(&mut self, protocol: Span) -> Result<(), HeadFault> {
        if !protocol.of(&self.scratch.bytes).eq_ignore_ascii_case(b"websocket") {
            return Err(Malformed::Protocol.into());
        }
        let HeadScratch { head, bytes } = &mut *self.scratch;
        head.fields.retain(|field| field.name.of(bytes) != b"sec-websocket-key");
        self.scratch.head.method = self.append(b"GET");
        self.push_field(b"upgrade", b"websocket")?;
        self.push_field(b"connection", b"Upgrade")?;
        self.push_field(b"sec-websocket-key", NO_KEY)
    }

    /// The field `host`, of which there is one.
    fn conclude_host(&mut self) -> Result<(), HeadFault> {
        let Some(value) = self.authority else { return Ok(()) };
        self.framing.read_field(b"host", value.of(&self.scratch.bytes)).map_err(|_| Malformed::Authority)?;
        if self.scratch.head.fields.len() == self.limits.max_headers {
            return Err(HeadFault::Refused(HttpError::TooManyFields));
        }
        let name = self.append(b"host");
        self.scratch.head.fields.insert(0, HeaderField { name, value });
        Ok(())
    }

    /// RFC 9113 §8.2.3: a client may split its cookies into several fields, so that each has an entry of its own in the
    /// dynamic table.
    fn join_cookies(&mut self) -> Result<(), HeadFault> {
        if self.cookies < 2 {
            return Ok(());
        }
        let HeadScratch { head, bytes } = &mut *self.scratch;
        let start = bytes.len();
        let mut first = None;
        let mut position = 0;
        head.fields.retain(|field| {
            let is_cookie = field.name.of(bytes) == b"cookie";
            let is_first = is_cookie && first.is_none();
            if is_cookie {
                if !is_first {
                    bytes.extend_from_slice(b"; ");
                }
                let value = usize::from(field.value.start)..usize::from(field.value.start + field.value.len);
                bytes.extend_from_within(value);
            }
            if is_first {
                first = Some(position);
            }
            position += usize::from(!is_cookie || is_first);
            !is_cookie || is_first
        });
        if bytes.len() > usize::from(u16::MAX) {
            return Err(HeadFault::Refused(HttpError::HeadTooLong));
        }
        if let Some(field) = first.and_then(|first| head.fields.get_mut(first)) {
            field.value = Span::new(start, bytes.len());
        }
        Ok(())
    }
}

impl From<Malformed> for HeadFault {
    fn from(rule: Malformed) -> Self {
        Self::Malformed(rule)
    }
}

/// Checks a field of a trailer section (RFC 9113 §8.1), which is not passed on.
pub(in crate::protocol) fn check_trailer(name: &[u8], value: &[u8]) -> Result<(), Malformed> {
    if name.starts_with(b":") {
        return Err(Malformed::MisplacedPseudoField);
    }
    check_name(name)?;
    check_value(value)
}

/// RFC 9113 §8.2.1: a token, without capitals.
fn check_name(name: &[u8]) -> Result<(), Malformed> {
    if is_token(name) && !name.iter().any(u8::is_ascii_uppercase) {
        Ok(())
    } else {
        Err(Malformed::FieldName)
    }
}

/// RFC 9113 §8.2.1, and RFC 9110 §5.5: no control bytes but HTAB, and that not at either end.
fn check_value(value: &[u8]) -> Result<(), Malformed> {
    let is_padded = [value.first(), value.last()].into_iter().flatten().any(|&byte| is_space(byte));
    if is_padded || first_control(value) < value.len() {
        return Err(Malformed::FieldValue);
    }
    Ok(())
}

/// RFC 3986 §3.1. It says nothing to this server.
fn is_scheme(scheme: &[u8]) -> bool {
    scheme.first().is_some_and(u8::is_ascii_alphabetic)
        && scheme.iter().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(byte))
}

/// RFC 9113 §6.5.2: what a field counts besides its name and its value.
const FIELD_OVERHEAD: usize = 32;
/// Sixteen bytes of zero in base64.
const NO_KEY: &[u8] = b"AAAAAAAAAAAAAAAAAAAAAA==";

#[cfg(test)]
mod tests;
