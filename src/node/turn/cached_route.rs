//! Routes whose responses are cached (`get(pattern, handler, { lowerExpiry, upperExpiry })`): which requests may be
//! answered with the response to another request, and which responses may be cached. A hit is answered without entering
//! JavaScript.
//!
//! ```text
//!  age      0 ────────────── lowerExpiry ─────────────────────────── upperExpiry ──────────
//!  request  cached response  one goes to the handler,                goes to the handler
//!                            others meanwhile: cached response
//! ```
//!
//! The key is the route, the Host field, and path and query as they arrived. Other fields are not part of it; so
//! requests and responses that declare a dependence on them are not cached: see [`may_be_shared`] and
//! [`keepable_head`].
//!
//! No request waits for the response to another one: a client that reads slowly, or a handler that never answers, would
//! block all others. So while nothing is cached, every request goes to the handler.

use std::sync::LazyLock;
use std::time::Instant;

use crate::bridge::command::Command;
use crate::node::environment::Environment;
use crate::node::state::handles::JsHandle;
use crate::node::state::live::exchange::{Exchange, Stage};
use crate::node::state::prepared_head::PreparedHead;
use crate::node::state::routes::Routes;
use crate::node::state::routes::cache::{CachedRoute, Entry, Finding, Recording};
use crate::protocol::http::head::{BodyLength, members, trim};
use crate::protocol::http::response_head::FieldFlags;
use crate::protocol::time::Timestamp;

/// Answers a request of a cached route, if a response to it is cached. Returns whether it did. Otherwise the caller
/// runs the handler, whose response is recorded if it may be cached.
pub(crate) fn answer(environment: &mut Environment, handle: JsHandle, route: CachedRoute) -> bool {
    // Bounds what is gathered here, however many long responses a turn produces.
    environment.workers.flush_if_long();
    let Some(exchange) = environment.live.exchange(handle) else { return false };
    if !may_be_shared(exchange) {
        return false;
    }
    // The response to a HEAD may lack the body that the next GET needs.
    let may_be_kept = exchange.method.of(&exchange.head) == b"GET";
    let (to, worker) = (exchange.to, exchange.to.connection.worker);
    let key = key(route.serial, exchange);
    let is_under_way = |response: JsHandle| {
        let exchange = environment.live.exchange(response);
        exchange.is_some_and(|it| it.stage != Stage::Over && it.recording.is_some())
    };
    let kept = match environment.routes.cache.find(&key, route.expiry, now()) {
        Finding::Fresh(entry) => Some(entry),
        Finding::Stale(entry) if entry.successor.is_some_and(is_under_way) => Some(&*entry),
        Finding::Stale(entry) if may_be_kept => {
            entry.successor = Some(handle);
            None
        }
        Finding::Stale(_) | Finding::Nothing => None,
    };
    if let Some(Entry { head, body, .. }) = kept {
        let head = head.lay_out(&mut environment.workers, worker);
        let body = environment.workers.copy(worker, body);
        environment.workers.push(worker, Command::Respond { to, head, body, close: false });
        environment.live.finish(handle);
        return true;
    }
    if may_be_kept && let Some(exchange) = environment.live.exchange_mut(handle) {
        exchange.recording = Some(Recording { serial: route.serial, key, body: Some(Vec::new()) });
    }
    false
}

/// Caches the recording of a complete response, unless its length differs from what the first `tryEnd` announced.
pub(crate) fn keep_recording(exchange: &mut Exchange, routes: &mut Routes) {
    let Some(recording) = exchange.recording.take() else { return };
    if exchange.output.is_as_announced() {
        let head = || keepable_head(&exchange.status, &exchange.fields);
        routes.keep(exchange.route, recording, now(), head);
    }
}

