//! The routes of one verb, one level per segment, and the search through them.

use std::ops::Range;
use std::rc::Rc;

use super::pattern::Segment;

/// A handler, as its owner numbers them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct HandlerId(pub u32);

/// Which routes of a verb come first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Priority {
    /// `app.ws()`: before all others.
    WebSocket,
    /// Everything else.
    Normal,
}

/// The routes of one verb.
#[derive(Debug, Default)]
pub(super) struct Trees {
    /// Those of [`Priority::WebSocket`].
    pub websocket: Node,
    /// Those of [`Priority::Normal`].
    pub normal: Node,
}

/// What the segments up to here lead to.
#[derive(Debug, Default)]
pub(super) struct Node {
    /// The route that ends here.
    route: Option<RouteLeaf>,
    /// A further segment that is this literal; sorted by it. Sorted rather than hashed, so that no choice of paths
    /// makes the search slow.
    literals: Vec<(Box<str>, Node)>,
    /// A further segment that is not empty.
    parameter: Option<Box<Node>>,
    /// All further segments.
    wildcard: Option<RouteLeaf>,
}

/// The end of a pattern.
#[derive(Debug)]
pub(super) struct RouteLeaf {
    /// Its handler.
    pub handler: HandlerId,
    /// Names of its parameters from left to right, without their `:`. They belong to the route and not to the nodes,
    /// because `/:a` and `/:b/c` share one.
    pub names: Rc<[Box<str>]>,
}

/// A search under way.
pub(super) struct Search<'a> {
    /// The path of the request.
    pub path: &'a [u8],
    /// Number of candidates to skip.
    pub to_skip: usize,
    /// The parameters on the way from the root to here.
    pub values: &'a mut Vec<Range<usize>>,
}

impl Search<'_> {
    /// Searches the route at `node` and below, for the part of the path that starts at `rest`; `None` if the
    /// path ended before.
    pub(super) fn visit<'n>(&mut self, node: &'n Node, rest: Option<usize>) -> Option<&'n RouteLeaf> {
        let Some(start) = rest else { return self.take(node.route.as_ref()) };
        let (end, next) = match memchr::memchr(b'/', &self.path[start..]) {
            Some(len) => (start + len, Some(start + len + 1)),
            None => (self.path.len(), None),
        };

        if let Some(child) = node.literal(&self.path[start..end])
            && let Some(route) = self.visit(child, next)
        {
            return Some(route);
        }
        if let Some(child) = &node.parameter
            && start < end
        {
            self.values.push(start..end);
            if let Some(route) = self.visit(child, next) {
                return Some(route);
            }
            self.values.pop();
        }
        self.take(node.wildcard.as_ref())
    }

    /// The candidate, if there is one here and none is left to skip.
    pub(super) fn take<'n>(&mut self, candidate: Option<&'n RouteLeaf>) -> Option<&'n RouteLeaf> {
        let route = candidate?;
        if self.to_skip == 0 {
            return Some(route);
        }
        self.to_skip -= 1;
        None
    }
}

impl Trees {
    /// The tree of this priority.
    pub(super) const fn root(&mut self, priority: Priority) -> &mut Node {
        match priority {
            Priority::WebSocket => &mut self.websocket,
            Priority::Normal => &mut self.normal,
        }
    }

    /// Whether there is no route in either.
    pub(super) const fn is_empty(&self) -> bool {
        self.websocket.is_empty() && self.normal.is_empty()
    }
}

impl Node {
    /// The child for this segment of a path, if there is a literal one.
    fn literal(&self, segment: &[u8]) -> Option<&Self> {
        let position = self.literals.binary_search_by(|(literal, _)| literal.as_bytes().cmp(segment)).ok()?;
        Some(&self.literals[position].1)
    }

    /// Inserts a route at the end of these segments; returns the one that it replaces.
    pub(super) fn insert(&mut self, segments: &[Segment<'_>], route: RouteLeaf) -> Option<RouteLeaf> {
        match segments {
            [] => self.route.replace(route),
            [Segment::Wildcard, ..] => self.wildcard.replace(route),
            [Segment::Parameter(_), rest @ ..] => self.parameter.get_or_insert_default().insert(rest, route),
            [Segment::Literal(literal), rest @ ..] => {
                let position = self.position_of(literal).unwrap_or_else(|position| {
                    self.literals.insert(position, ((*literal).into(), Self::default()));
                    position
                });
                self.literals[position].1.insert(rest, route)
            }
        }
    }

    /// Removes the route at the end of these segments, and the nodes that are empty without it.
    pub(super) fn remove(&mut self, segments: &[Segment<'_>]) -> Option<RouteLeaf> {
        match segments {
            [] => self.route.take(),
            [Segment::Wildcard, ..] => self.wildcard.take(),
            [Segment::Parameter(_), rest @ ..] => {
                let removed = self.parameter.as_mut()?.remove(rest);
                self.parameter.take_if(|child| child.is_empty());
                removed
            }
            [Segment::Literal(literal), rest @ ..] => {
                let position = self.position_of(literal).ok()?;
                let removed = self.literals[position].1.remove(rest);
                if self.literals[position].1.is_empty() {
                    self.literals.remove(position);
                }
                removed
            }
        }
    }

    /// The position of the child for this literal, or where to insert it.
    fn position_of(&self, literal: &str) -> Result<usize, usize> {
        self.literals.binary_search_by(|(known, _)| (**known).cmp(literal))
    }

    /// Adds the handlers of all routes that end here and below.
    pub(super) fn collect(&self, handlers: &mut Vec<HandlerId>) {
        handlers.extend([&self.route, &self.wildcard].into_iter().flatten().map(|route| route.handler));
        self.literals.iter().for_each(|(_, child)| child.collect(handlers));
        self.parameter.iter().for_each(|child| child.collect(handlers));
    }

    /// Whether no route ends here or below, as [`Self::remove`] leaves no child without one.
    pub(super) const fn is_empty(&self) -> bool {
        self.route.is_none()
            && self.literals.is_empty()
            && self.parameter.is_none()
            && self.wildcard.is_none()
    }
}
