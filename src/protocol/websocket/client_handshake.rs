//! The opening handshake of a client (RFC 6455 §4.1): the request, and whether the response opens a WebSocket.
//! [`handshake`](super::handshake) is the server's side of it.
//!
//! tungstenite's client writes the request and reads the response. What a response must have is checked here: every
//! broken rule has a cause of its own, extensions are part of the rules, and `Connection` may be a list.

use tokio_tungstenite::tungstenite::Error as ReadError;
use tokio_tungstenite::tungstenite::handshake::client::{Response, generate_key, generate_request};
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::handshake::machine::TryParse;
use tokio_tungstenite::tungstenite::http::header::{HeaderMap, HeaderName, HeaderValue};
use tokio_tungstenite::tungstenite::http::{Request, StatusCode};

use super::extensions::{Agreement, Compression};
use super::handshake::lists;
use crate::protocol::connect::{ConnectCause, ConnectFailure, RefusedResponse, ResponseFields};
use crate::protocol::http::head::is_token;

/// The request of a client.
#[derive(Clone, Debug, Default)]
pub(crate) struct UpgradeRequest {
    /// Path and query, as in the request line.
    pub target: String,
    /// The `Host` field, unless it is among `fields`.
    pub host: String,
    /// Further header fields.
    pub fields: Vec<(String, Vec<u8>)>,
    /// Subprotocols, in order of preference.
    pub subprotocols: Vec<String>,
    /// The compression to offer.
    pub compression: Option<Compression>,
}

/// An [`UpgradeRequest`] that is not a valid request: an error of the application.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum InvalidUpgradeRequest {
    /// Path or query have characters that they must not have.
    #[error("path and query of the url must be those of a request (RFC 9112 §3.2.1)")]
    Target,
    /// A field that is no header field (RFC 9110 §5).
    #[error(
        "header {0:?} must have a token as its name, and a value without control characters (RFC 9110 §5)"
    )]
    Field(String),
    /// A field that the handshake itself consists of.
    #[error("header {0:?} belongs to the handshake and cannot be given")]
    OwnField(String),
    /// More fields than a request can have: some 24,000.
    #[error("there are too many headers")]
    TooMany,
    /// A subprotocol that is no token, or is repeated (RFC 6455 §4.1, item 10).
    #[error("subprotocol {0:?} must be a token, and there only once (RFC 6455 §4.1)")]
    Subprotocol(String),
}

/// A handshake in progress: the request, and its key.
#[derive(Clone, Debug)]
pub(crate) struct ClientHandshake {
    request: Vec<u8>,
    accept: String,
    subprotocols: Vec<String>,
    compression: Option<Compression>,
}

/// The result of the handshake: the content of the server's 101 response.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Grant {
    /// All of its header fields.
    pub fields: ResponseFields,
    /// The selected subprotocol; empty if none was offered.
    pub subprotocol: String,
    /// The `Sec-WebSocket-Extensions` value; empty if there is none.
    pub extensions: String,
    /// The parameters of permessage-deflate that it stands for.
    pub agreement: Option<Agreement>,
}

/// A complete response head.
#[derive(Debug)]
pub(crate) struct Head {
    /// Its length in bytes.
    pub length: usize,
    response: Response,
}

impl ClientHandshake {
    /// A handshake with a new random key (RFC 6455 §4.1, item 7).
    ///
    /// # Errors
    /// A part of the request is not allowed.
    pub(crate) fn new(request: UpgradeRequest) -> Result<Self, InvalidUpgradeRequest> {
        Self::with_key(request, &generate_key())
    }

