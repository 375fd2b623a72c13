//! Flow control (RFC 9113 §5.2, §6.9): how much DATA one side may send, for a stream and for the whole connection.

/// What this side may send. It may be negative: the peer has made its initial window smaller (RFC 9113 §6.9.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct SendWindow(i64);

/// A window would exceed 2^31-1 (RFC 9113 §6.9.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct WindowOverflow;

impl SendWindow {
    /// A window of this size.
    pub(super) const fn new(size: u32) -> Self {
        Self(size as i64)
    }

    /// How many bytes may be sent.
    pub(super) fn available(self) -> usize {
        usize::try_from(self.0).unwrap_or(0)
    }

    /// So many were sent; never more than were available.
    pub(super) const fn take(&mut self, length: usize) {
        self.0 -= length as i64;
    }

    /// The peer has widened the window, or changed its initial size by `delta`.
    pub(super) const fn change(&mut self, delta: i64) -> Result<(), WindowOverflow> {
        if self.0 + delta > MAX_WINDOW as i64 {
            return Err(WindowOverflow);
        }
        self.0 += delta;
        Ok(())
    }
}

/// What the peer may send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ReceiveWindow {
    /// What it may send now.
    left: u32,
    /// Bytes that have arrived, and for which it has not got room anew.
    owed: u32,
    /// Its full size.
    size: u32,
}

impl ReceiveWindow {
    /// A window of this size, below 2^31.
    pub(super) const fn new(size: u32) -> Self {
        Self { left: size, owed: 0, size }
    }

    /// So many bytes have arrived. Returns false if that is more than the peer may send.
    #[must_use]
    pub(super) fn receive(&mut self, length: usize) -> bool {
        let Some(left) = u32::try_from(length).ok().and_then(|length| self.left.checked_sub(length)) else {
            return false;
        };
        self.owed += self.left - left;
        self.left = left;
        true
    }

    /// By how much to widen the window now: by all that has arrived, once it is half of the window, so that a large body
    /// costs few WINDOW_UPDATE frames and its sender need not wait.
    pub(super) const fn replenish(&mut self) -> Option<u32> {
        if self.owed == 0 || self.owed < self.size / 2 {
            return None;
        }
        let increment = self.owed;
        self.left += increment;
        self.owed = 0;
        Some(increment)
    }
}

/// RFC 9113 §6.9.1.
pub(super) const MAX_WINDOW: u32 = 0x7fff_ffff;
/// RFC 9113 §6.9.2: the size of every window at first.
pub(super) const DEFAULT_WINDOW: u32 = 65_535;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_send_window_may_be_negative_and_never_too_wide() {
        let mut window = SendWindow::new(10);
        window.take(8);
        assert_eq!(window.change(-5), Ok(()));
        assert_eq!(window.available(), 0);
        assert_eq!(window.change(4), Ok(()));
        assert_eq!(window.available(), 1);
        assert_eq!(window.change(i64::from(MAX_WINDOW)), Err(WindowOverflow));
        assert_eq!(window.change(i64::from(MAX_WINDOW) - 1), Ok(()));
        assert_eq!(window.available(), MAX_WINDOW as usize);
    }

    #[test]
    fn a_receive_window_is_widened_when_half_of_it_is_used() {
        let mut window = ReceiveWindow::new(100);
        assert!(window.receive(49));
        assert_eq!(window.replenish(), None);
        assert!(window.receive(1));
        assert_eq!(window.replenish(), Some(50));
        assert_eq!(window.replenish(), None);
        assert!(window.receive(100));
        assert!(!window.receive(1));
        assert!(window.receive(0));
        assert_eq!(window.replenish(), Some(100));
    }

    #[test]
    fn a_window_of_a_byte_is_widened_byte_by_byte() {
        let mut window = ReceiveWindow::new(1);
        assert_eq!(window.replenish(), None);
        assert!(window.receive(1) && !window.receive(1));
        assert_eq!(window.replenish(), Some(1));
    }
}
