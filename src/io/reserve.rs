//! The last file descriptors of the process, which connections must not use: the application needs some to open files.

/// See the top of the file.
#[derive(Debug, Default)]
pub(crate) struct Reserve {
    /// Its first descriptor, according to the last known limit, which may be raised while the process runs.
    start: u64,
}

impl Reserve {
    /// Whether a descriptor that was just opened belongs to the reserve. The system returns the lowest free one, so all
    /// below it are in use.
    pub(crate) fn is_touched_by(&mut self, descriptor: Option<u64>) -> bool {
        let Some(descriptor) = descriptor.filter(|descriptor| *descriptor >= self.start) else {
            return false;
        };
        let Some(limit) = limit() else { return false };
        self.start = start_of(limit);
        descriptor >= self.start
    }
}

/// The first descriptor of the reserve in a process that may have `limit` descriptors.
fn start_of(limit: u64) -> u64 {
    limit.saturating_sub((limit / 32).clamp(MIN_RESERVE, MAX_RESERVE))
}

/// Number of descriptors that the process may have; `None` where it is unknown, so that connections are closed only
/// once descriptors have run out.
#[cfg(any(target_os = "linux", target_os = "android"))]
fn limit() -> Option<u64> {
    use nix::sys::resource::{Resource, getrlimit};

    #[allow(clippy::useless_conversion, reason = "it has 32 bits where the machine has")]
    getrlimit(Resource::RLIMIT_NOFILE).ok().map(|(soft, _)| u64::from(soft))
}

/// See above.
#[cfg(not(any(target_os = "linux", target_os = "android")))]
const fn limit() -> Option<u64> {
    None
}

const MIN_RESERVE: u64 = 8;
const MAX_RESERVE: u64 = 256;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_descriptors_are_kept_and_not_too_many_of_them() {
        assert_eq!([4, 150, 1_024, 20_000, 1 << 20].map(start_of), [0, 142, 992, 19_744, (1 << 20) - 256]);
    }

    #[test]
    #[cfg(any(target_os = "linux", target_os = "android"))]
    fn a_low_descriptor_is_none_of_them() {
        let mut reserve = Reserve::default();
        assert!(!reserve.is_touched_by(Some(3)));
        assert!(!reserve.is_touched_by(None));
        let limit = limit().unwrap();
        assert!(reserve.is_touched_by(Some(limit - 1)));
        assert!(!reserve.is_touched_by(Some(start_of(limit) - 1)));
    }
}