    fn with_key(request: UpgradeRequest, key: &str) -> Result<Self, InvalidUpgradeRequest> {
        let UpgradeRequest { target, host, fields, subprotocols, compression } = request;
        check_subprotocols(&subprotocols)?;
        let mut request = Request::get(&target).body(()).map_err(|_| InvalidUpgradeRequest::Target)?;
        let headers = request.headers_mut();
        add_fields(fields, headers)?;
        let mut set = |name: &'static str, value: &str| match HeaderValue::from_str(value) {
            Ok(value) => headers.try_insert(name, value).map_err(|_| InvalidUpgradeRequest::TooMany),
            Err(_) => Err(InvalidUpgradeRequest::Field(name.to_owned())),
        };
        set("connection", "Upgrade")?;
        set("upgrade", "websocket")?;
        set("sec-websocket-version", "13")?;
        set("sec-websocket-key", key)?;
        if !subprotocols.is_empty() {
            set("sec-websocket-protocol", &subprotocols.join(", "))?;
        }
        if let Some(compression) = compression {
            set("sec-websocket-extensions", &compression.offer())?;
        }
        if !headers.contains_key("host") {
            let host = HeaderValue::from_str(&host).map_err(|_| InvalidUpgradeRequest::Target)?;
            headers.try_insert("host", host).map_err(|_| InvalidUpgradeRequest::TooMany)?;
        }
        // All required fields are set, so this fails only if the host is not ASCII.
        let (request, key) =
            generate_request(request).map_err(|_| InvalidUpgradeRequest::Field("host".to_owned()))?;
        Ok(Self { request, accept: derive_accept_key(key.as_bytes()), subprotocols, compression })
    }

    /// The bytes of the request.
    #[must_use]
    pub(crate) fn request(&self) -> &[u8] {
        &self.request
    }

    /// Reads the response head at the start of `bytes`; `None` while it is incomplete. Interim responses (1xx but 101)
    /// are responses to be skipped: see [`Head::is_interim`].
    ///
    /// # Errors
    /// It is no HTTP/1.1, or longer than [`LONGEST_HEAD`].
    pub(crate) fn read(bytes: &[u8]) -> Result<Option<Head>, ConnectFailure> {
        let failed = |detail: String| ConnectFailure::new(ConnectCause::Response, detail);
        match Response::try_parse(bytes) {
            Ok(Some((length, response))) if length <= LONGEST_HEAD => Ok(Some(Head { length, response })),
            Ok(None) if bytes.len() < LONGEST_HEAD => Ok(None),
            Ok(_) => Err(failed(format!("its head exceeds {LONGEST_HEAD} bytes"))),
            Err(error) => Err(failed(message_of(&error))),
        }
    }

    /// Whether the response opens the WebSocket (RFC 6455 §4.1, "the client MUST validate the server's response").
    ///
    /// # Errors
    /// The rule that it breaks. The caller adds the body of a response with another status.
    pub(crate) fn check(&self, head: Head) -> Result<Grant, ConnectFailure> {
        let response = head.response;
        let headers = response.headers();
        let result = match response.status() {
            StatusCode::SWITCHING_PROTOCOLS => self.check_fields(headers),
            status => Err(ConnectFailure::new(ConnectCause::Status, format!("status {status}"))),
        };
        result.map_err(|failure| {
            let refused = RefusedResponse {
                status: response.status().as_u16(),
                fields: fields_of(headers),
                body: Vec::new(),
            };
            ConnectFailure { response: Some(Box::new(refused)), ..failure }
        })
    }

    fn check_fields(&self, headers: &HeaderMap) -> Result<Grant, ConnectFailure> {
        let failed = |cause, detail: &str| Err(ConnectFailure::new(cause, detail));
        if !joined(headers, "upgrade").eq_ignore_ascii_case(b"websocket") {
            return failed(ConnectCause::Upgrade, "Upgrade must be websocket");
        }
        if !lists(&joined(headers, "connection"), b"upgrade") {
            return failed(ConnectCause::Upgrade, "Connection must contain Upgrade");
        }
        let accept = joined(headers, "sec-websocket-accept");
        if accept != self.accept.as_bytes() {
            let detail = if accept.is_empty() { "there is none" } else { "it is that of another key" };
            return failed(ConnectCause::Accept, detail);
        }
        let extensions = joined(headers, "sec-websocket-extensions");
        let agreement = Compression::conclude(self.compression, &extensions)
            .map_err(|error| ConnectFailure::new(ConnectCause::Extension, error.to_string()))?;
        Ok(Grant {
            fields: fields_of(headers),
            subprotocol: self.check_subprotocol(headers)?,
            extensions: String::from_utf8_lossy(&extensions).into_owned(),
            agreement,
        })
    }

    /// RFC 6455 §4.1 lets a server select none. A client that asked for one fails the connection then, as browsers and
    /// other clients do.
    fn check_subprotocol(&self, headers: &HeaderMap) -> Result<String, ConnectFailure> {
        let selected = joined(headers, "sec-websocket-protocol");
        let selected = String::from_utf8_lossy(&selected).into_owned();
        let detail = match (self.subprotocols.is_empty(), selected.is_empty()) {
            (true, true) => return Ok(selected),
            (false, false) if self.subprotocols.contains(&selected) => return Ok(selected),
            (false, true) => "it selected none".to_owned(),
            (_, false) => format!("it selected {selected:?}"),
        };
        Err(ConnectFailure::new(ConnectCause::Subprotocol, detail))
    }
}

