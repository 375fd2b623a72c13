//! Finds the handlers of a request. Patterns are `/`-separated segments: a literal, `:name` (one segment that is not
//! empty) or `*` (one or more remaining segments, which may be empty). Nothing is decoded, normalised or folded to
//! lower case, and `/a`, `/a/` and `//a` are three different paths.
//!
//! The candidates for a request, in order: the routes of its method, then those of `any`; in each, WebSocket routes,
//! then the others; in each, segment by segment from the left, literal before parameter before wildcard. The order of
//! registration never matters. For HEAD the routes of GET follow, but those of WebSockets: a handler that answers GET
//! answers HEAD, whose response lacks only the body (RFC 9110 §9.3.2). The fallback comes last.
//!
//! Every verb has two trees, one per priority, with one level per segment:
//!
//! ```text
//!  GET, Normal  ──┬─ "user" ─┬─ "me"            /user/me
//!                 │          └─ :  ─── "posts"  /user/:id/posts
//!                 ├─ :  ───────────             /:page
//!                 └─ *                          /*
//! ```
//!
//! A search goes through them depth first. A node can be reached in one way only (its own path from the root), so a
//! search visits no node twice: however long and many-slashed the path of a request is, it costs at most the number of
//! registered segments, and no more than [`MAX_SEGMENTS`](pattern::MAX_SEGMENTS) levels of recursion. It allocates
//! nothing.

mod params;
pub(crate) mod pattern;
mod tree;

use std::rc::Rc;

use self::pattern::{Segment, names, parse};
use self::tree::{RouteLeaf, Search, Trees};

pub(crate) use self::params::Params;
pub(crate) use self::tree::{HandlerId, Priority};

/// The requests a route is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verb<'a> {
    /// All of them, after the routes of their own method.
    Any,
    /// Those of one method, spelt as on the wire (`GET`): methods are case-sensitive.
    Method(&'a str),
}

/// All routes of an app.
#[derive(Debug, Default)]
pub(crate) struct Router {
    /// The routes of the methods that have any. There are few methods, so they are searched one by one.
    methods: Vec<(Box<str>, Trees)>,
    /// The routes of [`Verb::Any`].
    any: Trees,
    /// The handler of requests that no route matches.
    fallback: Option<RouteLeaf>,
}

impl Router {
    /// A router without routes, whose fallback handler gets the requests that no route matches. The fallback lasts
    /// until a route of any method for `/*` is inserted or removed: by that an application replaces or removes it.
    #[must_use]
    pub(crate) fn with_fallback(handler: HandlerId) -> Self {
        Self { fallback: Some(RouteLeaf { handler, names: Rc::default() }), ..Self::default() }
    }

    /// Adds a route, and returns the handler that no request can reach any more: that of the route it replaces, which
    /// has the same verb, priority and pattern, whatever its parameters and wildcards are called; or `handler` itself,
    /// if the pattern has segments after its wildcard or more than [`MAX_SEGMENTS`](pattern::MAX_SEGMENTS) of them, and
    /// so matches nothing.
    ///
    /// Any first character of a pattern counts as a slash, as in uWebSockets.js: `test` is `/est`,
    /// and `*` is `/`. The empty pattern is that of no path.
    pub(crate) fn insert(
        &mut self,
        verb: Verb<'_>,
        pattern: &str,
        priority: Priority,
        handler: HandlerId,
    ) -> Option<HandlerId> {
        let Some(segments) = parse(pattern) else { return Some(handler) };
        let route = RouteLeaf { handler, names: names(&segments) };
        let fallback = self.take_fallback(verb, priority, &segments);
        let replaced = self.trees(verb).root(priority).insert(&segments, route);
        replaced.or(fallback).map(|replaced| replaced.handler)
    }

