//! Whose turn it is (RFC 9218).

use super::*;

/// A client with room for everything.
fn client() -> Client {
    let mut client = Client::new();
    client.send(&[setting(INITIAL_WINDOW_SIZE, 1 << 30), window_update(0, 1 << 30)].concat()).unwrap();
    client.read();
    client
}

/// Requests with these `priority` fields (none if it is empty), on streams 1, 3, … The output is full when they are
/// answered, each with `length` bytes.
fn ask(client: &mut Client, priorities: &[&str], length: usize) {
    for (stream, priority) in (1..).step_by(2).zip(priorities) {
        let fields = [("priority", *priority)];
        client.request(stream, "GET", "/", if priority.is_empty() { &[] } else { &fields }, true);
    }
    client.out.resize(1 << 20, 0);
    for stream in (1..).step_by(2).take(priorities.len()) {
        client.start(stream);
        client.write(stream, &vec![0; length]);
        client.finish(stream);
    }
    client.out.clear();
}

/// The streams in the order of their DATA frames.
fn order(client: &mut Client) -> Vec<u32> {
    let mut order = Vec::new();
    loop {
        let lines = client.read();
        if lines.is_empty() {
            return order;
        }
        order.extend(lines.iter().map(|line| line.split(' ').nth(1).unwrap().parse::<u32>().unwrap()));
    }
}

#[test]
fn the_more_urgent_come_first() {
    let mut client = client();
    ask(&mut client, &["u=7", "u=3", "u=0", "u=1"], 20_000);
    assert_eq!(order(&mut client), [5, 5, 7, 7, 3, 3, 1, 1]);
}

#[test]
fn what_is_not_incremental_comes_in_the_order_of_its_requests_and_what_is_takes_turns() {
    let mut client = client();
    ask(&mut client, &["u=3", "i", "u=3", "i"], 20_000);
    assert_eq!(order(&mut client), [1, 1, 5, 5, 3, 7, 3, 7]);
}

#[test]
fn clients_that_say_nothing_share() {
    let mut client = client();
    ask(&mut client, &["", "", ""], 40_000);
    assert_eq!(order(&mut client), [1, 3, 5, 1, 3, 5, 1, 3, 5]);
}

#[test]
fn priority_update_changes_what_is_open_and_announces_what_is_not() {
    let mut client = client();
    let update = |stream: u32, value: &str| {
        frame(PRIORITY_UPDATE, 0, 0, &[&stream.to_be_bytes()[..], value.as_bytes()].concat())
    };
    client.send(&update(5, "u=0")).unwrap();
    client.send(&update(5, "u=1")).unwrap();
    ask(&mut client, &["u=2", "u=3", "u=7"], 20_000);
    client.send(&update(3, "u=0")).unwrap();
    // One for a stream that is closed has no effect.
    assert_eq!(order(&mut client), [3, 3, 5, 5, 1, 1]);
    client.send(&update(3, "u=0")).unwrap();
    assert_eq!(client.session.early_priorities.len(), 0);
}

#[test]
fn priorities_of_streams_that_never_come_are_not_kept_for_ever() {
    let mut client = client();
    for stream in (1..2_001_u32).step_by(2).take(900) {
        client.send_frame(PRIORITY_UPDATE, 0, 0, &[&stream.to_be_bytes()[..], b"u=0"].concat()).unwrap();
    }
    assert_eq!(client.session.early_priorities.len(), 32);
    client.get(1_999);
    assert_eq!(client.session.early_priorities.len(), 0);
}
