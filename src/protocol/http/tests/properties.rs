//! Random requests, random bytes, random cuts; and `httparse` as a second opinion.

use proptest::collection::vec;
use proptest::prelude::*;

use super::super::head::{HeadLimits, parse_head};
use super::*;

/// A body, and how it is sent.
#[derive(Clone, Debug)]
enum Body {
    None,
    Fixed(Vec<u8>),
    Chunked(Vec<(Vec<u8>, &'static str)>, &'static str),
}

/// A valid request: its bytes, and the request expected at the sink.
fn request() -> impl Strategy<Value = (Vec<u8>, ReceivedRequest)> {
    let name = "x-[a-z0-9!#$%&'*+.^_`|~-]{0,8}";
    let value = "([!-~]([ \t!-~]{0,12}[!-~])?)?";
    let data = || vec(any::<u8>(), 1..40);
    let extension = prop_oneof![Just(""), Just(";a"), Just(" ; a = b"), Just(";a=\"; \\\"\"")];
    let body = prop_oneof![
        Just(Body::None),
        data().prop_map(Body::Fixed),
        (vec((data(), extension), 0..4), prop_oneof![Just(""), Just("x: y\r\n"), Just("a:\r\nb: c \r\n")])
            .prop_map(|(chunks, trailers)| Body::Chunked(chunks, trailers)),
    ];
    let line = ("[A-Z]{1,7}", "/[a-z/%.*]{0,12}", proptest::option::of("[a-z=&?/]{0,8}"));
    (line, vec((name, value), 0..6), body).prop_map(|((method, path, query), fields, body)| {
        let mut request = ReceivedRequest { method, path, query, lasts: 1, ..ReceivedRequest::default() };
        request.fields.push(("host".to_owned(), "h".to_owned()));
        request.fields.extend(fields);
        match &body {
            Body::None => {}
            Body::Fixed(data) => {
                request.fields.push(("content-length".to_owned(), data.len().to_string()));
                request.body.clone_from(data);
            }
            Body::Chunked(chunks, _) => {
                request.fields.push(("transfer-encoding".to_owned(), "chunked".to_owned()));
                request.body = chunks.iter().flat_map(|(data, _)| data.clone()).collect();
            }
        }
        (bytes(&request, &body), request)
    })
}

/// The request on the wire, some names in capitals.
fn bytes(request: &ReceivedRequest, body: &Body) -> Vec<u8> {
    let query = request.query.as_ref().map(|query| format!("?{query}")).unwrap_or_default();
    let mut text = format!("{} {}{query} HTTP/1.1\r\n", request.method, request.path);
    for (position, (name, value)) in request.fields.iter().enumerate() {
        let name = if position % 2 == 0 { name.to_uppercase() } else { name.clone() };
        text.extend([name.as_str(), ": ", value, "\r\n"]);
    }
    let mut bytes = (text + "\r\n").into_bytes();
    match body {
        Body::None => {}
        Body::Fixed(data) => bytes.extend_from_slice(data),
        Body::Chunked(chunks, trailers) => {
            for (data, extension) in chunks {
                bytes.extend_from_slice(format!("{:X}{extension}\r\n", data.len()).as_bytes());
                bytes.extend_from_slice(data);
                bytes.extend_from_slice(b"\r\n");
            }
            bytes.extend_from_slice(format!("0\r\n{trailers}\r\n").as_bytes());
        }
    }
    bytes
}

/// Bytes that are nearly a request: pieces of one, in any order, with anything between.
fn nearly_a_request() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        8 => prop_oneof![
            Just("GET / HTTP/1.1\r\n"), Just("POST /a?b HTTP/1.1\r\n"), Just("Host: h\r\n"), Just("X: y\r\n"),
            Just("Content-Length: 3\r\n"), Just("Transfer-Encoding: chunked\r\n"), Just("\r\n"), Just("3\r\nabc\r\n"),
            Just("0\r\n\r\n"), Just("abc"), Just("Connection: close\r\n"), Just("GET / HTTP/1.1\r\nHost: h\r\n\r\n"),
            Just("POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"),
        ].prop_map(|text| text.as_bytes().to_vec()),
        1 => vec(prop_oneof![Just(b'\r'), Just(b'\n'), Just(b' '), Just(b':'), Just(0), any::<u8>()], 1..3),
    ];
    vec(piece, 0..10).prop_map(|pieces| pieces.concat())
}

