//! Handles by which JavaScript refers to responses, WebSockets, listening sockets and the like: a slot and the
//! generation of its occupant in one number. A handle may outlive its object: it is then refused.

use crate::node::abi::SLOT_BITS;
use crate::node::js::FromNumber;

/// The number by which JavaScript refers to an object of the addon. Fits the 53 bits of an exact JavaScript number:
/// generation × 2^24 + slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct JsHandle {
    /// Position in the table, below 2^24.
    pub slot: u32,
    /// How often the slot was used before, below 2^29.
    pub generation: u32,
}

impl JsHandle {
    /// The number for JavaScript.
    #[must_use]
    pub(crate) fn to_number(self) -> f64 {
        // Both factors are exact, and so is the sum: it has at most 53 bits.
        f64::from(self.generation) * f64::from(SLOTS) + f64::from(self.slot)
    }

    /// The handle of a number, `None` if no handle has it.
    #[must_use]
    pub(crate) fn from_number(number: f64) -> Option<Self> {
        // The cast saturates and truncates; a number that it changes is no handle. (`fract` is a library
        // call on the processors that releases are built for.)
        let bits = number as u64;
        if bits as f64 != number || bits > LARGEST {
            return None;
        }
        let slot = (bits & u64::from(SLOTS - 1)) as u32;
        let generation = (bits >> SLOT_BITS) as u32;
        Some(Self { slot, generation })
    }
}

impl FromNumber for JsHandle {
    fn from_number(number: f64) -> Option<Self> {
        Self::from_number(number)
    }
}

/// The objects that handles refer to.
#[derive(Debug)]
pub(crate) struct Table<T> {
    entries: Vec<Entry<T>>,
    /// Empty slots, last used first.
    free: Vec<u32>,
    count: usize,
}

#[derive(Debug)]
struct Entry<T> {
    /// Generation of the occupant, or of the next one.
    generation: u32,
    value: Option<T>,
}

impl<T> Default for Table<T> {
    fn default() -> Self {
        Self { entries: Vec::new(), free: Vec::new(), count: 0 }
    }
}

impl<T> Table<T> {
    /// Inserts a value. Returns it when all 2^24 slots are in use.
    ///
    /// # Errors
    /// The value.
    pub(crate) fn insert(&mut self, value: T) -> Result<JsHandle, T> {
        let slot = match self.free.pop() {
            Some(slot) => slot,
            None if self.entries.len() < SLOTS as usize => {
                self.entries.push(Entry { generation: 0, value: None });
                (self.entries.len() - 1) as u32
            }
            None => return Err(value),
        };
        let entry = &mut self.entries[slot as usize];
        entry.value = Some(value);
        self.count += 1;
        Ok(JsHandle { slot, generation: entry.generation })
    }

    /// The value of a handle.
    pub(crate) fn get(&self, handle: JsHandle) -> Option<&T> {
        let entry = self.entries.get(handle.slot as usize)?;
        if entry.generation == handle.generation { entry.value.as_ref() } else { None }
    }

    /// The value of a handle, mutable.
    pub(crate) fn get_mut(&mut self, handle: JsHandle) -> Option<&mut T> {
        let entry = self.entries.get_mut(handle.slot as usize)?;
        if entry.generation == handle.generation { entry.value.as_mut() } else { None }
    }

    /// Removes a value; its handle is refused from now on. A slot whose generations are used up is not reused, so that
    /// no handle ever refers to two values.
    pub(crate) fn remove(&mut self, handle: JsHandle) -> Option<T> {
        let entry = self.entries.get_mut(handle.slot as usize)?;
        if entry.generation != handle.generation {
            return None;
        }
        let value = entry.value.take()?;
        self.count -= 1;
        if entry.generation < GENERATIONS - 1 {
            entry.generation += 1;
            self.free.push(handle.slot);
        }
        Some(value)
    }

    /// Number of values.
    #[must_use]
    pub(crate) const fn len(&self) -> usize {
        self.count
    }

    /// Whether there are none.
    #[must_use]
    pub(crate) const fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// All values with their handles.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (JsHandle, &T)> {
        (0..).zip(&self.entries).filter_map(|(slot, entry)| {
            let handle = JsHandle { slot, generation: entry.generation };
            entry.value.as_ref().map(|value| (handle, value))
        })
    }
}

/// Slots of a table: 16.7 million live objects of one kind.
const SLOTS: u32 = 1 << SLOT_BITS;
/// Generations of a slot: 2^29, so that a handle has 53 bits.
const GENERATIONS: u32 = 1 << 29;
/// The largest handle, 2^53 − 1.
const LARGEST: u64 = (1 << 53) - 1;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_handle_is_refused_once_its_value_is_gone() {
        let mut table = Table::default();
        let first = table.insert('a').unwrap();
        assert_eq!(table.remove(first), Some('a'));
        let second = table.insert('b').unwrap();
        assert_eq!(second.slot, first.slot);
        assert_eq!(table.get(first), None);
        assert_eq!(table.remove(first), None);
        assert_eq!(table.get(second), Some(&'b'));
        assert_eq!(table.len(), 1);
    }

    #[test]
    fn a_slot_whose_generations_are_used_up_is_retired() {
        let mut table = Table::default();
        let first = table.insert('a').unwrap();
        table.remove(first);
        table.entries[0].generation = GENERATIONS - 1;
        let last = table.insert('z').unwrap();
        assert_eq!(last.generation, GENERATIONS - 1);
        assert_eq!(JsHandle::from_number(last.to_number()), Some(last));
        table.remove(last);
        assert_eq!(table.insert('b').unwrap().slot, 1);
    }

    #[test]
    fn what_is_no_handle_is_refused() {
        for number in [f64::NAN, -1.0, 0.5, f64::INFINITY, 9_007_199_254_740_992.0] {
            assert_eq!(JsHandle::from_number(number), None, "{number}");
        }
    }

    proptest! {
        #[test]
        fn numbers_are_exact(slot in 0..SLOTS, generation in 0..GENERATIONS) {
            let handle = JsHandle { slot, generation };
            prop_assert_eq!(JsHandle::from_number(handle.to_number()), Some(handle));
        }
    }
}
