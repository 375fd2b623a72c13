//! The parameters of a match.

use std::ops::Range;
use std::rc::Rc;

/// The parameters of the last match. Reused from one request to the next; the path they lie in is the caller's.
#[derive(Clone, Debug, Default)]
pub(crate) struct Params {
    /// Where each parameter lies in the path, from left to right.
    pub(super) values: Vec<Range<usize>>,
    /// The names of the parameters of the route, at the same positions; `None` after a search that found nothing.
    pub(super) names: Option<Rc<[Box<str>]>>,
}

impl Params {
    /// Where the parameter at this position lies in the path.
    #[must_use]
    pub(crate) fn get(&self, position: usize) -> Option<Range<usize>> {
        self.values.get(position).cloned()
    }

    /// Where the parameter of this name lies in the path. If a pattern has a name twice, the last one counts.
    #[must_use]
    pub(crate) fn by_name(&self, name: &str) -> Option<Range<usize>> {
        let position = self.names.as_ref()?.iter().rposition(|known| **known == *name)?;
        self.get(position)
    }

    /// Number of parameters.
    #[cfg(any(test, fuzzing))]
    #[must_use]
    pub(crate) const fn len(&self) -> usize {
        self.values.len()
    }

    /// Whether the route has no parameters.
    #[cfg(any(test, fuzzing))]
    #[must_use]
    pub(crate) const fn is_empty(&self) -> bool {
        self.values.is_empty()
    }
}
