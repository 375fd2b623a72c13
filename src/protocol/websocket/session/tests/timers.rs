//! Everything that happens because time passes, in simulated time.

use super::*;

const PING: &[u8] = b"\x89\x00";

const fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}

/// An idle timeout, with a ping just in time for the answer.
fn idle(timeout: u64) -> WebSocketLimits {
    pinged(timeout, 960)
}

fn pinged(timeout: u64, interval: u64) -> WebSocketLimits {
    let (idle_timeout, ping_interval) = (Some(seconds(timeout)), Some(seconds(interval)));
    WebSocketLimits { idle_timeout, ping_interval, ..LIMITS }
}

impl Fixture {
    /// Lets time pass, calling `handle_timeout` at every deadline on the way and, as callers may, at every other
    /// moment that `step` gives. Returns what was written, with the seconds since the start of the session.
    fn pass(&mut self, duration: Duration, step: Duration) -> Vec<(u64, Vec<u8>)> {
        let until = self.now + duration;
        let mut written = Vec::new();
        while self.now < until {
            let next = (self.now + step).min(until);
            self.now = self.deadline().map_or(next, |deadline| deadline.min(next).max(self.now));
            self.handle_timeout();
            assert!(self.deadline().is_none_or(|deadline| deadline > self.now), "a deadline is acted on");
            if !self.out.is_empty() {
                written.push((self.age(), self.take_out()));
            }
        }
        written
    }

    /// Seconds since the start of the session.
    fn age(&self) -> u64 {
        self.now.since(Timestamp(1_000_000)).as_secs()
    }
}

/// Spurious calls every 250 ms, calls at the deadlines only.
const STEPS: [Duration; 2] = [Duration::from_millis(250), seconds(100_000)];

#[test]
fn a_silent_peer_is_pinged_then_closed_with_1001() {
    let text = "WebSocket timed out from inactivity";
    let cases = [(8, 4), (15, 11), (16, 8), (31, 23), (32, 16), (120, 104), (960, 944)];
    for ((timeout, ping_at), step) in cases.into_iter().flat_map(|case| STEPS.map(|step| (case, step))) {
        let mut fixture = Fixture::new(&idle(timeout));
        let written = fixture.pass(seconds(2000), step);
        assert_eq!(written, [(ping_at, PING.to_vec()), (timeout, close_out(1001, text))], "{timeout}");
        assert_eq!(fixture.sink.take(), [closed_by(CloseCause::IdleTimeout)]);
        assert_eq!(CloseCause::IdleTimeout.verdict().local_code, 1006);
        assert_eq!((fixture.session.phase(), fixture.deadline()), (WebSocketPhase::Finished, None));
    }
}

#[test]
fn a_peer_that_answers_lives_on() {
    let mut fixture = Fixture::new(&idle(120));
    for round in 1..=20 {
        let written = fixture.pass(seconds(105), STEPS[0]);
        // The ping is sent 104 s after the pong, which arrived one second after the ping before.
        assert_eq!(written, [(105 * round - 1, PING.to_vec())]);
        fixture.handle_bytes(&client_frame(0x8a, b""));
        assert_eq!(fixture.sink.take(), [SinkEvent::Pong(vec![])]);
    }
}

#[test]
fn any_byte_is_a_sign_of_life() {
    let mut fixture = Fixture::new(&idle(10));
    for byte in client_frame(0x81, b"dribbled") {
        assert_eq!(fixture.pass(seconds(5), STEPS[0]), []);
        fixture.handle_bytes(&[byte]);
    }
    assert_eq!(fixture.sink.take(), [text("dribbled")]);
}

#[test]
fn an_empty_read_is_no_sign_of_life() {
    let mut fixture = Fixture::new(&idle(10));
    fixture.pass(seconds(9), STEPS[0]);
    fixture.handle_bytes(b"");
    fixture.pass(seconds(1), STEPS[0]);
    assert_eq!(fixture.sink.take(), [closed_by(CloseCause::IdleTimeout)]);
}

#[test]
fn sending_is_no_sign_of_life() {
    let mut fixture = Fixture::new(&idle(10));
    for _ in 0..10 {
        fixture.session.send(MessageKind::Text, b"anyone?", &mut fixture.out);
        fixture.session.ping(b"", fixture.now, &mut fixture.out);
        fixture.pass(seconds(1), STEPS[0]);
    }
    assert_eq!(fixture.sink.take(), [closed_by(CloseCause::IdleTimeout)]);
}

