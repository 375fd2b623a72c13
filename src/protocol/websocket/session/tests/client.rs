//! A session in the role of a client: against bytes of a server, and against a session in the role of the server.

use proptest::prelude::*;

use super::*;
use crate::protocol::websocket::extensions::Compression;
use crate::protocol::websocket::frame::{FrameKind, Header, Masking};
use crate::protocol::websocket::mask;
use crate::testing::split::same_at_every_split;

/// A fixture whose session is a client's.
fn client(limits: &WebSocketLimits) -> Fixture {
    let mut fixture = Fixture::new(limits);
    fixture.session = WebSocketSession::with_role(Role::client([1; 32]), fixture.now, None);
    fixture
}

/// A frame as a server sends it.
fn bare(first: u8, payload: &[u8]) -> Vec<u8> {
    assert!(payload.len() <= 125);
    [&[first, payload.len() as u8], payload].concat()
}

/// First bytes and payloads of the frames that a client has sent, all of them masked.
fn frames_of(mut out: &[u8]) -> Vec<(u8, Vec<u8>)> {
    let rules = FrameRules::new(1 << 20, false, Masking::Required);
    let (mut frames, mut in_progress) = (Vec::new(), None);
    while !out.is_empty() {
        let header = Header::parse(out, in_progress, rules).unwrap().unwrap();
        if let FrameKind::Data(announced) = header.kind {
            in_progress = (!header.is_final).then_some(announced);
        }
        let mut payload = out[header.size..][..header.length].to_vec();
        mask::unmask(&mut payload, header.key, 0);
        frames.push((out[0], payload));
        out = &out[header.size + header.length..];
    }
    frames
}

/// The result of a server's bytes at a client.
#[derive(Debug, PartialEq, Eq)]
struct Seen {
    events: Vec<SinkEvent>,
    frames: Vec<(u8, Vec<u8>)>,
    first: TcpCloser,
}

/// Passes the pieces to a new client, and concludes.
fn run(pieces: &[&[u8]]) -> Seen {
    let mut fixture = client(&LIMITS);
    for piece in pieces {
        fixture.handle_bytes(piece);
    }
    fixture.conclude();
    let (frames, first) = (frames_of(&fixture.out), fixture.session.tcp_closer());
    Seen { events: fixture.sink.events, frames, first }
}

#[test]
fn frames_of_a_server_are_read_and_answers_are_masked() {
    let bytes = [bare(0x81, b"hi"), bare(0x02, b"a"), bare(0x89, b"p"), bare(0x80, b"b"), bare(0x8a, b"")];
    let Seen { events, frames, .. } = same_at_every_split(&bytes.concat(), run);
    let binary = SinkEvent::Message(MessageKind::Binary, b"ab".to_vec());
    let expected = [text("hi"), SinkEvent::Ping(b"p".to_vec()), binary, SinkEvent::Pong(Vec::new())];
    assert_eq!(events, expected);
    assert_eq!(frames, [(0x8a, b"p".to_vec())]);
}

#[test]
fn a_masked_frame_ends_it_at_its_second_byte() {
    for masked in [client_frame(0x81, b"hello"), client_frame(0x89, b""), b"\x81\xfe".to_vec()] {
        let bytes = [bare(0x81, b"hi"), masked].concat();
        let Seen { events, frames, first } = same_at_every_split(&bytes, run);
        assert_eq!(events, [text("hi"), closed_by(CloseCause::MaskedFrame)]);
        let expected =
            [&1002_u16.to_be_bytes()[..], CloseCause::MaskedFrame.verdict().text.as_bytes()].concat();
        assert_eq!(frames, [(0x88, expected)]);
        assert_eq!(first, TcpCloser::Us);
    }
    let mut fixture = client(&LIMITS);
    fixture.handle_bytes(b"\x81\x80");
    assert_eq!(fixture.sink.take(), [closed_by(CloseCause::MaskedFrame)]);
}

#[test]
fn the_other_rules_are_those_of_a_server() {
    let cases: [(&[u8], CloseCause); 12] = [
        (b"\xc1\x00", CloseCause::ReservedBits),
        (b"\x83\x00", CloseCause::ReservedOpcode),
        (b"\x09\x00", CloseCause::FragmentedControl),
        (b"\x89\x7e\x00\x7e", CloseCause::ControlTooLong),
        (b"\x80\x00", CloseCause::UnexpectedContinuation),
        (b"\x01\x00\x81\x00", CloseCause::ExpectedContinuation),
        (b"\x81\x7e\x00\x05", CloseCause::NonMinimalLength),
        (b"\x82\x7f\x80\x00\x00\x00\x00\x00\x00\x00", CloseCause::LengthOverflow),
        (b"\x88\x01\x03", CloseCause::ClosePayloadTruncated),
        (b"\x88\x02\x03\xed", CloseCause::CloseCodeInvalid),
        (b"\x81\x7e\x03\xe9", CloseCause::FrameTooBig),
        (b"\x81\x01\xff", CloseCause::InvalidUtf8),
    ];
    for (broken, cause) in cases {
        let Seen { events, frames, first } = same_at_every_split(broken, run);
        assert_eq!(events, [closed_by(cause)], "{broken:x?}");
        let code = cause.verdict().wire_code.unwrap();
        assert_eq!(frames[0].1[..2], code.to_be_bytes());
        assert_eq!((frames.len(), first), (1, TcpCloser::Us));
    }
}