/// The key of a request: no two of different meaning have the same, because a Host field has no NUL.
fn key(serial: u64, request: &Exchange) -> Vec<u8> {
    let host = request.request_field(b"host").unwrap_or_default();
    let path = request.path.of(&request.head);
    let mut key = Vec::with_capacity(8 + host.len() + 1 + path.len() + 1);
    key.extend_from_slice(&serial.to_be_bytes());
    key.extend(host.iter().map(u8::to_ascii_lowercase));
    key.push(0);
    key.extend_from_slice(path);
    if let Some(query) = request.query {
        key.push(b'?');
        key.extend_from_slice(query.of(&request.head));
    }
    key
}

/// Whether a request may be answered from the cache, and its response be cached. Not if it identifies the user (RFC
/// 9111 §3.5), and not if it has a body, on which the response may depend.
fn may_be_shared(request: &Exchange) -> bool {
    // The fields do not tell: over HTTP/2 a body needs none.
    request.request_field(b"authorization").is_none()
        && matches!(request.body_length, BodyLength::None | BodyLength::Fixed(0))
}

/// The head of a response without the fields that concern one connection only; `None` if it is not for every client, or
/// may be different next time:
///
/// - a status that is no success, redirection, 404 or 410: an error is not cached, and 206 and 304 answer one request;
/// - `Set-Cookie`;
/// - `Vary`, because the key has no fields;
/// - `Cache-Control` with `no-store`, `private` or `no-cache` (RFC 9111 §5.2.2).
fn keepable_head(status: &[u8], fields: &[u8]) -> Option<PreparedHead> {
    let code = status.get(..3).unwrap_or(b"200");
    if !KEPT_STATUSES.contains(&code) {
        return None;
    }
    let mut head = PreparedHead { status: status.to_vec(), ..PreparedHead::default() };
    // Names and values hold neither CR nor LF, and every line ends with both.
    for line in fields.split_inclusive(|&byte| byte == b'\n') {
        let colon = line.iter().position(|&byte| byte == b':')?;
        let (name, value) = (line[..colon].to_ascii_lowercase(), &line[colon + 1..line.len() - 2]);
        match &name[..] {
            b"set-cookie" | b"vary" => return None,
            b"cache-control" if members(value).any(forbids) => return None,
            b"connection" | b"keep-alive" | b"proxy-connection" | b"te" | b"upgrade" => continue,
            _ => {}
        }
        head.flags = head.flags | FieldFlags::of(&name);
        head.fields.extend_from_slice(line);
    }
    Some(head)
}

/// Whether a directive of Cache-Control forbids to cache the response for all clients.
fn forbids(directive: &[u8]) -> bool {
    let name = directive.split(|&byte| byte == b'=').next().map_or(directive, trim);
    [&b"no-store"[..], b"private", b"no-cache"].iter().any(|known| name.eq_ignore_ascii_case(known))
}

/// The time for the cache, in milliseconds since the first call.
fn now() -> Timestamp {
    // The milliseconds of a process fit 64 bits.
    Timestamp(u64::try_from(START.elapsed().as_millis()).unwrap_or(u64::MAX))
}

#[expect(
    clippy::disallowed_methods,
    reason = "how long an answer was kept is time on Node's thread, not of the engine"
)]
static START: LazyLock<Instant> = LazyLock::new(Instant::now);

