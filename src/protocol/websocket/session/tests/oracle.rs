//! Passes the same bytes to our session and to tungstenite's: both accept the same streams, with the same messages and
//! answers.
//!
//! Known differences, on purpose:
//! - Lengths in a longer form than needed are refused here, accepted there.
//! - Close code 1014 is accepted here, refused there (it was registered later).
//! - A broken rule is detected here as soon as it is certain, there when the frame is complete. So when only we refuse,
//!   the frame is completed for tungstenite with zeros, and it must refuse then.

use std::io::{self, Read, Write};
use std::ops::Range;

use proptest::prelude::*;
use proptest::sample::Index;
use tokio_tungstenite::tungstenite::protocol::{Message, Role, WebSocket, WebSocketConfig};

use super::*;

/// How a stream ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ending {
    /// The connection is open.
    Open,
    /// By a Close frame that was accepted.
    Closed,
    /// By a broken rule.
    Refused,
}

/// The result of a stream at one implementation.
#[derive(Debug, PartialEq, Eq)]
struct Observation {
    /// Messages, pings and pongs.
    events: Vec<SinkEvent>,
    ending: Ending,
    /// Pongs and Close frame.
    out: Vec<u8>,
}

/// A socket that has received `input` and no end of the stream.
struct Wire {
    input: io::Cursor<Vec<u8>>,
    output: Vec<u8>,
}

impl Read for Wire {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self.input.read(buffer)? {
            0 => Err(io::ErrorKind::WouldBlock.into()),
            length => Ok(length),
        }
    }
}

impl Write for Wire {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.output.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn tungstenite(bytes: Vec<u8>) -> Observation {
    use tokio_tungstenite::tungstenite::Error;
    let limit = Some(LIMITS.max_payload_length as usize);
    let config = WebSocketConfig::default().max_message_size(limit).max_frame_size(limit);
    let wire = Wire { input: io::Cursor::new(bytes), output: Vec::new() };
    let mut socket = WebSocket::from_raw_socket(wire, Role::Server, Some(config));
    let mut events = Vec::new();
    let mut ending = Ending::Open;
    loop {
        match socket.read() {
            Ok(Message::Text(text)) => {
                events.push(SinkEvent::Message(MessageKind::Text, text.as_bytes().to_vec()));
            }
            Ok(Message::Binary(payload)) => {
                events.push(SinkEvent::Message(MessageKind::Binary, payload.to_vec()));
            }
            Ok(Message::Ping(payload)) => events.push(SinkEvent::Ping(payload.to_vec())),
            Ok(Message::Pong(payload)) => events.push(SinkEvent::Pong(payload.to_vec())),
            // Its answer to a code that must not be sent.
            Ok(Message::Close(Some(frame))) if frame.reason.as_str() == "Protocol violation" => {
                ending = Ending::Refused;
            }
            Ok(Message::Close(_)) => ending = Ending::Closed,
            Ok(Message::Frame(frame)) => panic!("{frame} is never read"),
            Err(Error::Io(error)) if error.kind() == io::ErrorKind::WouldBlock => break,
            Err(Error::ConnectionClosed) => break,
            Err(_) => {
                ending = Ending::Refused;
                break;
            }
        }
    }
    Observation { events, ending, out: socket.get_ref().output.clone() }
}

/// Also returns the cause and the code of the end.
fn ours(pieces: &[&[u8]]) -> (Observation, Option<(CloseCause, u16)>) {
    let Outcome { mut events, out, phase } = run(pieces);
    let Some(SinkEvent::Closed(cause, code, _)) = events.last() else {
        assert_eq!(phase, WebSocketPhase::Open);
        return (Observation { events, ending: Ending::Open, out }, None);
    };
    let end = Some((*cause, *code));
    let ending = match cause {
        CloseCause::PeerClosed | CloseCause::PeerClosedWithoutCode => Ending::Closed,
        _ => Ending::Refused,
    };
    events.pop();
    (Observation { events, ending, out }, end)
}

/// Compares the two on one stream, which our session receives in `pieces`.
fn compare(pieces: &[&[u8]]) -> Result<(), TestCaseError> {
    let mut bytes = pieces.concat();
    let (ours, end) = ours(pieces);
    let mut theirs = tungstenite(bytes.clone());
    if ours.ending == Ending::Refused && theirs.ending == Ending::Open {
        // Not zeros: behind the head of a control frame that is too long they would be a length that is not.
        bytes.resize(bytes.len() + 14 + LIMITS.max_payload_length as usize, 1);
        theirs = tungstenite(bytes);
    }
    match end {
        Some((CloseCause::NonMinimalLength, _)) => {
            prop_assert!(theirs.events.starts_with(&ours.events));
        }
        Some((CloseCause::PeerClosed, 1014)) => {
            prop_assert_eq!(theirs.ending, Ending::Refused);
            prop_assert_eq!(theirs.events, ours.events);
        }
        _ => {
            prop_assert_eq!(theirs.ending, ours.ending);
            prop_assert_eq!(theirs.events, ours.events);
            if ours.ending != Ending::Refused {
                prop_assert_eq!(theirs.out, ours.out);
            }
        }
    }
    Ok(())
}

/// `payload` as a message whose frames end at `cuts`, with the control frames `between` between them.
fn message_frames(opcode: u8, payload: &[u8], cuts: Vec<Index>, between: &[u8]) -> Vec<u8> {
    let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.index(payload.len() + 1)).collect();
    cuts.extend([0, payload.len()]);
    cuts.sort_unstable();
    let last = cuts.len() - 2;
    let mut bytes = Vec::new();
    for (position, range) in cuts.windows(2).enumerate() {
        let opcode = if position == 0 { opcode } else { 0 };
        let fin = if position == last { 0x80 } else { 0 };
        bytes.extend(client_frame(fin | opcode, &payload[range[0]..range[1]]));
        if position != last {
            bytes.extend(between);
        }
    }
    bytes
}

