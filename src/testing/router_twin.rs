//! The rule of [`Router`] without a tree: all routes in a list, sorted for every request.

use crate::node::state::routes::router::pattern::MAX_SEGMENTS;
use crate::node::state::routes::router::{HandlerId, Params, Priority, Router, Verb};

/// A plain and slow router.
#[derive(Debug)]
pub(crate) struct RouterTwin {
    routes: Vec<Route>,
    /// Whether [`FALLBACK`] is still there.
    has_fallback: bool,
}

/// A route that was added and not removed.
#[derive(Debug)]
struct Route {
    /// `None`: any.
    method: Option<String>,
    priority: Priority,
    pattern: String,
    handler: HandlerId,
}

/// A route that matches a request.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct RouteMatch {
    /// The number of its handler.
    pub handler: u32,
    /// The parameters, from left to right.
    pub values: Vec<Vec<u8>>,
}

/// One step in the life of a router.
#[derive(Clone, Copy, Debug)]
pub(crate) enum RouterStep<'a> {
    /// [`Router::insert`].
    Insert(Verb<'a>, Priority, &'a str),
    /// [`Router::remove`].
    Remove(Verb<'a>, Priority, &'a str),
    /// [`Router::find`] of all candidates for this method and path.
    Find(&'a [u8], &'a [u8]),
}

impl RouterTwin {
    /// Applies the steps to a router and to its twin.
    ///
    /// # Panics
    /// If they differ.
    pub(crate) fn assert_same_behaviour<'a>(steps: impl IntoIterator<Item = RouterStep<'a>>) {
        let mut router = Router::with_fallback(FALLBACK);
        let mut twin = Self { routes: Vec::new(), has_fallback: true };
        for (number, step) in (0..).zip(steps) {
            match step {
                RouterStep::Insert(verb, priority, pattern) => {
                    let added = router.insert(verb, pattern, priority, HandlerId(number));
                    assert_eq!(added, twin.insert(verb, pattern, priority, HandlerId(number)), "{step:?}");
                }
                RouterStep::Remove(verb, priority, pattern) => {
                    let removed = router.remove(verb, pattern, priority);
                    assert_eq!(removed, twin.remove(verb, pattern, priority), "{step:?}");
                }
                RouterStep::Find(method, path) => twin.assert_candidates(&router, method, path),
            }
        }
    }

    /// See [`Router::insert`].
    pub(crate) fn insert(
        &mut self,
        verb: Verb<'_>,
        pattern: &str,
        priority: Priority,
        handler: HandlerId,
    ) -> Option<HandlerId> {
        if matches_nothing(pattern) {
            return Some(handler);
        }
        let replaced = self.remove(verb, pattern, priority);
        self.routes.push(Route { method: method(verb), priority, pattern: pattern.to_owned(), handler });
        replaced
    }

    /// See [`Router::remove`].
    pub(crate) fn remove(&mut self, verb: Verb<'_>, pattern: &str, priority: Priority) -> Option<HandlerId> {
        let is_everything =
            (verb, priority) == (Verb::Any, Priority::Normal) && kinds(pattern) == kinds("/*");
        if is_everything && std::mem::take(&mut self.has_fallback) {
            return Some(FALLBACK);
        }
        let position = self.routes.iter().position(|route| {
            (&route.method, route.priority) == (&method(verb), priority)
                && kinds(&route.pattern) == kinds(pattern)
        })?;
        Some(self.routes.remove(position).handler)
    }

    /// All routes that match a request, in order.
    #[must_use]
    pub(crate) fn candidates(&self, method: &[u8], path: &[u8]) -> Vec<RouteMatch> {
        let mut found: Vec<_> = self
            .routes
            .iter()
            .filter_map(|route| {
                let turn = turn(route, method)?;
                let candidate =
                    RouteMatch { handler: route.handler.0, values: values(&route.pattern, path)? };
                let kinds: Vec<u8> = kinds(&route.pattern).iter().map(|(kind, _)| *kind).collect();
                Some(((turn, route.priority == Priority::Normal, kinds), candidate))
            })
            .collect();
        found.sort();
        let fallback = self.has_fallback.then(|| RouteMatch { handler: FALLBACK.0, values: Vec::new() });
        found.into_iter().map(|(_, candidate)| candidate).chain(fallback).collect()
    }

    /// Asserts that the router finds the same routes in the same order, with each parameter by position and by name.
    fn assert_candidates(&self, router: &Router, method: &[u8], path: &[u8]) {
        let expected = self.candidates(method, path);
        let mut params = Params::default();
        for (nth, candidate) in expected.iter().enumerate() {
            let handler = router.find(method, path, nth, &mut params);
            assert_eq!(handler, Some(HandlerId(candidate.handler)), "{nth} of {}", path.escape_ascii());
            let found: Vec<_> = (0..params.len()).filter_map(|position| params.get(position)).collect();
            let values: Vec<_> = found.iter().map(|range| path[range.clone()].to_vec()).collect();
            assert_eq!(values, candidate.values, "{nth} of {}", path.escape_ascii());

            let route = self.routes.iter().find(|route| route.handler.0 == candidate.handler);
            let pattern = route.map_or("", |route| &route.pattern);
            let names: Vec<_> = segments_of_pattern(pattern)
                .into_iter()
                .filter(|segment| segment.starts_with(b":"))
                .collect();
            for (name, range) in names.iter().zip(&found) {
                let is_last = names.iter().zip(&found).rfind(|(other, _)| *other == name);
                let by_name = str::from_utf8(&name[1..]).ok().and_then(|name| params.by_name(name));
                assert_eq!(by_name.as_ref(), is_last.map(|(_, last)| last), "{range:?} of {pattern}");
            }
        }
        assert_eq!(router.find(method, path, expected.len(), &mut params), None);
        assert!(params.is_empty());
    }
}