impl Head {
    /// Whether another response follows this one (RFC 9110 §15.2).
    #[must_use]
    pub(crate) fn is_interim(&self) -> bool {
        let status = self.response.status();
        status.is_informational() && status != StatusCode::SWITCHING_PROTOCOLS
    }
}

fn check_subprotocols(subprotocols: &[String]) -> Result<(), InvalidUpgradeRequest> {
    for (position, subprotocol) in subprotocols.iter().enumerate() {
        if !is_token(subprotocol.as_bytes()) || subprotocols[..position].contains(subprotocol) {
            return Err(InvalidUpgradeRequest::Subprotocol(subprotocol.clone()));
        }
    }
    Ok(())
}

fn add_fields(fields: Vec<(String, Vec<u8>)>, headers: &mut HeaderMap) -> Result<(), InvalidUpgradeRequest> {
    for (name, value) in fields {
        let parsed = HeaderName::from_bytes(name.as_bytes()).ok().zip(HeaderValue::from_bytes(&value).ok());
        let Some((header, value)) = parsed else { return Err(InvalidUpgradeRequest::Field(name)) };
        if OWN_FIELDS.contains(&header.as_str()) {
            return Err(InvalidUpgradeRequest::OwnField(name));
        }
        let added = if header == "host" {
            headers.try_insert(header, value).map(drop)
        } else {
            headers.try_append(header, value).map(drop)
        };
        added.map_err(|_| InvalidUpgradeRequest::TooMany)?;
    }
    Ok(())
}

/// The values of a repeated field, joined by commas (RFC 9110 §5.3). If a field that must occur once occurs twice, the
/// joined value is invalid.
fn joined(headers: &HeaderMap, name: &str) -> Vec<u8> {
    let values: Vec<&[u8]> = headers.get_all(name).iter().map(HeaderValue::as_bytes).collect();
    values.join(&b", "[..]).trim_ascii().to_vec()
}

fn fields_of(headers: &HeaderMap) -> ResponseFields {
    headers.iter().map(|(name, value)| (name.as_str().to_owned(), value.as_bytes().to_vec())).collect()
}

/// The message of tungstenite's error, without its category.
fn message_of(error: &ReadError) -> String {
    match error {
        ReadError::Protocol(rule) => rule.to_string(),
        other => other.to_string(),
    }
}

/// The longest response head that is read, in bytes, not counting interim responses.
pub(crate) const LONGEST_HEAD: usize = 64 * 1024;

/// Fields that the handshake consists of, or that would frame a body.
const OWN_FIELDS: [&str; 8] = [
    "connection",
    "content-length",
    "sec-websocket-extensions",
    "sec-websocket-key",
    "sec-websocket-protocol",
    "sec-websocket-version",
    "transfer-encoding",
    "upgrade",
];

#[cfg(test)]
mod tests;