#[test]
fn without_automatic_pings_silence_ends_all_the_same() {
    let mut fixture = Fixture::new(&WebSocketLimits { ping_interval: None, ..idle(120) });
    let text = CloseCause::IdleTimeout.verdict().text;
    assert_eq!(fixture.pass(seconds(500), STEPS[0]), [(120, close_out(1001, text))]);
    assert_eq!(fixture.sink.take(), [closed_by(CloseCause::IdleTimeout)]);
}

#[test]
fn without_an_idle_timeout_nothing_ever_happens() {
    let mut fixture = Fixture::new(&LIMITS);
    assert_eq!(fixture.deadline(), None);
    assert_eq!(fixture.pass(seconds(1_000_000), STEPS[1]), []);
    fixture.assert_quiet();
}

#[test]
fn a_timeout_shorter_than_any_margin_is_no_stream_of_pings() {
    let mut fixture = Fixture::new(&idle(2));
    let written = fixture.pass(seconds(1), STEPS[0]);
    assert_eq!(written, [(1, PING.to_vec())]);
    fixture.handle_bytes(&client_frame(0x8a, b""));
    assert_eq!(fixture.deadline(), Some(fixture.now + seconds(1)));
}

#[test]
fn however_late_a_timer_is_the_peer_is_pinged_first_and_has_its_time_to_answer() {
    let text = CloseCause::IdleTimeout.verdict().text;
    for (timeout, margin) in [(2, 1), (8, 4), (16, 8), (120, 16)] {
        let mut fixture = Fixture::new(&idle(timeout));
        fixture.now = fixture.now + seconds(3 * timeout);
        fixture.handle_timeout();
        assert_eq!(fixture.take_out(), PING);
        assert_eq!(fixture.deadline(), Some(fixture.now + seconds(margin)));
        fixture.assert_quiet();
        // As late again, and the pong is processed before the timer.
        fixture.now = fixture.now + seconds(3 * timeout);
        fixture.handle_bytes(&client_frame(0x8a, b""));
        fixture.handle_timeout();
        assert_eq!(fixture.sink.take(), [SinkEvent::Pong(vec![])]);

        let start = fixture.age();
        let written = fixture.pass(seconds(2 * timeout), STEPS[1]);
        let (asked, gone) = (start + timeout - margin, start + timeout);
        assert_eq!(written, [(asked, PING.to_vec()), (gone, close_out(1001, text))]);
        assert_eq!(fixture.sink.take(), [closed_by(CloseCause::IdleTimeout)]);
    }
}

#[test]
fn a_peer_that_takes_output_is_pinged_again_before_it_counts_as_gone() {
    let mut fixture = Fixture::new(&idle(120));
    assert_eq!(fixture.pass(seconds(110), STEPS[0]), [(104, PING.to_vec())]);
    fixture.session.handle_progress(fixture.now);
    let text = CloseCause::IdleTimeout.verdict().text;
    let written = fixture.pass(seconds(500), STEPS[0]);
    assert_eq!(written, [(110 + 104, PING.to_vec()), (110 + 120, close_out(1001, text))]);
    assert_eq!(fixture.sink.take(), [closed_by(CloseCause::IdleTimeout)]);
}

#[test]
fn a_lifetime_ends_with_a_request_to_reconnect() {
    let limits = WebSocketLimits { max_lifetime: Some(seconds(3600)), ..LIMITS };
    for step in STEPS {
        let mut fixture = Fixture::new(&limits);
        fixture.pass(seconds(1800), step);
        fixture.handle_bytes(&client_frame(0x81, b"busy"));
        assert_eq!(fixture.sink.take(), [text("busy")]);
        let written = fixture.pass(seconds(1801), step);
        assert_eq!(written, [(3600, close_out(1000, "please reconnect"))]);
        let expected = SinkEvent::Closed(CloseCause::MaxLifetime, 1000, "please reconnect".to_owned());
        assert_eq!(fixture.sink.take(), [expected]);
        assert_eq!(fixture.session.phase(), WebSocketPhase::Closing);
        fixture.handle_bytes(&close_in(1000, "please reconnect"));
        assert_eq!(fixture.session.phase(), WebSocketPhase::Finished);
        fixture.assert_quiet();
    }
}

