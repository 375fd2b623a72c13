//! Target `head`: one request head. The input has its bytes and those after it.

use super::opinion::{Ask, Opinion, ParsedHead};
use crate::protocol::http::error::HttpError;
use crate::protocol::http::head::{
    BodyLength, HeadLimits, RequestHead, Version, is_field_value, is_token, parse_head, trim,
};

/// The result of [`parse_head`]; a head has its bytes as the parser left them.
type Verdict = Result<Option<(RequestHead, Vec<u8>)>, HttpError>;

/// Small enough for the fuzzer to reach.
const TIGHT: HeadLimits = HeadLimits { max_head_bytes: 256, max_headers: 6 };

/// Asserts of the head at the start of `data`:
/// - the verdict is the same for every split of the bytes, and does not depend on the bytes after the head;
/// - tighter limits refuse more and change nothing else;
/// - another parser reads an accepted head alike, and every head that it refuses is refused;
/// - an accepted head is sound: spans, character sets, Host, and the one possible meaning of its framing fields;
/// - an accepted head can be encoded again and is then parsed alike.
///
/// # Panics
/// If one of them does not hold.
pub fn head(data: &[u8], ask: Ask) {
    let verdict = judge(data, &HeadLimits::default());
    assert_eq!(judge_in_single_bytes(data, &HeadLimits::default()), verdict, "byte by byte");
    let tight = judge(data, &TIGHT);
    assert_eq!(judge_in_single_bytes(data, &TIGHT), tight, "byte by byte, tight limits");

    match tight {
        Err(
            HttpError::MethodTooLong
            | HttpError::TargetTooLong
            | HttpError::HeadTooLong
            | HttpError::TooManyFields,
        ) => {}
        Ok(_) | Err(_) => assert_eq!(tight, verdict, "tighter limits decide otherwise"),
    }

    let opinion = ask(data);
    let Ok(Some((head, bytes))) = verdict else { return };
    let fits = bytes.len() <= TIGHT.max_head_bytes && head.fields.len() <= TIGHT.max_headers;
    assert_eq!(tight.is_ok(), fits, "{tight:?}");
    assert_eq!(judge(&data[..bytes.len()], &HeadLimits::default()), Ok(Some((head.clone(), bytes.clone()))));
    assert_eq!(opinion, Opinion::Head(reading(&head, &bytes)));
    assert_sound(&head, &bytes);
    assert_rewritable(&head, &bytes);
}

/// An accepted head in the form of another parser's result. Its spans refer to `bytes`.
#[must_use]
pub(crate) fn reading(head: &RequestHead, bytes: &[u8]) -> ParsedHead {
    ParsedHead {
        len: bytes.len(),
        method: head.method.of(bytes).to_vec(),
        target: head.target.of(bytes).to_vec(),
        fields: head
            .fields
            .iter()
            .map(|field| (field.name.of(bytes).to_vec(), field.value.of(bytes).to_vec()))
            .collect(),
    }
}

/// The verdict on the whole input.
fn judge(data: &[u8], limits: &HeadLimits) -> Verdict {
    let (mut bytes, mut head) = (data.to_vec(), RequestHead::default());
    let Some(len) = parse_head(&mut bytes, 0, limits, &mut head)? else {
        assert_eq!(
            (bytes.as_slice(), head),
            (data, RequestHead::default()),
            "an incomplete head is left alone"
        );
        return Ok(None);
    };
    assert_eq!(bytes[len..], data[len..], "what follows the head is left alone");
    bytes.truncate(len);
    Ok(Some((head, bytes)))
}

/// The first verdict if the bytes arrive one by one.
fn judge_in_single_bytes(data: &[u8], limits: &HeadLimits) -> Verdict {
    let (mut bytes, mut head) = (data.to_vec(), RequestHead::default());
    for end in 0..=data.len() {
        if let Some(len) = parse_head(&mut bytes[..end], end.saturating_sub(1), limits, &mut head)? {
            assert_eq!(len, end, "a head is complete with its last byte");
            bytes.truncate(len);
            return Ok(Some((head, bytes)));
        }
    }
    assert_eq!(bytes, data, "an incomplete head is left alone");
    Ok(None)
}

