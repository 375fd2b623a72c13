//! Congestion control, which does not hold back the end of a connection.

use std::any::Any;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use quinn_proto::RttEstimator;
use quinn_proto::congestion::{Controller, ControllerFactory, Cubic, CubicConfig};

/// Makes a [`Congestion`] for each connection.
#[derive(Debug, Default)]
pub(super) struct Congestions(Arc<CubicConfig>);

impl Congestions {
    /// Those of connections that may have so many bytes under way at first.
    #[must_use]
    pub(super) fn starting_at(initial_window: u64) -> Self {
        let mut cubic = CubicConfig::default();
        cubic.initial_window(initial_window);
        Self(Arc::new(cubic))
    }
}

impl ControllerFactory for Congestions {
    fn build(self: Arc<Self>, now: Instant, current_mtu: u16) -> Box<dyn Controller> {
        let cubic = Cubic::new(Arc::clone(&self.0), now, current_mtu);
        Box::new(Congestion { cubic, is_over: Arc::default() })
    }
}

/// CUBIC (RFC 9438). `quinn-proto` counts a CONNECTION_CLOSE as the data that wait when the connection is closed: where the
/// window has no room for these, it would never be sent, because nothing that is acknowledged after that makes room.
#[derive(Clone)]
struct Congestion {
    cubic: Cubic,
    /// The connection is closed: only that is sent, which does not count (RFC 9002 §3).
    is_over: Arc<AtomicBool>,
}

/// The connection of this controller is closed, which is to be sent whatever is under way.
pub(crate) fn release(controller: &dyn Controller) {
    if let Ok(congestion) = controller.clone_box().into_any().downcast::<Congestion>() {
        congestion.is_over.store(true, Ordering::Relaxed);
    }
}

impl Controller for Congestion {
    fn on_sent(&mut self, now: Instant, bytes: u64, last_packet_number: u64) {
        self.cubic.on_sent(now, bytes, last_packet_number);
    }

    fn on_ack(&mut self, now: Instant, sent: Instant, bytes: u64, app_limited: bool, rtt: &RttEstimator) {
        self.cubic.on_ack(now, sent, bytes, app_limited, rtt);
    }

    fn on_end_acks(&mut self, now: Instant, in_flight: u64, app_limited: bool, largest: Option<u64>) {
        self.cubic.on_end_acks(now, in_flight, app_limited, largest);
    }

    fn on_congestion_event(&mut self, now: Instant, sent: Instant, is_persistent: bool, lost_bytes: u64) {
        self.cubic.on_congestion_event(now, sent, is_persistent, lost_bytes);
    }

    fn on_mtu_update(&mut self, new_mtu: u16) {
        self.cubic.on_mtu_update(new_mtu);
    }

    fn window(&self) -> u64 {
        // Nor are packets paced with that.
        if self.is_over.load(Ordering::Relaxed) { u64::MAX } else { self.cubic.window() }
    }

    fn clone_box(&self) -> Box<dyn Controller> {
        Box::new(self.clone())
    }

    fn initial_window(&self) -> u64 {
        self.cubic.initial_window()
    }

    fn into_any(self: Box<Self>) -> Box<dyn Any> {
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[expect(clippy::disallowed_methods, reason = "there is no other way to get an instant")]
    fn a_closed_connection_is_not_held_back() {
        let controller = Arc::new(Congestions::starting_at(20_000)).build(Instant::now(), 1200);
        let on_another_path = controller.clone_box();
        assert_eq!((controller.window(), controller.initial_window()), (20_000, 20_000));
        release(&*controller);
        assert_eq!((controller.window(), on_another_path.window()), (u64::MAX, u64::MAX));
        assert_eq!(controller.initial_window(), 20_000);
    }
}
