//! Windows in both directions, and what they stop.

use super::*;

#[test]
fn a_response_stops_at_the_window_of_its_stream() {
    let mut client = Client::new();
    client.send(&setting(INITIAL_WINDOW_SIZE, 10)).unwrap();
    client.get(1);
    client.answer(1, "0123456789abcde");
    assert_eq!(client.read()[1..], ["HEADERS 1 :status=200 content-length=15", "DATA 1 10"]);
    assert_eq!(client.session.queued(StreamId(1)), 5);
    client.send(&window_update(1, 2)).unwrap();
    assert_eq!(client.read(), ["DATA 1 2"]);
    client.send(&window_update(1, 1000)).unwrap();
    assert_eq!(client.read(), ["DATA 1 3 end"]);
    assert_eq!(client.finished(), [1]);
}

#[test]
fn a_stream_that_waits_for_its_window_delays_no_other() {
    let mut client = Client::new();
    client.send(&setting(INITIAL_WINDOW_SIZE, 4)).unwrap();
    client.get(1);
    client.answer(1, "stuck here");
    client.get(3);
    client.answer(3, "free");
    let lines = client.read();
    assert_eq!(lines.last().map(String::as_str), Some("DATA 3 4 end"), "{lines:?}");
}

#[test]
fn the_window_of_the_connection_is_shared() {
    let mut client = Client::new();
    client.send(&setting(INITIAL_WINDOW_SIZE, 1 << 20)).unwrap();
    client.get(1);
    client.get(3);
    client.start(1);
    client.write(1, &[0; 60_000]);
    client.start(3);
    client.write(3, &[0; 60_000]);
    let lines = client.read();
    let sent = |lines: &[String], stream: u32| -> usize {
        let prefix = format!("DATA {stream} ");
        lines.iter().filter_map(|line| line.strip_prefix(&prefix)?.parse::<usize>().ok()).sum()
    };
    assert_eq!((sent(&lines, 1), sent(&lines, 3)), (60_000, 5_535), "{lines:?}");
    client.send(&window_update(0, 100_000)).unwrap();
    let lines = client.read();
    assert_eq!((sent(&lines, 1), sent(&lines, 3)), (0, 54_465));
}

#[test]
fn a_smaller_initial_window_makes_windows_negative() {
    let mut client = Client::new();
    client.get(1);
    client.start(1);
    client.write(1, &[0; 10]);
    client.read();
    client.send(&setting(INITIAL_WINDOW_SIZE, 5)).unwrap();
    client.write(1, b"x");
    assert_eq!(client.read(), ["SETTINGS ack"]);
    client.send(&window_update(1, 5)).unwrap();
    assert_eq!(client.read(), [""; 0], "0 by now");
    client.send(&setting(INITIAL_WINDOW_SIZE, 6)).unwrap();
    assert_eq!(client.read(), ["SETTINGS ack", "DATA 1 1"]);
}

#[test]
fn the_end_needs_no_window() {
    let mut client = Client::new();
    client.send(&setting(INITIAL_WINDOW_SIZE, 0)).unwrap();
    client.get(1);
    client.start(1);
    client.finish(1);
    assert_eq!(client.read()[1..], ["HEADERS 1 :status=200", "DATA 1 0 end"]);
}

#[test]
fn a_body_is_given_room_as_it_is_passed_on() {
    let limits = Http2Limits { stream_window: 1_000, connection_window: 65_535, ..Http2Limits::default() };
    let mut client = Client::with_limits(limits, HttpLimits::default());
    client.post(1);
    client.send(&data(1, &[b'x'; 499], false)).unwrap();
    assert_eq!(client.read(), [""; 0]);
    client.send(&data(1, b"x", false)).unwrap();
    assert_eq!(client.read(), ["WINDOW_UPDATE 1 500"]);
    client.send(&data(1, &[b'x'; 1_000], false)).unwrap();
    assert_eq!(client.read(), ["WINDOW_UPDATE 1 1000"]);
    client.send(&data(1, &[b'x'; 1_000], true)).unwrap();
    assert_eq!(client.read(), [""; 0], "none for a stream that the client has ended");
    assert_eq!(client.events()[1].len(), "1 body ".len() + 2_500 + 1);
}

#[test]
fn a_body_that_is_paused_stops_its_sender_and_nobody_else() {
    let limits = Http2Limits { stream_window: 1_000, connection_window: 65_535, ..Http2Limits::default() };
    let mut client = Client::with_limits(limits, HttpLimits::default());
    client.post(1);
    client.post(3);
    let pause = |client: &mut Client, is_paused| {
        client.with(|session, moment, out, _| session.set_paused(StreamId(1), is_paused, moment.now, out));
    };
    pause(&mut client, true);
    client.send(&data(1, &[b'x'; 1_000], false)).unwrap();
    assert_eq!(client.read(), [""; 0]);
    for _ in 0..100 {
        client.send(&data(3, &[b'y'; 1_000], false)).unwrap();
    }
    let lines = client.read();
    let updates = |prefix: &str| lines.iter().filter(|line| line.starts_with(prefix)).count();
    assert_eq!((updates("WINDOW_UPDATE 3"), updates("WINDOW_UPDATE 1")), (100, 0));
    assert!(
        updates("WINDOW_UPDATE 0") >= 2,
        "the paused kilobyte does not hold the connection up: {lines:?}"
    );
    pause(&mut client, false);
    assert_eq!(client.read(), ["WINDOW_UPDATE 1 1000"]);
    // Beyond its window the client must not send.
    pause(&mut client, true);
    client.send(&data(1, &[b'x'; 1_000], false)).unwrap();
    client.send(&data(1, b"x", false)).unwrap();
    assert_eq!(client.read(), ["RST_STREAM 1 FLOW_CONTROL_ERROR"]);
}

#[test]
fn padding_and_what_is_discarded_count_for_the_connection() {
    let limits = Http2Limits { connection_window: 65_535, ..Http2Limits::default() };
    let mut client = Client::with_limits(limits, HttpLimits::default());
    client.post(1);
    client.answer(1, "");
    client.read();
    // Of a stream that is closed.
    for _ in 0..2 {
        client.send(&data(1, &[0; 16_384], false)).unwrap();
    }
    assert_eq!(client.read(), ["WINDOW_UPDATE 0 32768"]);
    client.post(3);
    let padded = [&[255][..], &[0; 255]].concat();
    for _ in 0..128 {
        client.send_frame(DATA, 0x8, 3, &padded).unwrap();
    }
    assert_eq!(client.read(), ["WINDOW_UPDATE 0 32768"]);
}

#[test]
fn what_is_framed_ahead_of_the_socket_is_bounded() {
    let mut client = Client::new();
    client.send(&[setting(INITIAL_WINDOW_SIZE, 1 << 30), window_update(0, 1 << 30)].concat()).unwrap();
    client.read();
    client.get(1);
    client.start(1);
    client.write(1, &vec![0; 10_000_000]);
    client.with(|session, moment, out, _| {
        session.write_output(moment, out);
    });
    assert!((65_536..65_536 + 16_400).contains(&client.out.len()), "{}", client.out.len());
    let mut total = 0;
    while !client.out.is_empty() {
        total += client.out.len();
        client.out.clear();
        client.with(|session, moment, out, _| {
            session.write_output(moment, out);
        });
    }
    assert!((10_000_000..10_010_000).contains(&total));
}
