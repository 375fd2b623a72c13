//! The text of the `Date` field (RFC 9110 §6.6.1), made once a second and shared by every response of that second.

use std::time::{Duration, SystemTime};

/// The current date as an IMF-fixdate, for example `Sun, 06 Nov 1994 08:49:37 GMT` (RFC 9110 §5.6.7), which always
/// has 29 bytes. The clock is the caller's.
#[derive(Clone, Debug)]
pub(crate) struct DateCache {
    /// Seconds since 1970 that `text` was made for.
    second: u64,
    /// What [`Self::text`] returns.
    text: [u8; 29],
}

impl DateCache {
    /// Starts at `unix_seconds`, counted from 1970 in UTC.
    #[must_use]
    pub(crate) fn new(unix_seconds: u64) -> Self {
        Self { second: unix_seconds, text: format(unix_seconds) }
    }

    /// The text for `unix_seconds`; formatted anew only when the second has changed.
    pub(crate) fn text(&mut self, unix_seconds: u64) -> &[u8; 29] {
        if unix_seconds != self.second {
            *self = Self::new(unix_seconds);
        }
        &self.text
    }
}

/// The text for a moment, which is held within the years 1970–9999 that the format can express.
fn format(unix_seconds: u64) -> [u8; 29] {
    let moment = SystemTime::UNIX_EPOCH + Duration::from_secs(unix_seconds.min(LAST_SECOND));
    let text = httpdate::fmt_http_date(moment);
    let mut bytes = [b' '; 29];
    for (to, from) in bytes.iter_mut().zip(text.bytes()) {
        *to = from;
    }
    bytes
}

/// 9999-12-31 23:59:59 UTC.
const LAST_SECOND: u64 = 253_402_300_799;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_is_an_imf_fixdate_and_follows_the_clock() {
        let mut cache = DateCache::new(784_111_777);
        assert_eq!(cache.text(784_111_777), b"Sun, 06 Nov 1994 08:49:37 GMT");
        assert_eq!(cache.text(784_111_778), b"Sun, 06 Nov 1994 08:49:38 GMT");
        assert_eq!(cache.text(0), b"Thu, 01 Jan 1970 00:00:00 GMT");
    }

    #[test]
    fn a_clock_gone_mad_does_not_panic() {
        assert_eq!(DateCache::new(0).text(u64::MAX), b"Fri, 31 Dec 9999 23:59:59 GMT");
    }
}