/// The method of a verb.
fn method(verb: Verb<'_>) -> Option<String> {
    match verb {
        Verb::Any => None,
        Verb::Method(method) => Some(method.to_owned()),
    }
}

/// The rank of a route for requests of this method; `None` if the route is for other methods.
fn turn(route: &Route, method: &[u8]) -> Option<u8> {
    match route.method.as_deref() {
        Some(known) if known.as_bytes() == method => Some(0),
        None => Some(1),
        Some("GET") if method == b"HEAD" && route.priority == Priority::Normal => Some(2),
        Some(_) => None,
    }
}

/// The segments of a path, whose leading slash is optional.
fn segments_of_path(path: &[u8]) -> Vec<&[u8]> {
    if path.is_empty() {
        return Vec::new();
    }
    path.strip_prefix(b"/").unwrap_or(path).split(|&byte| byte == b'/').collect()
}

/// The segments of a pattern, whose first character counts as a slash.
fn segments_of_pattern(pattern: &str) -> Vec<&[u8]> {
    let Some(first) = pattern.chars().next() else { return Vec::new() };
    pattern.as_bytes()[first.len_utf8()..].split(|&byte| byte == b'/').collect()
}

/// The sort keys of a pattern's segments: the kind first, in the order of precedence.
fn kinds(pattern: &str) -> Vec<(u8, &[u8])> {
    segments_of_pattern(pattern).into_iter().map(kind).collect()
}

/// Kind and, of a literal, the text.
const fn kind(segment: &[u8]) -> (u8, &[u8]) {
    match segment {
        [b'*', ..] => (2, b""),
        [b':', ..] => (1, b""),
        literal => (0, literal),
    }
}

/// Whether a segment follows a wildcard, or the pattern is too deep.
fn matches_nothing(pattern: &str) -> bool {
    let kinds = kinds(pattern);
    kinds.len() > MAX_SEGMENTS || kinds.iter().rev().skip(1).any(|(kind, _)| *kind == 2)
}

/// The parameters of `path` under `pattern`, if it matches.
fn values(pattern: &str, path: &[u8]) -> Option<Vec<Vec<u8>>> {
    let (kinds, path) = (kinds(pattern), segments_of_path(path));
    let mut values = Vec::new();
    for (position, (kind, literal)) in kinds.iter().enumerate() {
        let segment = path.get(position)?;
        match kind {
            2 => return Some(values),
            1 if segment.is_empty() => return None,
            1 => values.push(segment.to_vec()),
            _ if segment != literal => return None,
            _ => {}
        }
    }
    (kinds.len() == path.len()).then_some(values)
}

/// The handler for requests that no route handles.
const FALLBACK: HandlerId = HandlerId(u32::MAX);