/// Statuses of responses that are cached.
const KEPT_STATUSES: [&[u8]; 10] =
    [b"200", b"203", b"204", b"300", b"301", b"302", b"307", b"308", b"404", b"410"];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bridge::command::ResponseId;
    use crate::bridge::id::{AppId, ConnectionId, RequestNumber, WorkerId};
    use crate::protocol::http::head::{HeadLimits, RequestHead, parse_head};

    fn request(target: &str, fields: &str) -> Exchange {
        let connection = ConnectionId { worker: WorkerId(0), slot: 0, generation: 0 };
        let to = ResponseId { connection, request: RequestNumber::default() };
        let mut exchange = Exchange::empty(to, AppId { app: 0, epoch: 0 });
        let mut bytes = format!("GET {target} HTTP/1.1\r\n{fields}\r\n").into_bytes();
        let mut head = RequestHead::default();
        parse_head(&mut bytes, 0, &HeadLimits::default(), &mut head).unwrap();
        (exchange.method, exchange.path, exchange.query) = (head.method, head.path, head.query);
        (exchange.request_fields, exchange.body_length) = (head.fields, head.body);
        exchange.head = bytes;
        exchange
    }

    /// The fields that are cached; `None` if the response is not.
    fn kept(status: &str, fields: &str) -> Option<String> {
        let head = keepable_head(status.as_bytes(), fields.as_bytes())?;
        Some(String::from_utf8(head.fields).unwrap())
    }

    #[test]
    fn the_key_is_route_host_path_and_query() {
        let one =
            |serial, target: &str, host: &str| key(serial, &request(target, &format!("Host: {host}\r\n")));
        let all = [
            one(1, "/a", "h"),
            one(2, "/a", "h"),
            one(1, "/a", "i"),
            one(1, "/b", "h"),
            one(1, "/A", "h"),
            one(1, "/a/", "h"),
            one(1, "/a?", "h"),
            one(1, "/a?b", "h"),
            one(1, "/a?b&c", "h"),
            one(1, "/a?c&b", "h"),
        ];
        for (position, key) in all.iter().enumerate() {
            assert!(!all[..position].contains(key), "{position}");
        }
        assert_eq!(one(1, "/a", "EXAMPLE.org"), one(1, "/a", "example.ORG"));
        assert_eq!(key(1, &request("/a", "Host: h\r\nCookie: a\r\nAccept: b\r\n")), all[0]);
        assert!(all[0].starts_with(&1_u64.to_be_bytes()));
    }

    #[test]
    fn requests_that_say_who_is_asking_or_have_a_body_are_left_alone() {
        for fields in ["", "Cookie: a=b\r\n", "Content-Length: 0\r\n", "Cache-Control: no-cache\r\n"] {
            assert!(may_be_shared(&request("/", &format!("Host: h\r\n{fields}"))), "{fields}");
        }
        for fields in
            ["authorization: Basic x\r\n", "Content-Length: 5\r\n", "Transfer-Encoding: chunked\r\n"]
        {
            assert!(!may_be_shared(&request("/", &format!("Host: h\r\n{fields}"))), "{fields}");
        }
    }

    #[test]
    fn answers_for_everybody_are_kept() {
        for status in ["", "200 OK", "200 ", "301 Moved", "404 Not Found", "204 No Content"] {
            assert_eq!(kept(status, "A: b\r\n").as_deref(), Some("A: b\r\n"), "{status}");
        }
        let fields = "Cache-Control: public, max-age=5\r\nX: private\r\n";
        assert_eq!(kept("200 OK", fields).as_deref(), Some(fields));
        assert_eq!(kept("", "").as_deref(), Some(""));
    }

    #[test]
    fn other_answers_are_not() {
        for status in
            ["500 Oops", "503 ", "206 Partial Content", "304 Not Modified", "101 Switching", "401 ", "429 "]
        {
            assert_eq!(kept(status, ""), None, "{status}");
        }
        for fields in [
            "Set-Cookie: a=b\r\n",
            "A: b\r\nVARY: Accept\r\n",
            "Cache-Control: no-store\r\n",
            "cache-control: max-age=5 , Private=\"x\"\r\n",
            "Cache-Control: No-Cache\r\n",
        ] {
            assert_eq!(kept("200 OK", fields), None, "{fields}");
        }
    }

    #[test]
    fn what_concerns_one_connection_is_left_out() {
        let fields = "Connection: close\r\nDate: now\r\nKeep-Alive: timeout=5\r\nB: c\r\n";
        let head = keepable_head(b"200 OK", fields.as_bytes()).unwrap();
        assert_eq!(head.fields, b"Date: now\r\nB: c\r\n");
        assert_eq!(head.flags, FieldFlags::DATE);
    }
}
