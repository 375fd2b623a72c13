//! Statistics of one app on one worker. The worker counts; Node's thread reads at any time.

use std::borrow::Cow;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::protocol::cause::Cause;
use crate::protocol::http::error::HttpError;
use crate::protocol::http2::error::Http2Error;
use crate::protocol::http3::error::Http3Error;
use crate::protocol::proxy::ProxyError;

/// A number that one thread writes and others may read.
#[derive(Debug, Default)]
pub(crate) struct Counter(AtomicU64);

impl Counter {
    /// Counts up. To be called by the one thread that owns the counter: a load and a store cost what a plain addition
    /// does, where `fetch_add` would lock the bus. Relaxed, because the number guards no other data.
    pub(crate) fn add(&self, count: u64) {
        self.0.store(self.0.load(Ordering::Relaxed).wrapping_add(count), Ordering::Relaxed);
    }

    /// Counts down. As [`Self::add`].
    pub(crate) fn sub(&self, count: u64) {
        self.0.store(self.0.load(Ordering::Relaxed).wrapping_sub(count), Ordering::Relaxed);
    }

    /// The current value.
    #[must_use]
    pub(crate) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Counters of one app on one worker. Aligned to two cache lines, so that workers do not share them (false sharing).
#[derive(Debug, Default)]
#[repr(align(128))]
pub(crate) struct Tally {
    /// Connections that were accepted, or taken over from elsewhere.
    pub connections: Counter,
    /// Open HTTP connections.
    pub http_open: Counter,
    /// Request heads that broke no rule.
    pub requests: Counter,
    /// Whole WebSocket messages from clients.
    pub messages_received: Counter,
    /// Whole WebSocket messages queued for clients; a published one counts for each recipient.
    pub messages_sent: Counter,
    /// Published messages that a subscriber missed because of `maxBackpressure`.
    pub messages_dropped: Counter,
    /// Bytes read from sockets.
    pub bytes_received: Counter,
    /// Bytes that sockets have taken.
    pub bytes_sent: Counter,
    /// Bytes that wait because sockets did not take them.
    pub backlog: Counter,
    /// TLS handshakes that failed, or were refused because of too many others.
    pub tls_handshake_failures: Counter,
    refusals: Refusals,
}

impl Tally {
    /// Counts a connection that is closed because its peer broke a rule before or within a request.
    pub(crate) fn count_refusal(&self, refusal: RefusalCause) {
        self.refusals.0[refusal.number()].add(1);
    }

    /// How often peers broke each rule: its name and the number, in a fixed order.
    pub(crate) fn refusals(&self) -> impl Iterator<Item = (&'static str, u64)> {
        RefusalCause::all().map(|cause| cause.code()).zip(self.refusals.0.iter().map(Counter::get))
    }
}

/// By [`RefusalCause::number`].
#[derive(Debug)]
struct Refusals([Counter; RefusalCause::COUNT]);

impl Default for Refusals {
    fn default() -> Self {
        Self(std::array::from_fn(|_| Counter::default()))
    }
}

/// Which rule a peer broke.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RefusalCause {
    /// One of HTTP.
    Http(HttpError),
    /// One of the PROXY protocol.
    Proxy(ProxyError),
    /// One of HTTP/2.
    Http2(Http2Error),
    /// One of HTTP/3.
    Http3(Http3Error),
}

impl RefusalCause {
    const BEFORE_HTTP3: usize = HttpError::ALL.len() + ProxyError::ALL.len() + Http2Error::ALL.len();
    const COUNT: usize = Self::BEFORE_HTTP3 + Http3Error::ALL.len();

    /// Its place among the counters.
    const fn number(self) -> usize {
        match self {
            Self::Http(error) => error as usize,
            Self::Proxy(error) => HttpError::ALL.len() + error as usize,
            Self::Http2(error) => HttpError::ALL.len() + ProxyError::ALL.len() + error as usize,
            Self::Http3(error) => Self::BEFORE_HTTP3 + error as usize,
        }
    }

    /// The names of all rules, by number.
    pub(crate) fn names() -> impl Iterator<Item = &'static str> {
        Self::all().map(|cause| cause.code())
    }

    /// Every one, by number.
    fn all() -> impl Iterator<Item = Self> {
        let http = HttpError::ALL.into_iter().map(Self::Http);
        let proxy = ProxyError::ALL.into_iter().map(Self::Proxy);
        let http2 = Http2Error::ALL.into_iter().map(Self::Http2);
        http.chain(proxy).chain(http2).chain(Http3Error::ALL.into_iter().map(Self::Http3))
    }
}

impl Cause for RefusalCause {
    fn code(&self) -> &'static str {
        match self {
            Self::Http(error) => error.code(),
            Self::Proxy(error) => error.code(),
            Self::Http2(error) => error.code(),
            Self::Http3(error) => error.code(),
        }
    }

    fn text(&self) -> Cow<'static, str> {
        match self {
            Self::Http(error) => error.text(),
            Self::Proxy(error) => error.text(),
            Self::Http2(error) => error.text(),
            Self::Http3(error) => error.text(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn every_rule_has_a_counter_and_a_name_of_its_own() {
        let tally = Tally::default();
        for (position, refusal) in RefusalCause::all().enumerate() {
            assert_eq!(refusal.number(), position, "{refusal:?}");
            (0..=position).for_each(|_| tally.count_refusal(refusal));
        }
        let counted: Vec<_> = tally.refusals().collect();
        assert_eq!(counted.len(), RefusalCause::COUNT);
        assert_eq!(counted.iter().map(|(name, _)| name).collect::<HashSet<_>>().len(), RefusalCause::COUNT);
        for ((name, count), (position, refusal)) in counted.into_iter().zip(RefusalCause::all().enumerate()) {
            assert_eq!((name, count), (refusal.code(), position as u64 + 1));
        }
    }

    #[test]
    fn what_is_counted_down_is_gone() {
        let counter = Counter::default();
        counter.add(7);
        counter.sub(5);
        assert_eq!(counter.get(), 2);
    }
}
