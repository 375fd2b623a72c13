//! Patterns: `/`-separated segments.

use std::rc::Rc;

/// One segment of a pattern.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Segment<'a> {
    /// Itself.
    Literal(&'a str),
    /// `:name`.
    Parameter(&'a str),
    /// `*`, or a segment that starts with it.
    Wildcard,
}

/// The segments of a pattern; none of the empty pattern. `None` if it matches nothing.
pub(super) fn parse(pattern: &str) -> Option<Vec<Segment<'_>>> {
    let mut rest = pattern.chars();
    if rest.next().is_none() {
        return Some(Vec::new());
    }
    let mut segments = Vec::new();
    for text in rest.as_str().split('/') {
        if segments.len() == MAX_SEGMENTS || segments.last() == Some(&Segment::Wildcard) {
            return None;
        }
        segments.push(match text.as_bytes() {
            [b'*', ..] => Segment::Wildcard,
            [b':', ..] => Segment::Parameter(&text[1..]),
            _ => Segment::Literal(text),
        });
    }
    Some(segments)
}

/// The names of the parameters of a pattern.
pub(super) fn names(segments: &[Segment<'_>]) -> Rc<[Box<str>]> {
    let name = |segment: &Segment<'_>| match *segment {
        Segment::Parameter(name) => Some(name.into()),
        Segment::Literal(_) | Segment::Wildcard => None,
    };
    segments.iter().filter_map(name).collect()
}

/// Segments of a pattern, and of a path that are looked at; uWebSockets.js has the same limit. A deeper path is still
/// found by a wildcard among the first of them. Also what bounds the recursion over a tree.
pub(crate) const MAX_SEGMENTS: usize = 100;