#[test]
fn everything_that_goes_out_is_masked() {
    let ping_interval = Some(Duration::from_secs(30));
    let mut fixture = client(&WebSocketLimits { ping_interval, ..LIMITS });
    let Fixture { session, codecs, out, .. } = &mut fixture;
    session.send(MessageKind::Text, b"text", out);
    session.send(MessageKind::Binary, &[5; 70_000], out);
    session.send_fragment(Fragment::First { kind: MessageKind::Text, compress: false }, b"a", codecs, out);
    session.send_fragment(Fragment::Middle, b"", codecs, out);
    session.send_fragment(Fragment::Last, b"b", codecs, out);
    session.ping(b"ping", Timestamp(0), out);
    fixture.now = fixture.deadline().unwrap();
    fixture.handle_timeout();
    fixture.end(4000, "enough");
    let frames = frames_of(&fixture.out);
    let first: Vec<u8> = frames.iter().map(|(first, _)| *first).collect();
    assert_eq!(first, [0x81, 0x82, 0x01, 0x00, 0x80, 0x89, 0x89, 0x88]);
    assert_eq!(frames[1].1, [5; 70_000]);
    assert_eq!(frames[7].1, b"\x0f\xa0enough");
}

#[test]
fn the_server_leaves_first_where_close_frames_were_exchanged() {
    // RFC 6455 §7.1.1.
    let first = |act: fn(&mut Fixture)| {
        let mut fixture = client(&LIMITS);
        act(&mut fixture);
        assert_eq!(fixture.session.phase(), WebSocketPhase::Finished);
        fixture.session.tcp_closer()
    };
    let by_server = first(|it| {
        it.handle_bytes(b"\x88\x02\x03\xe8");
        it.conclude();
    });
    let by_us = first(|it| {
        it.end(1000, "");
        it.handle_bytes(b"\x88\x02\x03\xe8");
    });
    let both = first(|it| {
        it.handle_bytes(b"\x88\x02\x03\xe8");
        it.end(1000, "");
    });
    assert_eq!([by_server, by_us, both], [TcpCloser::Peer; 3]);
    let silent = first(|it| {
        it.end(1000, "");
        it.now = it.deadline().unwrap();
        it.handle_timeout();
    });
    let broken = first(|it| {
        it.end(1000, "");
        it.handle_bytes(b"\x83");
    });
    let aborted = first(|it| it.session.abort(CloseCause::ApplicationClosed, &mut it.out));
    let gone = first(|it| {
        it.handle_fin();
        it.conclude();
    });
    assert_eq!([silent, broken, aborted, gone], [TcpCloser::Us; 4]);
}

#[test]
fn a_server_always_leaves_first() {
    let mut fixture = Fixture::new(&LIMITS);
    fixture.handle_bytes(&close_in(1000, ""));
    fixture.conclude();
    assert_eq!(fixture.session.tcp_closer(), TcpCloser::Us);
}

proptest! {
    /// What either end sends arrives at the other, however it is cut, compressed or not.
    #[test]
    fn client_and_server_understand_each_other(
        messages in prop::collection::vec((any::<bool>(), any::<bool>(), 0..900usize), 1..20),
        compressed: bool,
        cut in 1..40usize,
    ) {
        let agreement = compressed.then(|| {
            let offered = Compression::from_option(248 | 3840).unwrap().unwrap();
            offered.negotiate(offered.offer().as_bytes()).unwrap().unwrap()
        });
        let mut server = Fixture::new(&LIMITS);
        server.session = WebSocketSession::new(server.now, agreement);
        let mut client = client(&LIMITS);
        let turned = agreement.map(|it| Agreement { outgoing: it.incoming, incoming: it.outgoing });
        client.session = WebSocketSession::with_role(Role::client([9; 32]), client.now, turned);
        let (mut to_server, mut to_client) = (Vec::new(), Vec::new());
        for (position, (by_client, is_text, length)) in messages.into_iter().enumerate() {
            let kind = if is_text { MessageKind::Text } else { MessageKind::Binary };
            let payload = vec![b'a' + (position % 26) as u8; length];
            let (sender, expected) =
                if by_client { (&mut client, &mut to_server) } else { (&mut server, &mut to_client) };
            sender.session.send_compressed(kind, &payload, &mut sender.codecs, &mut sender.out);
            expected.push(SinkEvent::Message(kind, payload));
        }
        for piece in client.take_out().chunks(cut) {
            server.handle_bytes(piece);
        }
        for piece in server.take_out().chunks(cut) {
            client.handle_bytes(piece);
        }
        prop_assert_eq!(server.sink.take(), to_server);
        prop_assert_eq!(client.sink.take(), to_client);
    }
}