#[test]
fn keys_that_are_used_up_end_with_a_request_to_reconnect_once() {
    let mut fixture = Fixture::new(&LIMITS);
    let cause = CloseCause::TlsKeysExhausted;
    for expected in [vec![closed_by(cause)], vec![]] {
        let Fixture { session, now, limits, out, sink, .. } = &mut fixture;
        session.ask_to_reconnect(cause, *now, limits, out, sink);
        assert_eq!(fixture.sink.take(), expected);
    }
    assert_eq!(fixture.take_out(), close_out(1001, "TLS keys are used up: please reconnect"));
    assert_eq!(fixture.session.phase(), WebSocketPhase::Closing);
    fixture.handle_bytes(&close_in(1001, "TLS keys are used up: please reconnect"));
    assert_eq!(fixture.session.phase(), WebSocketPhase::Finished);
    fixture.assert_quiet();
}

#[test]
fn the_known_cause_of_a_fin_is_reported_instead_of_it() {
    let mut fixture = Fixture::new(&LIMITS);
    let Fixture { session, now, limits, sink, .. } = &mut fixture;
    session.handle_fin(CloseCause::TlsPeerKeysExhausted, *now, limits, sink);
    assert_eq!(fixture.sink.take(), [closed_by(CloseCause::TlsPeerKeysExhausted)]);
    assert_eq!(fixture.session.phase(), WebSocketPhase::Concluding);
}

#[test]
fn a_lifetime_waits_for_the_peer_no_longer_than_the_close_timeout() {
    let mut fixture = Fixture::new(&WebSocketLimits { max_lifetime: Some(seconds(60)), ..LIMITS });
    fixture.pass(seconds(60), STEPS[1]);
    fixture.take_out();
    fixture.sink.take();
    assert_eq!(fixture.deadline(), Some(fixture.now + seconds(5)));
    fixture.pass(seconds(5), STEPS[0]);
    assert_eq!((fixture.session.phase(), fixture.age()), (WebSocketPhase::Finished, 65));
    fixture.assert_quiet();
}

#[test]
fn the_earlier_of_silence_and_lifetime_ends_and_silence_if_both_are_due() {
    let limits = WebSocketLimits { max_lifetime: Some(seconds(60)), ..idle(120) };
    let mut fixture = Fixture::new(&limits);
    assert_eq!(fixture.deadline(), Some(fixture.now + seconds(60)));
    fixture.pass(seconds(60), STEPS[1]);
    assert_eq!(fixture.sink.take(), [closed_by(CloseCause::MaxLifetime)]);

    let mut fixture = Fixture::new(&WebSocketLimits { ping_interval: None, ..limits });
    fixture.now = fixture.now + seconds(120);
    fixture.handle_timeout();
    assert_eq!(fixture.sink.take(), [closed_by(CloseCause::IdleTimeout)]);
}

#[test]
fn a_peer_that_does_not_answer_end_is_not_waited_for_longer_than_the_close_timeout() {
    for step in STEPS {
        let mut fixture = Fixture::new(&idle(120));
        fixture.pass(seconds(100), step);
        fixture.end(1000, "bye");
        assert_eq!(fixture.take_out(), close_out(1000, "bye"));
        assert_eq!(fixture.deadline(), Some(fixture.now + seconds(5)));
        fixture.pass(seconds(4), step);
        // Data does not extend the wait.
        fixture.handle_bytes(&client_frame(0x81, b"still talking"));
        assert_eq!(fixture.session.phase(), WebSocketPhase::Closing);
        fixture.pass(seconds(1), step);
        assert_eq!((fixture.session.phase(), fixture.deadline()), (WebSocketPhase::Finished, None));
        fixture.assert_quiet();
    }
}

#[test]
fn an_application_that_is_busy_delays_the_close_frame_by_the_close_timeout_at_most() {
    for step in STEPS {
        let mut fixture = Fixture::new(&idle(120));
        fixture.handle_bytes(&close_in(1000, "x"));
        fixture.sink.take();
        assert_eq!(fixture.deadline(), Some(fixture.now + seconds(5)));
        assert_eq!(fixture.pass(seconds(10), step), [(5, close_out(1000, "x"))]);
        assert_eq!(fixture.session.phase(), WebSocketPhase::Finished);
        fixture.conclude();
        fixture.assert_quiet();
    }
}