/// A valid request in which a few bytes were replaced, inserted or deleted.
fn damaged_request() -> impl Strategy<Value = Vec<u8>> {
    let byte =
        prop_oneof![Just(b'\r'), Just(b'\n'), Just(b' '), Just(b':'), Just(b','), Just(0), any::<u8>()];
    let damage = (any::<prop::sample::Index>(), 0..3, byte);
    (request(), vec(damage, 0..3)).prop_map(|((mut bytes, _), damages)| {
        for (position, kind, byte) in damages {
            let position = position.index(bytes.len());
            match kind {
                0 => bytes[position] = byte,
                1 => bytes.insert(position, byte),
                _ => drop(bytes.remove(position)),
            }
        }
        bytes
    })
}

/// Bytes that are a request, nearly one, or were one.
fn input() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![nearly_a_request(), damaged_request()]
}

/// Places to cut `len` bytes at.
fn cuts_within(len: usize, seeds: &[prop::sample::Index]) -> Vec<usize> {
    let mut cuts: Vec<usize> = seeds.iter().map(|seed| seed.index(len + 1)).collect();
    cuts.sort_unstable();
    cuts
}

proptest! {
    #[test]
    fn valid_requests_are_passed_on_alike_at_every_cut(
        requests in vec(request(), 1..5),
        seeds in vec(any::<prop::sample::Index>(), 0..30),
    ) {
        let input: Vec<u8> = requests.iter().flat_map(|(bytes, _)| bytes.clone()).collect();
        let outcome = run(&input, &cuts_within(input.len(), &seeds));
        prop_assert_eq!(outcome.error, None);
        prop_assert_eq!(outcome.unconsumed, 0);
        let expected: Vec<ReceivedRequest> = requests.into_iter().map(|(_, request)| request).collect();
        prop_assert_eq!(outcome.requests, expected);
    }

    #[test]
    fn any_bytes_have_the_same_outcome_however_they_are_cut(
        input in input(),
        seeds in vec(any::<prop::sample::Index>(), 0..30),
    ) {
        prop_assert_eq!(run(&input, &cuts_within(input.len(), &seeds)), run(&input, &[]));
    }

    #[test]
    fn limits_are_exceeded_by_the_same_byte_however_they_are_cut(
        input in input(),
        seeds in vec(any::<prop::sample::Index>(), 0..30),
        (max_head_bytes, max_headers, max_body) in (1_usize..200, 0_usize..6, 0_u64..60),
    ) {
        let head = HeadLimits { max_head_bytes, max_headers };
        let limits = HttpLimits { head, max_body, ..HttpLimits::default() };
        let cut = run_within(limits.clone(), &input, &cuts_within(input.len(), &seeds));
        prop_assert_eq!(cut, run_within(limits, &input, &[]));
    }

    #[test]
    fn whatever_we_accept_httparse_reads_alike(mut input in input()) {
        let mut head = RequestHead::default();
        let original = input.clone();
        let Ok(Some(len)) = parse_head(&mut input, 0, &HeadLimits::default(), &mut head) else { return Ok(()) };

        let mut fields = [httparse::EMPTY_HEADER; 100];
        let mut theirs = httparse::Request::new(&mut fields);
        prop_assert_eq!(theirs.parse(&original), Ok(httparse::Status::Complete(len)));
        prop_assert_eq!(theirs.method.map(str::as_bytes), Some(head.method.of(&input)));
        prop_assert_eq!(theirs.path.map(str::as_bytes), Some(head.target.of(&input)));
        prop_assert_eq!(theirs.headers.len(), head.fields.len());
        for (their, our) in theirs.headers.iter().zip(&head.fields) {
            prop_assert!(their.name.as_bytes().eq_ignore_ascii_case(our.name.of(&input)));
            prop_assert_eq!(their.value, our.value.of(&input));
        }
    }

    #[test]
    fn whatever_httparse_refuses_we_refuse(mut input in input()) {
        // It is lenient (bare LF, empty lines), so it accepts more, never less.
        let mut fields = [httparse::EMPTY_HEADER; 100];
        if httparse::Request::new(&mut fields).parse(&input).is_err() {
            let ours = parse_head(&mut input, 0, &HeadLimits::default(), &mut RequestHead::default());
            prop_assert!(!matches!(ours, Ok(Some(_))), "{:?}", ours);
        }
    }
}
