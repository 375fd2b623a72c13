use super::*;

const GET: [(&str, &str); 4] =
    [(":method", "GET"), (":scheme", "https"), (":authority", "a.b:443"), (":path", "/c?d")];

fn with_limits(
    fields: &[(&str, &str)],
    is_last: bool,
    limits: HeadLimits,
) -> (HeadScratch, Result<Meaning, HeadFault>) {
    let mut scratch = HeadScratch::default();
    let mut builder = HeadBuilder::new(&mut scratch, &limits);
    fields.iter().for_each(|(name, value)| builder.add(name.as_bytes(), value.as_bytes()));
    let result = builder.conclude(is_last);
    (scratch, result)
}

fn build(fields: &[(&str, &str)], is_last: bool) -> (HeadScratch, Result<Meaning, HeadFault>) {
    with_limits(fields, is_last, HeadLimits::default())
}

fn get_with(fields: &[(&str, &str)]) -> Result<Meaning, HeadFault> {
    build(&[&GET[..], fields].concat(), false).1
}

fn text(scratch: &HeadScratch, span: Span) -> String {
    String::from_utf8_lossy(span.of(&scratch.bytes)).into_owned()
}

fn fields(scratch: &HeadScratch) -> Vec<(String, String)> {
    scratch.head.fields.iter().map(|it| (text(scratch, it.name), text(scratch, it.value))).collect()
}

fn owned(fields: &[(&str, &str)]) -> Vec<(String, String)> {
    fields.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect()
}

#[test]
fn a_request_becomes_the_head_that_http_11_would_have_had() {
    let (scratch, meaning) =
        build(&[&GET[..], &[("x", "1"), ("te", "Trailers"), ("priority", "u=1")]].concat(), true);
    let head = &scratch.head;
    assert_eq!(text(&scratch, head.method), "GET");
    assert_eq!(text(&scratch, head.target), "/c?d");
    assert_eq!(text(&scratch, head.path), "/c");
    assert_eq!(head.query.map(|query| text(&scratch, query)).as_deref(), Some("d"));
    assert_eq!(
        fields(&scratch),
        owned(&[("host", "a.b:443"), ("x", "1"), ("te", "Trailers"), ("priority", "u=1")])
    );
    assert_eq!((head.body, head.keep_alive, head.version), (BodyLength::None, true, Version::Multiplexed));
    let expected = Meaning {
        method: AskedMethod::Other,
        content_length: None,
        expects_continue: false,
        is_tunnel: false,
        priority: Some(Priority { urgency: 1, incremental: false }),
    };
    assert_eq!(meaning, Ok(expected));
}

#[test]
fn the_body_is_as_long_as_its_fields_say() {
    let post = |fields: &[(&str, &str)]| {
        let (scratch, meaning) = build(&[&GET[..], fields].concat(), false);
        (scratch.head.body, scratch.head.expects_continue, meaning.unwrap().content_length)
    };
    assert_eq!(post(&[]), (BodyLength::Chunked, false, None));
    assert_eq!(post(&[("content-length", "5")]), (BodyLength::Fixed(5), false, Some(5)));
    assert_eq!(post(&[("content-length", "0")]), (BodyLength::Chunked, false, Some(0)));
    let expecting = [("content-length", "5"), ("expect", "100-continue")];
    assert_eq!(post(&expecting), (BodyLength::Fixed(5), true, Some(5)));
    assert_eq!(post(&expecting[1..]), (BodyLength::Chunked, true, None));
    let mismatch = Err(Malformed::ContentLengthMismatch.into());
    assert_eq!(build(&[&GET[..], &[("content-length", "5")]].concat(), true).1, mismatch);
    assert!(build(&[&GET[..], &[("content-length", "0")]].concat(), true).1.is_ok());
}

#[test]
fn an_extended_connect_reads_as_an_opening_handshake() {
    let connect = [
        (":method", "CONNECT"),
        (":protocol", "websocket"),
        (":scheme", "https"),
        (":authority", "a"),
        (":path", "/chat?x"),
        ("sec-websocket-version", "13"),
        ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
    ];
    let (scratch, meaning) = build(&connect, false);
    let meaning = meaning.unwrap();
    assert!(meaning.is_tunnel && meaning.method == AskedMethod::Other);
    assert_eq!(
        (text(&scratch, scratch.head.method), text(&scratch, scratch.head.path)),
        ("GET".into(), "/chat".into())
    );
    assert_eq!(scratch.head.body, BodyLength::None);
    let expected = [
        ("host", "a"),
        ("sec-websocket-version", "13"),
        ("upgrade", "websocket"),
        ("connection", "Upgrade"),
        ("sec-websocket-key", "AAAAAAAAAAAAAAAAAAAAAA=="),
    ];
    assert_eq!(fields(&scratch), owned(&expected));
    let other = connect.map(|(name, value)| (name, if name == ":protocol" { "connect-udp" } else { value }));
    assert_eq!(build(&other, false).1, Err(Malformed::Protocol.into()));
}