#[test]
fn the_first_pong_tells_how_long_the_first_unanswered_ping_took() {
    let mut fixture = Fixture::new(&idle(120));
    let pong = client_frame(0x8a, b"");
    fixture.handle_bytes(&pong);
    assert!(fixture.sink.round_trips.is_empty(), "nobody has asked");
    fixture.pass(seconds(104), STEPS[1]);
    assert_eq!(fixture.sink.pings, 1);
    fixture.pass(seconds(1), STEPS[0]);
    fixture.session.ping(b"", fixture.now, &mut fixture.out);
    fixture.pass(seconds(2), STEPS[0]);
    fixture.handle_bytes(&pong);
    fixture.handle_bytes(&pong);
    assert_eq!(fixture.sink.round_trips, [seconds(3)]);
    fixture.session.ping(b"", fixture.now, &mut fixture.out);
    fixture.handle_bytes(&pong);
    assert_eq!(fixture.sink.round_trips, [seconds(3), seconds(0)]);
    assert_eq!(fixture.sink.pings, 1, "those of the application are its own");
}

#[test]
fn a_silent_peer_is_pinged_again_and_again_but_not_when_it_is_too_late_for_an_answer() {
    let cases = [
        ((120, 50), &[50, 100][..]),
        ((120, 60), &[60]),
        ((120, 104), &[104]),
        ((120, 26), &[26, 52, 78, 104]),
        ((8, 1), &[1, 2, 3, 4]),
        ((960, 300), &[300, 600, 900]),
    ];
    for (((timeout, interval), pings), step) in
        cases.into_iter().flat_map(|case| STEPS.map(|step| (case, step)))
    {
        let mut fixture = Fixture::new(&pinged(timeout, interval));
        let written = fixture.pass(seconds(2000), step);
        let close = (timeout, close_out(1001, CloseCause::IdleTimeout.verdict().text));
        let expected: Vec<_> = pings.iter().map(|at| (*at, PING.to_vec())).chain([close]).collect();
        assert_eq!(written, expected, "{timeout} {interval}");
        assert_eq!(fixture.sink.take(), [closed_by(CloseCause::IdleTimeout)]);
        assert_eq!(fixture.sink.pings as usize, pings.len());
    }
}

#[test]
fn pings_go_on_without_an_idle_timeout() {
    let limits = WebSocketLimits { ping_interval: Some(seconds(30)), ..LIMITS };
    for step in STEPS {
        let mut fixture = Fixture::new(&limits);
        let written = fixture.pass(seconds(100), step);
        assert_eq!(written, [30, 60, 90].map(|at| (at, PING.to_vec())));
        fixture.handle_bytes(&client_frame(0x8a, b""));
        fixture.sink.take();
        assert_eq!(fixture.pass(seconds(30), step), [(130, PING.to_vec())]);
        fixture.assert_quiet();
    }
}

#[test]
fn a_peer_that_answers_each_ping_is_silent_for_no_longer_than_the_interval() {
    let mut fixture = Fixture::new(&pinged(120, 50));
    for round in 1..=20 {
        assert_eq!(fixture.pass(seconds(50), STEPS[0]), [(50 * round, PING.to_vec())]);
        fixture.handle_bytes(&client_frame(0x8a, b""));
    }
    fixture.sink.take();
    fixture.assert_quiet();
}

#[test]
fn a_ping_that_goes_out_late_leaves_the_peer_its_time_to_answer() {
    let mut fixture = Fixture::new(&pinged(120, 50));
    fixture.now = fixture.now + seconds(119);
    fixture.handle_timeout();
    assert_eq!(fixture.take_out(), PING);
    assert_eq!(fixture.deadline(), Some(fixture.now + seconds(16)));
}

#[test]
fn the_usual_interval_is_in_time_for_an_answer_and_for_most_proxies() {
    let usual = |idle| WebSocketLimits::usual_ping_interval(Some(seconds(idle)));
    for (idle, interval) in [(8, 4), (15, 11), (32, 16), (60, 44), (61, 45), (120, 45), (960, 45)] {
        assert_eq!(usual(idle), Some(seconds(interval)));
    }
    assert_eq!(WebSocketLimits::usual_ping_interval(None), None);
}

#[cfg(target_pointer_width = "64")]
#[test]
fn a_session_is_small() {
    assert!(size_of::<WebSocketSession>() <= 56, "{} bytes", size_of::<WebSocketSession>());
}
