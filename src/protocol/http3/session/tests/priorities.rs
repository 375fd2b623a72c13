//! Whose turn it is (RFC 9218).

use super::*;

/// The streams in the order in which pieces of them are sent.
fn order(client: &mut Client) -> Vec<u64> {
    let mut order = Vec::new();
    while let Some(output) = client.session.next_output() {
        let (id, length) = (output.stream, output.bytes.len());
        client.with(|session, moment, _| session.note_written(id, length, moment));
        order.push(id.0);
    }
    order
}

fn get(client: &mut Client, stream: u64, priority: &str) {
    client.send_last(stream, &headers("GET", "/", &[("priority", priority)])).unwrap();
}

#[test]
fn more_urgent_responses_come_first_and_those_of_equal_urgency_in_order() {
    let mut client = Client::new();
    for (stream, priority) in [(0, "u=5"), (4, "u=3"), (8, "u=0"), (12, "u=3")] {
        get(&mut client, stream, priority);
        client.answer(stream, &"x".repeat(100_000));
    }
    assert_eq!(client.actions(), ["0 urgency 5", "8 urgency 0"]);
    assert_eq!(order(&mut client), [8, 4, 12, 0]);
}

#[test]
fn incremental_responses_take_turns_as_do_those_without_a_priority() {
    for priority in [Some("i"), None] {
        let mut client = Client::new();
        for stream in [0, 4] {
            match priority {
                Some(priority) => get(&mut client, stream, priority),
                None => client.get(stream),
            }
            client.answer(stream, &"x".repeat(40_000));
        }
        assert_eq!(order(&mut client), [0, 4, 0, 4, 0, 4], "{priority:?}");
    }
}

#[test]
fn a_frame_says_another_priority_before_and_after_its_request() {
    let mut client = Client::new();
    let update =
        |stream: u64, value: &str| frame(PRIORITY_UPDATE, &[&number(stream)[..], value.as_bytes()].concat());
    client.send(CONTROL, &update(4, "u=1")).unwrap();
    for stream in [0, 4, 8] {
        get(&mut client, stream, "u=2");
        client.answer(stream, "x");
    }
    assert_eq!(client.actions(), ["0 urgency 2", "4 urgency 1", "8 urgency 2"]);
    client.send(CONTROL, &update(8, "u=0")).unwrap();
    assert_eq!(client.actions(), ["8 urgency 0"]);
    assert_eq!(order(&mut client), [8, 4, 0]);
}

#[test]
fn what_the_connection_needs_precedes_all_responses() {
    let mut client = Client::new();
    client.get(0);
    client.answer(0, "a");
    client.with(|session, moment, _| session.wind_down(std::time::Duration::ZERO, moment.now));
    assert_eq!(order(&mut client), [3, 0]);
}
