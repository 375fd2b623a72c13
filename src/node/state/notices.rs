//! The mistakes of the program that this process has warned of. A mistake is worth one line, however many threads of
//! Node, and evaluations of the package, make it again.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

/// The subjects of the warnings of this process.
static SUBJECTS: Mutex<Subjects> = Mutex::new(Subjects(BTreeSet::new()));

#[derive(Debug)]
struct Subjects(BTreeSet<Vec<u8>>);

impl Subjects {
    /// Whether this one is new. None is, once there are [`MAX_NOTICES`], because subjects may contain what peers send.
    fn is_new(&mut self, subject: Vec<u8>) -> bool {
        self.0.len() < MAX_NOTICES && self.0.insert(subject)
    }
}

/// Whether this is the first call with this subject in the process.
pub(crate) fn is_new(subject: Vec<u8>) -> bool {
    SUBJECTS.lock().unwrap_or_else(PoisonError::into_inner).is_new(subject)
}

/// The largest number of subjects.
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
