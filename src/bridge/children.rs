//! The child apps of an acceptor app. Its Node thread changes the list; the workers that accept connections read it.

use super::id::Descriptor;
use super::sync::{Mutex, lock};

/// The apps that take over accepted connections, round robin. Empty for most apps.
#[derive(Debug, Default)]
pub(crate) struct Children {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    children: Vec<Descriptor>,
    /// Position of the child that gets the next connection.
    turn: usize,
}

impl Children {
    /// Adds a child; it may be there already.
    pub(crate) fn add(&self, child: Descriptor) {
        let mut state = lock(&self.state);
        if !state.children.contains(&child) {
            state.children.push(child);
        }
    }

    /// Removes a child, if it is there.
    pub(crate) fn remove(&self, child: Descriptor) {
        let mut state = lock(&self.state);
        if let Some(position) = state.children.iter().position(|known| *known == child) {
            state.children.remove(position);
            // Otherwise the one behind it would be passed over.
            state.turn -= usize::from(position < state.turn);
        }
    }

    /// Whether there are none.
    #[must_use]
    pub(crate) fn is_empty(&self) -> bool {
        lock(&self.state).children.is_empty()
    }

    /// The child that gets the next connection; `None` if there is none.
    #[must_use]
    pub(crate) fn next(&self) -> Option<Descriptor> {
        let mut state = lock(&self.state);
        let turn = if state.turn < state.children.len() { state.turn } else { 0 };
        let child = state.children.get(turn).copied()?;
        state.turn = turn + 1;
        Some(child)
    }
}

#[cfg(all(test, not(feature = "loom")))]
mod tests {
    use super::*;

    fn turns(children: &Children, count: usize) -> Vec<u64> {
        (0..count).filter_map(|_| children.next().map(|child| child.0)).collect()
    }

    #[test]
    fn every_child_has_its_turn() {
        let children = Children::default();
        assert_eq!(children.next(), None);
        for child in [1, 2, 3, 2] {
            children.add(Descriptor(child));
        }
        assert_eq!(turns(&children, 7), [1, 2, 3, 1, 2, 3, 1]);
    }

    #[test]
    fn nobody_is_passed_over_when_another_one_goes() {
        for gone in 1..=4 {
            for before in 0..=4 {
                let children = Children::default();
                (1..=4).for_each(|child| children.add(Descriptor(child)));
                let mut seen = turns(&children, before);
                children.remove(Descriptor(gone));
                children.remove(Descriptor(gone));
                seen.extend(turns(&children, 4 - before - usize::from(!seen.contains(&gone))));
                seen.sort_unstable();
                seen.retain(|child| *child != gone);
                let left: Vec<u64> = (1..=4).filter(|child| *child != gone).collect();
                assert_eq!(seen, left, "{gone} goes after {before} turns");
            }
        }
    }
}