/// Text that is mostly valid, of all lengths up to beyond the limit.
fn text_payload() -> impl Strategy<Value = Vec<u8>> {
    let short =
        prop::collection::vec(any::<char>(), 0..40).prop_map(|text| String::from_iter(text).into_bytes());
    prop_oneof![
        6 => short,
        1 => "[a-zé€😀]{100,400}".prop_map(String::into_bytes),
        1 => prop::collection::vec(any::<u8>(), 0..6),
    ]
}

/// Bytes; a few values are long enough for another form of the length or beyond the limit.
fn bytes(often: Range<usize>, seldom: Range<usize>) -> impl Strategy<Value = Vec<u8>> {
    list(any::<u8>(), often, seldom)
}

/// A list that is sometimes longer than usual.
fn list<T: Strategy + Clone>(
    element: T,
    often: Range<usize>,
    seldom: Range<usize>,
) -> impl Strategy<Value = Vec<T::Value>> {
    prop_oneof![4 => prop::collection::vec(element.clone(), often), 1 => prop::collection::vec(element, seldom)]
}

fn control_frame() -> impl Strategy<Value = Vec<u8>> {
    (prop::sample::select(vec![0x89, 0x8a]), bytes(0..20, 120..126))
        .prop_map(|(first, payload)| client_frame(first, &payload))
}

fn close_frame() -> impl Strategy<Value = Vec<u8>> {
    let code = prop_oneof![4 => 1000..1017u16, 2 => 3000..5001u16, 1 => any::<u16>()];
    let frame = (code, "[a-é€]{0,40}").prop_map(|(code, reason)| close_in(code, &reason));
    prop_oneof![6 => frame, 1 => bytes(0..3, 3..6).prop_map(|payload| client_frame(0x88, &payload))]
}

/// One step of a peer: mostly a rule-abiding one.
fn step() -> impl Strategy<Value = Vec<u8>> {
    let cuts = || list(any::<Index>(), 0..1, 1..4);
    let between = || prop_oneof![2 => Just(Vec::new()), 1 => control_frame()];
    prop_oneof![
        6 => (text_payload(), cuts(), between())
            .prop_map(|(payload, cuts, between)| message_frames(1, &payload, cuts, &between)),
        6 => (bytes(0..130, 120..1010), cuts(), between())
            .prop_map(|(payload, cuts, between)| message_frames(2, &payload, cuts, &between)),
        3 => control_frame(),
        1 => close_frame(),
        // Any first byte, right or wrong at this place.
        1 => (any::<u8>(), prop::collection::vec(any::<u8>(), 0..130))
            .prop_map(|(first, payload)| client_frame(first, &payload)),
        1 => prop::collection::vec(any::<u8>(), 0..20),
    ]
}

/// A stream of steps, some of its bits flipped, and where it is cut.
fn stream() -> impl Strategy<Value = (Vec<u8>, Vec<Index>)> {
    let flips = list((any::<Index>(), 0..8u8), 0..1, 1..4);
    let cuts = prop::collection::vec(any::<Index>(), 0..6);
    (prop::collection::vec(step(), 1..8), flips, cuts).prop_map(|(steps, flips, cuts)| {
        let mut bytes = steps.concat();
        if !bytes.is_empty() {
            for (place, bit) in flips {
                let place = place.index(bytes.len());
                bytes[place] ^= 1 << bit;
            }
        }
        (bytes, cuts)
    })
}

/// Cuts `bytes` at the places that `cuts` say.
fn cut(bytes: &[u8], cuts: Vec<Index>) -> Vec<&[u8]> {
    let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.index(bytes.len() + 1)).collect();
    cuts.extend([0, bytes.len()]);
    cuts.sort_unstable();
    cuts.windows(2).map(|range| &bytes[range[0]..range[1]]).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn tungstenite_reads_the_same((bytes, cuts) in stream()) {
        compare(&cut(&bytes, cuts))?;
    }
}

#[test]
fn the_known_differences_are_as_described() {
    let long_form = b"\x81\xfe\x00\x02\0\0\0\0hi";
    assert_eq!(ours(&[long_form]).1, Some((CloseCause::NonMinimalLength, 1006)));
    assert_eq!(tungstenite(long_form.to_vec()).events, [text("hi")]);

    let bad_gateway = close_in(1014, "");
    assert_eq!(ours(&[&bad_gateway]).0.ending, Ending::Closed);
    assert_eq!(tungstenite(bad_gateway).ending, Ending::Refused);

    // We refuse it by its first two bytes, tungstenite when it has all of it.
    let long_close = b"\x88\xfe";
    compare(&[long_close]).unwrap();

    let certain = b"\x83";
    assert_eq!(ours(&[certain]).0.ending, Ending::Refused);
    assert_eq!(tungstenite(certain.to_vec()).ending, Ending::Open);
}