    /// Removes a route, and returns its handler. The pattern is compared as by [`Self::insert`].
    pub(crate) fn remove(&mut self, verb: Verb<'_>, pattern: &str, priority: Priority) -> Option<HandlerId> {
        let segments = parse(pattern)?;
        let fallback = self.take_fallback(verb, priority, &segments);
        let removed = self.trees(verb).root(priority).remove(&segments);
        self.methods.retain(|(_, trees)| !trees.is_empty());
        removed.or(fallback).map(|route| route.handler)
    }

    /// Removes the fallback, if this is the route that it stands for.
    fn take_fallback(
        &mut self,
        verb: Verb<'_>,
        priority: Priority,
        segments: &[Segment<'_>],
    ) -> Option<RouteLeaf> {
        let stands_for =
            matches!((verb, priority, segments), (Verb::Any, Priority::Normal, [Segment::Wildcard]));
        self.fallback.take_if(|_| stands_for)
    }

    /// The `nth` candidate, counted from 0, for a request of this method and path; `params` then holds its parameters.
    /// A handler that yields is followed by the next `nth`.
    ///
    /// `path` is [`crate::protocol::http::head::RequestHead::path`], without the query. One that has no `/`
    /// at the start (`*`, or the authority of a CONNECT) is one segment.
    pub(crate) fn find(
        &self,
        method: &[u8],
        path: &[u8],
        nth: usize,
        params: &mut Params,
    ) -> Option<HandlerId> {
        params.values.clear();
        params.names = None;
        let of_method = |method: &[u8]| {
            self.methods.iter().find(|(name, _)| name.as_bytes() == method).map(|(_, trees)| trees)
        };
        let get = (method == b"HEAD").then(|| of_method(b"GET")).flatten();
        let trees = of_method(method).into_iter().chain([&self.any]);
        let roots = trees.flat_map(|trees| [&trees.websocket, &trees.normal]);

        let start = usize::from(path.first() == Some(&b'/'));
        let first = (!path.is_empty()).then_some(start);
        let mut search = Search { path, to_skip: nth, values: &mut params.values };
        let route = roots
            .chain(get.map(|get| &get.normal))
            .find_map(|root| search.visit(root, first))
            .or_else(|| search.take(self.fallback.as_ref()))?;
        params.names = Some(Rc::clone(&route.names));
        Some(route.handler)
    }

    /// The handlers of all routes, in no particular order.
    #[must_use]
    pub(crate) fn handlers(&self) -> Vec<HandlerId> {
        let mut handlers = Vec::new();
        let of_methods = self.methods.iter().map(|(_, trees)| trees);
        for trees in of_methods.chain([&self.any]) {
            trees.websocket.collect(&mut handlers);
            trees.normal.collect(&mut handlers);
        }
        handlers.extend(self.fallback.iter().map(|route| route.handler));
        handlers
    }

    /// The routes of this verb.
    fn trees(&mut self, verb: Verb<'_>) -> &mut Trees {
        let Verb::Method(method) = verb else { return &mut self.any };
        let position = self.methods.iter().position(|(name, _)| **name == *method).unwrap_or_else(|| {
            self.methods.push((method.into(), Trees::default()));
            self.methods.len() - 1
        });
        &mut self.methods[position].1
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::router_twin::{RouterStep, RouterTwin};
    use proptest::prelude::*;

    use Priority::{Normal, WebSocket};

    /// A router with these GET patterns, numbered from 0.
    fn router(patterns: &[&str]) -> Router {
        let mut router = Router::default();
        for (number, pattern) in patterns.iter().enumerate() {
            let handler = HandlerId(u32::try_from(number).expect("few patterns"));
            assert_eq!(router.insert(Verb::Method("GET"), pattern, Normal, handler), None, "{pattern}");
        }
        router
    }

    /// All candidates for a path, in order, with their parameters.
    fn candidates(router: &Router, method: &str, path: &str) -> Vec<(u32, Vec<String>)> {
        let mut params = Params::default();
        (0..)
            .map_while(|nth| {
                let handler = router.find(method.as_bytes(), path.as_bytes(), nth, &mut params)?;
                let values = (0..params.len()).filter_map(|position| params.get(position));
                Some((handler.0, values.map(|value| path[value].to_owned()).collect()))
            })
            .collect()
    }

    /// The same without parameters, for GET.
    fn handlers(router: &Router, path: &str) -> Vec<u32> {
        candidates(router, "GET", path).into_iter().map(|(handler, _)| handler).collect()
    }

    #[test]
    fn all_handlers_can_be_listed() {
        let mut router = router(&["/", "/a/:b/c", "/a/*"]);
        router.insert(Verb::Any, "/*", Normal, HandlerId(3));
        router.insert(Verb::Method("GET"), "/:a", WebSocket, HandlerId(4));
        let mut handlers = router.handlers();
        handlers.sort_by_key(|handler| handler.0);
        assert_eq!(handlers, (0..5).map(HandlerId).collect::<Vec<_>>());
    }

    #[test]
    fn slashes_are_told_apart() {
        let router = router(&["/", "", "/a", "/a/", "//a", "/a//b"]);
        for (path, expected) in [("/", 0), ("", 1), ("/a", 2), ("/a/", 3), ("//a", 4), ("/a//b", 5)]
            .map(|(path, id)| (path, vec![id]))
        {
            assert_eq!(handlers(&router, path), expected, "{path:?}");
        }
        assert_eq!(handlers(&router, "/A"), [0; 0]);
        assert_eq!(handlers(&router, "/%61"), [0; 0]);
        assert_eq!(handlers(&router, "/a/b"), [0; 0]);
    }

    #[test]
    fn a_wildcard_takes_one_or_more_segments_that_may_be_empty() {
        let router = router(&["/*", "/a/*"]);
        assert_eq!(handlers(&router, "/"), [0]);
        assert_eq!(handlers(&router, "/a"), [0]);
        assert_eq!(handlers(&router, "/a/"), [1, 0]);
        assert_eq!(handlers(&router, "/a/b"), [1, 0]);
        assert_eq!(handlers(&router, "/a/b/c/"), [1, 0]);
        assert_eq!(handlers(&router, "*"), [0]);
        assert_eq!(handlers(&router, "example.org:443"), [0]);
    }

    #[test]
    fn a_parameter_takes_one_segment_that_is_not_empty() {
        let router = router(&["/:a", "/:a/b", "/a/:b/c"]);
        assert_eq!(candidates(&router, "GET", "/x"), [(0, vec!["x".to_owned()])]);
        assert_eq!(handlers(&router, "/"), [0; 0]);
        assert_eq!(handlers(&router, "//b"), [0; 0]);
        assert_eq!(candidates(&router, "GET", "/x%2F/b"), [(1, vec!["x%2F".to_owned()])]);
        assert_eq!(handlers(&router, "/a//c"), [0; 0]);
    }

    #[test]
    fn literal_before_parameter_before_wildcard_with_backtracking() {
        let router = router(&["/*", "/:x/*", "/:x/:y", "/:x/b", "/a/*", "/a/:y", "/a/b"]);
        assert_eq!(handlers(&router, "/a/b"), [6, 5, 4, 3, 2, 1, 0]);
        assert_eq!(handlers(&router, "/a/c"), [5, 4, 2, 1, 0]);
        assert_eq!(handlers(&router, "/c/b"), [3, 2, 1, 0]);
        // A character that sorts before `*` or `:` changes nothing.
        let router = self::router(&["/:x", "/*", "/!"]);
        assert_eq!(handlers(&router, "/!"), [2, 0, 1]);
    }

    #[test]
    fn websocket_routes_come_first_and_the_method_before_any() {
        let mut router = Router::default();
        let get = Verb::Method("GET");
        router.insert(Verb::Any, "/a", WebSocket, HandlerId(5));
        router.insert(Verb::Any, "/a", Normal, HandlerId(6));
        router.insert(get, "/*", Normal, HandlerId(4));
        router.insert(get, "/a", Normal, HandlerId(3));
        router.insert(get, "/*", WebSocket, HandlerId(2));
        router.insert(get, "/a", WebSocket, HandlerId(1));
        assert_eq!(handlers(&router, "/a"), [1, 2, 3, 4, 5, 6]);
        for other in ["POST", "get", "PROPFIND", ""] {
            let found: Vec<u32> = candidates(&router, other, "/a").into_iter().map(|(id, _)| id).collect();
            assert_eq!(found, [5, 6], "{other}");
        }
    }

    #[test]
    fn the_same_pattern_replaces_whatever_its_parameters_are_called() {
        let mut router = Router::default();
        let get = Verb::Method("GET");
        assert_eq!(router.insert(get, "/:a/*", Normal, HandlerId(1)), None);
        assert_eq!(router.insert(get, "/:b/*rest", Normal, HandlerId(2)), Some(HandlerId(1)));
        assert_eq!(router.insert(get, "/:b/*", WebSocket, HandlerId(3)), None);
        assert_eq!(router.insert(Verb::Any, "/:b/*", Normal, HandlerId(4)), None);
        assert_eq!(router.insert(Verb::Method("POST"), "/:b/*", Normal, HandlerId(5)), None);

        let mut params = Params::default();
        assert_eq!(router.find(b"GET", b"/x/y", 1, &mut params), Some(HandlerId(2)));
        assert_eq!((params.by_name("a"), params.by_name("b")), (None, Some(1..2)));

        assert_eq!(router.remove(get, "/:c/*", Normal), Some(HandlerId(2)));
        assert_eq!(router.remove(get, "/:c/*", Normal), None);
        assert_eq!(router.remove(get, "/:c", Normal), None);
        assert_eq!(router.remove(Verb::Method("PUT"), "/:c/*", Normal), None);
        assert_eq!(handlers(&router, "/x/y"), [3, 4]);
    }

    #[test]
    fn parameters_are_found_by_position_and_by_name() {
        let router = router(&["/:a/x/:b/:a", "/:c/y", "/:/z"]);
        let mut params = Params::default();
        assert!(router.find(b"GET", b"/1/x/22/333", 0, &mut params).is_some());
        assert_eq!([0, 1, 2].map(|position| params.get(position)), [Some(1..2), Some(5..7), Some(8..11)]);
        assert_eq!((params.len(), params.get(3)), (3, None));
        assert_eq!((params.by_name("a"), params.by_name("b")), (Some(8..11), Some(5..7)));
        assert_eq!((params.by_name("c"), params.by_name(":a"), params.by_name("")), (None, None, None));

        assert!(router.find(b"GET", b"/1/y", 0, &mut params).is_some());
        assert_eq!((params.by_name("c"), params.by_name("a")), (Some(1..2), None));
        assert!(router.find(b"GET", b"/1/z", 0, &mut params).is_some());
        assert_eq!(params.by_name(""), Some(1..2));

        assert_eq!(router.find(b"GET", b"/1", 0, &mut params), None);
        assert!(params.is_empty() && params.by_name("c").is_none());
    }

    #[test]
    fn nothing_deeper_than_a_hundred_segments_is_kept_or_found_but_by_a_wildcard_above() {
        let deep = |segments: usize| "/a".repeat(segments);
        let with_wildcard = |segments: usize| format!("{}/*", deep(segments - 1));
        let mut router = router(&[&deep(100), &with_wildcard(100)]);
        assert_eq!(handlers(&router, &deep(100)), [0, 1]);
        assert_eq!(handlers(&router, &deep(101)), [1]);
        assert_eq!(handlers(&router, &deep(30_000)), [1]);
        for too_deep in [deep(101), with_wildcard(101), deep(1_000_000)] {
            let added = router.insert(Verb::Any, &too_deep, Normal, HandlerId(2));
            assert_eq!(added, Some(HandlerId(2)), "handed back");
            assert_eq!(router.remove(Verb::Any, &too_deep, Normal), None);
        }
        assert_eq!(handlers(&router, &deep(101)), [1]);
    }

    #[test]
    fn a_pattern_that_goes_on_after_its_wildcard_matches_nothing_and_is_handed_back() {
        let mut router = router(&["/a/*"]);
        let get = Verb::Method("GET");
        assert_eq!(router.insert(get, "/a/*/b", Normal, HandlerId(1)), Some(HandlerId(1)));
        assert_eq!(router.remove(get, "/a/*/b", Normal), None);
        assert_eq!(handlers(&router, "/a/x/b"), [0]);
    }

    #[test]
    fn the_first_character_of_a_pattern_stands_for_a_slash_whatever_it_is() {
        let mut router = router(&["*", "test", "a/b", "\u{e9}clair", "**"]);
        for (path, expected) in [("/", 0), ("/est", 1), ("//b", 2), ("/clair", 3)] {
            assert_eq!(handlers(&router, path), [expected, 4], "{path}");
        }
        assert_eq!(handlers(&router, "/test"), [4]);
        let get = Verb::Method("GET");
        assert_eq!(router.insert(get, "/est", Normal, HandlerId(5)), Some(HandlerId(1)));
        assert_eq!(router.remove(get, "best", Normal), Some(HandlerId(5)));
    }

    #[test]
    fn the_fallback_comes_last_and_ends_with_a_route_of_any_method_for_all_paths() {
        let routers = || {
            let mut router = Router::with_fallback(HandlerId(9));
            router.insert(Verb::Method("GET"), "/*", Normal, HandlerId(0));
            router.insert(Verb::Any, "/a", Normal, HandlerId(1));
            router
        };
        let router = routers();
        assert_eq!(handlers(&router, "/a"), [0, 1, 9]);
        assert_eq!(candidates(&router, "PUT", "/b"), [(9, vec![])]);
        assert_eq!(candidates(&router, "OPTIONS", "*"), [(9, vec![])]);
        assert_eq!(router.handlers().len(), 3);

        let mut router = routers();
        for (verb, pattern, priority) in [
            (Verb::Method("PUT"), "/*", Normal),
            (Verb::Any, "/*", WebSocket),
            (Verb::Any, "/:a", Normal),
            (Verb::Any, "/a/*", Normal),
        ] {
            assert_eq!(router.insert(verb, pattern, priority, HandlerId(2)), None);
            assert_eq!(router.remove(verb, pattern, priority), Some(HandlerId(2)));
        }
        assert_eq!(router.insert(Verb::Any, "/*rest", Normal, HandlerId(3)), Some(HandlerId(9)));
        assert_eq!(handlers(&router, "/a"), [0, 1, 3]);
        assert_eq!(router.remove(Verb::Any, "/*", Normal), Some(HandlerId(3)));
        assert_eq!(handlers(&router, "/a"), [0, 1]);

        let mut router = routers();
        assert_eq!(router.remove(Verb::Any, "/*", Normal), Some(HandlerId(9)));
        assert_eq!(router.remove(Verb::Any, "/*", Normal), None);
        assert_eq!(candidates(&router, "PUT", "/b"), []);
    }

    #[test]
    fn head_goes_on_to_the_routes_of_get_but_not_to_websockets() {
        let mut router = Router::with_fallback(HandlerId(9));
        let get = Verb::Method("GET");
        router.insert(get, "/a", Normal, HandlerId(1));
        router.insert(get, "/:x", Normal, HandlerId(2));
        router.insert(get, "/a", WebSocket, HandlerId(3));
        let heads = |router: &Router| -> Vec<u32> {
            candidates(router, "HEAD", "/a").into_iter().map(|(handler, _)| handler).collect()
        };
        assert_eq!(heads(&router), [1, 2, 9]);
        assert_eq!(candidates(&router, "HEAD", "/b"), [(2, vec!["b".to_owned()]), (9, vec![])]);
        router.insert(Verb::Any, "/*", Normal, HandlerId(4));
        router.insert(Verb::Method("HEAD"), "/*", Normal, HandlerId(5));
        assert_eq!(heads(&router), [5, 4, 1, 2]);
        assert_eq!(candidates(&router, "head", "/a"), [(4, vec![])]);
    }

    #[test]
    fn a_router_whose_routes_were_removed_is_as_new() {
        let mut router = Router::default();
        let patterns = ["/a/:b/c", "/a/:b", "/a/*", "/*", "", "/a/b/*", "/a"];
        for pattern in patterns {
            router.insert(Verb::Method("GET"), pattern, Normal, HandlerId(0));
        }
        for pattern in patterns {
            assert_eq!(router.remove(Verb::Method("GET"), pattern, Normal), Some(HandlerId(0)), "{pattern}");
        }
        assert!(router.methods.is_empty() && router.any.is_empty());
    }

    #[test]
    fn of_a_thousand_ways_to_match_every_one_is_found_in_order() {
        let mut router = Router::default();
        // The first segment is the highest bit, so that the numbers count in the order of the rule.
        let pattern = |mask: u32| -> String {
            (0..10).rev().map(|bit| if mask >> bit & 1 == 0 { "/a" } else { "/:p" }).collect()
        };
        for mask in (0..1024).rev() {
            router.insert(Verb::Any, &pattern(mask), Normal, HandlerId(mask));
        }
        let mut params = Params::default();
        let path = "/a".repeat(10);
        for nth in 0..1024 {
            let found = router.find(b"GET", path.as_bytes(), nth, &mut params);
            assert_eq!(found.map(|handler| handler.0 as usize), Some(nth));
            assert_eq!(params.len(), nth.count_ones() as usize);
        }
        assert_eq!(router.find(b"GET", path.as_bytes(), 1024, &mut params), None);
    }

    /// A [`RouterStep`] that owns its strings.
    #[derive(Clone, Debug)]
    enum Step {
        Insert(Option<&'static str>, Priority, String),
        Remove(Option<&'static str>, Priority, String),
        Find(&'static str, String),
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let route = || {
            let segment = prop_oneof![4 => Just("a"), 2 => Just("b"), 1 => Just(""), 3 => Just(":x"), 1 => Just(":y"),
                2 => Just("*"), 1 => Just("*x")];
            let pattern = proptest::collection::vec(segment, 1..5).prop_map(|segments| segments.join("/"));
            let pattern =
                (prop_oneof![6 => Just("/"), 1 => Just("a"), 1 => Just("*"), 1 => Just(":")], pattern)
                    .prop_map(|(first, rest)| format!("{first}{rest}"));
            let method = prop_oneof![Just(None), Just(Some("GET")), Just(Some("POST")), Just(Some("HEAD"))];
            (method, prop_oneof![Just(WebSocket), Just(Normal)], pattern)
        };
        let segment =
            prop_oneof![4 => Just("a"), 2 => Just("b"), 1 => Just(""), 1 => Just("c"), 1 => Just(":x")];
        let path =
            proptest::collection::vec(segment, 1..6).prop_map(|segments| format!("/{}", segments.join("/")));
        let step = prop_oneof![
            4 => route().prop_map(|(method, priority, pattern)| Step::Insert(method, priority, pattern)),
            2 => route().prop_map(|(method, priority, pattern)| Step::Remove(method, priority, pattern)),
            3 => (prop_oneof![Just("GET"), Just("POST"), Just("get"), Just("HEAD")], path)
                .prop_map(|(method, path)| Step::Find(method, path)),
        ];
        proptest::collection::vec(step, 0..60)
    }

    proptest! {
        #[test]
        fn the_router_finds_what_the_rule_says(steps in steps()) {
            let verb = |method: &Option<&'static str>| method.map_or(Verb::Any, Verb::Method);
            RouterTwin::assert_same_behaviour(steps.iter().map(|step| match step {
                Step::Insert(method, priority, pattern) => {
                    RouterStep::Insert(verb(method), *priority, pattern)
                }
                Step::Remove(method, priority, pattern) => {
                    RouterStep::Remove(verb(method), *priority, pattern)
                }
                Step::Find(method, path) => RouterStep::Find(method.as_bytes(), path.as_bytes()),
            }));
        }
    }
}
