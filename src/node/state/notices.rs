//! Which mistakes of the program this process has been warned of. A mistake is worth one line, however many threads of
//! Node, and evaluations of the package, make it again.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

/// What has been warned of in this process.
static SUBJECTS: Mutex<Subjects> = Mutex::new(Subjects(BTreeSet::new()));

#[derive(Debug)]
struct Subjects(BTreeSet<Vec<u8>>);

impl Subjects {
    /// Whether this one is new. None is, once there are [`MAX_NOTICES`]: they may be made of what peers send.
    fn is_new(&mut self, subject: Vec<u8>) -> bool {
        self.0.len() < MAX_NOTICES && self.0.insert(subject)
    }
}

/// Whether nobody in this process has asked so before.
pub(crate) fn is_new(subject: Vec<u8>) -> bool {
    SUBJECTS.lock().unwrap_or_else(PoisonError::into_inner).is_new(subject)
}

/// Mistakes that are told before the program has made its point.
const MAX_NOTICES: usize = 1000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_subject_is_new_once_and_none_is_after_a_thousand() {
        let mut subjects = Subjects(BTreeSet::new());
        for number in 0..MAX_NOTICES {
            assert!(subjects.is_new(number.to_string().into_bytes()));
            assert!(!subjects.is_new(b"0".to_vec()));
        }
        assert!(!subjects.is_new(b"one more".to_vec()));
    }
}
