//! Answers requests by the declarative response of their route.

use crate::bridge::command::Command;
use crate::bridge::event::Slice;
use crate::node::environment::Environment;
use crate::node::state::handles::JsHandle;
use crate::node::state::live::exchange::Exchange;
use crate::node::state::prepared_head::PreparedHead;
use crate::node::state::routes::Target;
use crate::node::state::routes::declarative::Piece;
use crate::protocol::http::query::query_value;
use crate::protocol::http::response_framing::Framing;
use crate::protocol::http::response_head::ResponseHead;

/// Answers a request by the declarative response of its route.
pub(crate) fn answer(environment: &mut Environment, handle: JsHandle, route: usize) {
    // Bounds what is gathered here, however many long responses a turn produces.
    let Environment { live, workers, routes, pending, .. } = environment;
    workers.flush_if_long();
    let Some(exchange) = live.exchange(handle) else { return };
    let Some(Target::Declarative(response)) = routes.target(route) else { return };
    let (to, worker) = (exchange.to, exchange.to.connection.worker);
    let head = response.head.lay_out(workers, worker);
    let arena = workers.arena(worker);
    let start = arena.len();
    append_body(&response.body, exchange, arena);
    let body = Slice::tail(arena, start);
    let PreparedHead { status, fields, flags } = &response.head;
    let plain_head = ResponseHead { status, fields, flags: *flags };
    exchange.warn_of_framing(&plain_head, Framing::Length(u64::from(body.len)), workers, pending);
    workers.push(worker, Command::Respond { to, head, body, close: false });
    live.finish(handle);
}

/// Appends the body for this request.
fn append_body(pieces: &[Piece], request: &Exchange, out: &mut Vec<u8>) {
    let path = request.path.of(&request.head);
    for piece in pieces {
        match piece {
            Piece::Literal(bytes) => out.extend_from_slice(bytes),
            Piece::Query(key) => {
                let query = request.query.map(|query| query.of(&request.head));
                out.extend(query.and_then(|query| query_value(query, key)).unwrap_or_default());
            }
            Piece::Header(name) => {
                out.extend_from_slice(request.request_field(name).unwrap_or_default());
            }
            Piece::Parameter(name) => {
                let span = request.params.by_name(name);
                out.extend_from_slice(span.map_or(&[], |span| &path[span]));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::bridge::command::ResponseId;
    use crate::bridge::id::{AppId, ConnectionId, RequestNumber, WorkerId};
    use crate::node::state::routes::declarative::Declarative;
    use crate::node::state::routes::declarative::written::{instructions, literal, short, whole};
    use crate::node::state::routes::router::{HandlerId, Priority, Router, Verb};
    use crate::protocol::http::head::{HeadLimits, RequestHead, parse_head};

    /// A request as the dispatcher sees it when `pattern` takes it.
    fn request(pattern: &str, bytes: &[u8]) -> Exchange {
        let connection = ConnectionId { worker: WorkerId(0), slot: 0, generation: 0 };
        let to = ResponseId { connection, request: RequestNumber::default() };
        let mut exchange = Exchange::empty(to, AppId { app: 0, epoch: 0 });
        let mut bytes = bytes.to_vec();
        let mut head = RequestHead::default();
        parse_head(&mut bytes, 0, &HeadLimits::default(), &mut head).unwrap();
        (exchange.method, exchange.path, exchange.query) = (head.method, head.path, head.query);
        exchange.request_fields = head.fields;
        exchange.head = bytes;
        let mut router = Router::default();
        router.insert(Verb::Any, pattern, Priority::Normal, HandlerId(0));
        let path = exchange.path.of(&exchange.head);
        router.find(b"GET", path, 0, &mut exchange.params).unwrap();
        exchange
    }

    fn body(instructions: &[Vec<u8>], pattern: &str, bytes: &[u8]) -> String {
        let mut out = Vec::new();
        let response = Declarative::parse(&whole(instructions)).unwrap();
        append_body(&response.body, &request(pattern, bytes), &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn the_body_is_put_together_in_order() {
        let pieces = [
            literal(b"<"),
            literal(b"p:"),
            short(6, b"id"),
            literal(b" q:"),
            short(4, b"name"),
            literal(b" h:"),
            short(5, b"X-Other"),
            literal(b">"),
        ];
        let text = b"GET /users/%41?a=1&name=J%C3%BCrgen+K HTTP/1.1\r\nHost: h\r\nx-OTHER: one\r\nX-Other: two\r\n\r\n";
        assert_eq!(body(&pieces, "/users/:id", text), "<p:%41 q:Jürgen K h:one>");
        let text = b"GET /users/ HTTP/1.1\r\nHost: h\r\n\r\n";
        assert_eq!(body(&pieces, "/*", text), "<p: q: h:>");
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_are_refused_or_answered(bytes in prop_oneof![
            prop::collection::vec(any::<u8>(), 0..200),
            instructions().prop_map(|it| whole(&[it])),
        ]) {
            if let Ok(response) = Declarative::parse(&bytes) {
                let mut out = Vec::new();
                append_body(&response.body, &request("/:a", b"GET /x?y=z HTTP/1.1\r\nHost: h\r\n\r\n"), &mut out);
                // A value of this request is at most one byte long.
                prop_assert!(out.len() <= bytes.len());
                let fields = String::from_utf8_lossy(&response.head.fields).into_owned();
                prop_assert!(fields.is_empty() || fields.ends_with("\r\n"));
                prop_assert!(fields.split_terminator("\r\n").all(|line| line.contains(": ")));
            }
        }
    }
}