/// Asserts what holds for every accepted head.
fn assert_sound(head: &RequestHead, bytes: &[u8]) {
    assert!(bytes.ends_with(b"\r\n\r\n"));
    assert!(is_token(head.method.of(bytes)));
    let target = head.target.of(bytes);
    assert!(!target.is_empty() && target.iter().all(|&byte| byte > b' ' && byte != 0x7f && byte != b'#'));
    let path = head.path.of(bytes);
    assert!(path.starts_with(b"/") || [&b"OPTIONS"[..], b"CONNECT"].contains(&head.method.of(bytes)));
    assert!(!path.contains(&b'?'));
    if let Some(query) = head.query {
        assert!(target.ends_with(query.of(bytes)) && bytes[usize::from(query.start) - 1] == b'?');
    }

    let mut end = usize::from(head.target.start + head.target.len) + b" HTTP/1.1\r\n".len();
    for field in &head.fields {
        let (name, value) = (field.name.of(bytes), field.value.of(bytes));
        assert!(is_token(name) && !name.iter().any(u8::is_ascii_uppercase));
        assert!(is_field_value(value) && trim(value) == value);
        assert_eq!(usize::from(field.name.start), end, "no byte between two fields");
        let value_end = usize::from(field.value.start + field.value.len);
        let line_end =
            memchr::memmem::find(&bytes[value_end..], b"\r\n").map_or(0, |len| value_end + len + 2);
        assert!(trim(&bytes[value_end..line_end - 2]).is_empty());
        end = line_end;
    }
    assert_eq!(end + 2, bytes.len(), "no byte between the fields and the empty line");
    assert_framed(head, bytes);
}

/// Computes Host and the body length from the fields once more, and compares them.
fn assert_framed(head: &RequestHead, bytes: &[u8]) {
    let values = |name: &[u8]| -> Vec<&[u8]> {
        let named = head.fields.iter().filter(|field| field.name.of(bytes) == name);
        named.map(|field| field.value.of(bytes)).collect()
    };
    match head.version {
        Version::Http10 => assert!(values(b"host").len() <= 1),
        Version::Http11 | Version::Multiplexed => assert_eq!(values(b"host").len(), 1),
    }
    let body = match (&values(b"transfer-encoding")[..], &values(b"content-length")[..]) {
        ([], []) => BodyLength::None,
        ([], [length, others @ ..]) => {
            assert!(length.iter().all(u8::is_ascii_digit), "{}", length.escape_ascii());
            let number = |text: &[u8]| str::from_utf8(text).ok().and_then(|text| text.parse::<u64>().ok());
            assert!(others.iter().all(|other| number(other) == number(length)), "lengths that differ");
            match number(length) {
                Some(0) => BodyLength::None,
                Some(length) => BodyLength::Fixed(length),
                None => panic!("a length that cannot be counted"),
            }
        }
        ([coding], []) => {
            assert!(coding.eq_ignore_ascii_case(b"chunked") && head.version == Version::Http11);
            BodyLength::Chunked
        }
        (codings, lengths) => panic!("ambiguous framing: {codings:?} {lengths:?}"),
    };
    assert_eq!(head.body, body);
    assert!(!head.expects_continue || body != BodyLength::None);
}

/// Encodes the head in the plainest form, and asserts that it is parsed alike.
fn assert_rewritable(head: &RequestHead, bytes: &[u8]) {
    let version: &[u8] = match head.version {
        Version::Http10 => b"HTTP/1.0",
        Version::Http11 | Version::Multiplexed => b"HTTP/1.1",
    };
    let mut plain = [head.method.of(bytes), head.target.of(bytes), version].join(&b' ');
    for field in &head.fields {
        plain.extend([b"\r\n", field.name.of(bytes), b":", field.value.of(bytes)].concat());
    }
    plain.extend(b"\r\n\r\n");
    let Ok(Some((again, again_bytes))) = judge(&plain, &HeadLimits::default()) else {
        panic!("refused when written again: {}", plain.escape_ascii());
    };
    assert_eq!(again_bytes, plain);
    assert_eq!(
        ParsedHead { len: 0, ..reading(&again, &again_bytes) },
        ParsedHead { len: 0, ..reading(head, bytes) }
    );
    assert_eq!(
        (again.version, again.body, again.keep_alive, again.expects_continue),
        (head.version, head.body, head.keep_alive, head.expects_continue)
    );
    assert_eq!(again.path.of(&again_bytes), head.path.of(bytes));
}
