//! Heads of which a part is missing are bounded together (RFC 9114 §10.5).

use super::*;

/// How many bytes of a section fit the limit of a client, and a frame of as many.
const LENGTH: usize = 2 * 2000 + 1024;

fn client() -> Client {
    let mut limits = HttpLimits::default();
    limits.head.max_head_bytes = 2000;
    Client::with_limits(Http3Limits::default(), limits)
}

fn long() -> Vec<u8> {
    frame(HEADERS, &[0; LENGTH])
}

#[test]
fn as_many_wait_as_fit_and_the_next_may_be_sent_again() {
    let mut client = client();
    let long = long();
    for stream in 0..8 {
        client.send(4 * stream, &long[..LENGTH]).unwrap();
    }
    assert_eq!(client.read(), [""; 0]);
    client.send(32, &long[..LENGTH]).unwrap();
    assert_eq!(client.read(), ["32 RESET H3_REQUEST_REJECTED", "32 STOP H3_REQUEST_REJECTED"]);
    assert_eq!(client.events(), [""; 0], "the application does not know of it");
    client.get(36);
    assert_eq!(client.events(), ["36 GET /", "36 body |"], "what is complete is served");
    client.reset(0).unwrap();
    client.read();
    client.send(40, &long[..LENGTH]).unwrap();
    assert_eq!(client.read(), [""; 0], "there is room again");
}

#[test]
fn byte_by_byte_it_is_the_same() {
    let mut client = client();
    let long = long();
    let mut rejected = Vec::new();
    for length in 0..LENGTH {
        for stream in 0..12 {
            // As the caller, which does not name a stream that is closed.
            if !rejected.contains(&(4 * stream)) {
                client.send(4 * stream, &long[length..=length]).unwrap();
                assert_eq!(
                    client.session.is_finished(StreamId(4 * stream)),
                    client.session.streams.get(StreamId(4 * stream)).is_none()
                );
                rejected.extend(client.finished());
            }
        }
    }
    assert_eq!(rejected.len(), 4);
    let held: usize = client.session.streams.iter().map(|stream| stream.input.bytes.len()).sum();
    assert!(held <= 8 * LENGTH, "{held}");
    assert!(held >= 7 * LENGTH, "{held}");
}

#[test]
fn trailers_count_as_well_and_their_request_is_not_sent_again() {
    let mut client = client();
    let long = long();
    for stream in 0..9 {
        client.post(4 * stream);
        client.events();
        client.send(4 * stream, &long[..LENGTH]).unwrap();
    }
    assert_eq!(client.events(), ["32 aborted Broken(TooLongPartialHeads)"]);
    assert_eq!(client.read()[..2], ["32 RESET H3_EXCESSIVE_LOAD", "32 STOP H3_EXCESSIVE_LOAD"]);
}

#[test]
fn what_waits_for_the_application_is_not_counted() {
    let mut client = client();
    client.room = 0;
    for stream in 0..20 {
        let request = headers("POST", "/", &[("a", "b".repeat(1000).as_str())]);
        client.send(4 * stream, &[request, data(&[0; LENGTH])].concat()).unwrap();
    }
    assert_eq!(client.read(), [""; 0]);
}