#[test]
fn a_plain_connect_has_an_authority_alone() {
    let (scratch, meaning) = build(&[(":method", "CONNECT"), (":authority", "a:1")], false);
    assert_eq!(meaning.unwrap().method, AskedMethod::Connect);
    assert_eq!(text(&scratch, scratch.head.path), "a:1");
    for fields in
        [&[(":authority", "a:1"), (":path", "/")][..], &[(":authority", "a:1"), (":scheme", "http")], &[]]
    {
        let (_, result) = build(&[&[(":method", "CONNECT")], fields].concat(), false);
        assert_eq!(result, Err(Malformed::PseudoFields.into()), "{fields:?}");
    }
    assert_eq!(build(&[(":method", "CONNECT"), (":authority", "a")], false).1, Err(Malformed::Path.into()));
}

#[test]
fn cookies_are_joined_where_the_first_one_stands() {
    let more = [("a", "1"), ("cookie", "x=1"), ("b", "2"), ("cookie", "y=2"), ("cookie", "z=3")];
    let (scratch, _) = build(&[&GET[..], &more].concat(), true);
    let expected = [("host", "a.b:443"), ("a", "1"), ("cookie", "x=1; y=2; z=3"), ("b", "2")];
    assert_eq!(fields(&scratch), owned(&expected));
    let (scratch, _) = build(&[&GET[..], &[("cookie", "x=1; y=2")]].concat(), true);
    assert_eq!(fields(&scratch)[1].1, "x=1; y=2");
}

#[test]
fn a_host_field_may_stand_for_the_authority_but_not_differ_from_it() {
    let without = [GET[0], GET[1], GET[3]];
    let (scratch, result) = build(&[&without[..], &[("x", "1"), ("host", "h")]].concat(), true);
    assert!(result.is_ok());
    assert_eq!(fields(&scratch), owned(&[("x", "1"), ("host", "h")]));
    let (scratch, result) = build(&[&GET[..], &[("host", "A.b:443")]].concat(), true);
    assert!(result.is_ok());
    assert_eq!(fields(&scratch), owned(&[("host", "a.b:443")]));
    let invalid = Err(Malformed::Authority.into());
    assert_eq!(build(&without, true).1, invalid, "neither");
    assert_eq!(get_with(&[("host", "other")]), invalid);
    assert_eq!(build(&[&without[..], &[("host", "a"), ("host", "a")]].concat(), true).1, invalid);
    for authority in ["", "user@a", "a/b", "a:b"] {
        let fields = [GET[0], GET[1], (":authority", authority), GET[3]];
        assert_eq!(build(&fields, true).1, invalid, "{authority}");
    }
}

#[test]
fn a_malformed_request_is_refused_by_the_rule_it_breaks() {
    let cases: [(&[(&str, &str)], Malformed); 23] = [
        (&[("A", "1")], Malformed::FieldName),
        (&[("", "1")], Malformed::FieldName),
        (&[("a b", "1")], Malformed::FieldName),
        (&[("a", "\r\nb: c")], Malformed::FieldValue),
        (&[("a", " b")], Malformed::FieldValue),
        (&[("a", "b\t")], Malformed::FieldValue),
        (&[("a", "\0")], Malformed::FieldValue),
        (&[(":path", "/")], Malformed::PseudoFields),
        (&[(":authority", "/")], Malformed::PseudoFields),
        (&[(":status", "200")], Malformed::UnknownPseudoField),
        (&[(":", "200")], Malformed::UnknownPseudoField),
        (&[("a", "1"), (":method", "GET")], Malformed::MisplacedPseudoField),
        (&[(":protocol", "websocket")], Malformed::PseudoFields),
        (&[("connection", "close")], Malformed::ConnectionField),
        (&[("keep-alive", "1")], Malformed::ConnectionField),
        (&[("proxy-connection", "close")], Malformed::ConnectionField),
        (&[("transfer-encoding", "chunked")], Malformed::ConnectionField),
        (&[("upgrade", "h2c")], Malformed::ConnectionField),
        (&[("te", "gzip")], Malformed::ConnectionField),
        (&[("te", "trailers, gzip")], Malformed::ConnectionField),
        (&[("content-length", "+1")], Malformed::ContentLength),
        (&[("content-length", "1, 1")], Malformed::ContentLength),
        (&[("content-length", "1"), ("content-length", "2")], Malformed::ContentLength),
    ];
    for (fields, error) in cases {
        assert_eq!(get_with(fields), Err(error.into()), "{fields:?}");
    }
}

