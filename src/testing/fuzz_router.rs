//! Target `router`: the life of a router, one step per line.

use super::router_twin::{RouterStep, RouterTwin};
use crate::node::state::routes::router::{Priority, Verb};

/// Asserts that a router behaves like its naive twin. A line of `data` is one step:
///
/// ```text
///   +Gn/user/:id      add a route: GET (P: POST, H: HEAD, others: any), w: a WebSocket route, others: none
///   -Gn/user/:id      remove it
///   ?G/user/7         find all candidates, in order, with their parameters
/// ```
///
/// # Panics
/// If they differ.
pub fn router(data: &[u8]) {
    RouterTwin::assert_same_behaviour(data.split(|&byte| byte == b'\n').take(MAX_STEPS).filter_map(step));
}

/// Parses a line into a step; `None` if it is none.
fn step(line: &[u8]) -> Option<RouterStep<'_>> {
    match line {
        [b'?', method, path @ ..] => Some(RouterStep::Find(name(*method).as_bytes(), path)),
        [kind, method, priority, pattern @ ..] => {
            let verb = match method {
                b'G' | b'P' | b'H' => Verb::Method(name(*method)),
                _ => Verb::Any,
            };
            let priority = if *priority == b'w' { Priority::WebSocket } else { Priority::Normal };
            let pattern = str::from_utf8(pattern).ok()?;
            Some(match kind {
                b'-' => RouterStep::Remove(verb, priority, pattern),
                _ => RouterStep::Insert(verb, priority, pattern),
            })
        }
        _ => None,
    }
}

/// The method that a byte encodes.
const fn name(byte: u8) -> &'static str {
    match byte {
        b'G' => "GET",
        b'P' => "POST",
        b'H' => "HEAD",
        _ => "get",
    }
}

/// The twin is quadratic.
const MAX_STEPS: usize = 200;