#[test]
fn each_pseudo_field_has_to_be_there_and_valid() {
    for missing in [0, 1, 3] {
        let fields: Vec<_> = (0..4).filter(|place| *place != missing).map(|place| GET[place]).collect();
        assert_eq!(build(&fields, true).1, Err(Malformed::PseudoFields.into()), "{missing}");
    }
    let with = |place: usize, value| {
        let mut fields = GET;
        fields[place].1 = value;
        build(&fields, true).1
    };
    assert_eq!(with(0, "G T"), Err(Malformed::Method.into()));
    assert_eq!(with(0, ""), Err(Malformed::Method.into()));
    assert_eq!(with(1, "1x"), Err(Malformed::PseudoFields.into()));
    for path in ["", "c", "*", "http://a/b", "/a b", "/a#b"] {
        assert_eq!(with(3, path), Err(Malformed::Path.into()), "{path}");
    }
    let options = [(":method", "OPTIONS"), GET[1], GET[2], (":path", "*")];
    assert!(build(&options, true).1.is_ok());
}

#[test]
fn what_exceeds_a_limit_is_answered() {
    let refused = |error| Err(HeadFault::Refused(error));
    let limits = HeadLimits { max_head_bytes: 209, max_headers: 2 };
    let judge = |fields: &[(&str, &str)]| with_limits(&[&GET[..], fields].concat(), true, limits).1;
    // The four pseudo fields count 176 bytes.
    assert!(judge(&[("x", "")]).is_ok());
    assert_eq!(judge(&[("xy", "")]), refused(HttpError::HeadTooLong));
    let limits = HeadLimits { max_head_bytes: 1_000, max_headers: 2 };
    let judge = |fields: &[(&str, &str)]| with_limits(&[&GET[..], fields].concat(), true, limits).1;
    assert!(judge(&[("x", "")]).is_ok());
    assert_eq!(judge(&[("x", ""), ("y", "")]), refused(HttpError::TooManyFields));
    assert_eq!(judge(&[("x", ""), ("y", ""), ("z", "")]), refused(HttpError::TooManyFields));
    assert_eq!(get_with(&[("expect", "tea")]), refused(HttpError::UnknownExpectation));
    assert_eq!(get_with(&[("content-length", "1234567890123456789")]), refused(HttpError::ContentTooLarge));
}

#[test]
fn no_more_is_kept_than_the_limit_allows() {
    let limits = HeadLimits { max_head_bytes: usize::MAX, max_headers: usize::MAX };
    let long = "x".repeat(4_000);
    let mut fields = GET.to_vec();
    fields.extend([("cookie", &long[..]); 16]);
    let (scratch, result) = with_limits(&fields, true, limits);
    assert_eq!(
        result,
        Err(HeadFault::Refused(HttpError::HeadTooLong)),
        "joined they are too long for a span"
    );
    assert!(scratch.bytes.len() < 140_000);
    fields.extend([("cookie", &long[..]); 10_000]);
    let (scratch, result) = with_limits(&fields, true, limits);
    assert_eq!(result, Err(HeadFault::Refused(HttpError::HeadTooLong)));
    assert!(scratch.bytes.len() <= usize::from(u16::MAX));
}

#[test]
fn trailers_have_no_pseudo_fields() {
    assert_eq!(check_trailer(b"x", b"1"), Ok(()));
    assert_eq!(check_trailer(b":path", b"/"), Err(Malformed::MisplacedPseudoField));
    assert_eq!(check_trailer(b"X", b"1"), Err(Malformed::FieldName));
    assert_eq!(check_trailer(b"x", b"\n"), Err(Malformed::FieldValue));
}
