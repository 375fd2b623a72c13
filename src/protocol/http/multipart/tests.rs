//! Bodies as they are sent, bodies as they should not be, and any bytes.

use proptest::prelude::*;

use super::*;
use crate::testing::fuzz_multipart::{multipart, write};

const BROWSER: &[u8] = b"multipart/form-data; boundary=----WebKitFormBoundaryzuW5nPZQFQCwQtg4";

/// An expected part: name, filename, content type, data.
type Expected<'a> = (&'a str, Option<&'a str>, Option<&'a str>, &'a [u8]);

fn parts(body: &[u8], content_type: &[u8]) -> Result<Vec<Part>, MultipartError> {
    parse(Bytes::copy_from_slice(body), content_type)
}

#[track_caller]
fn assert_parts(body: &[u8], content_type: &[u8], expected: &[Expected<'_>]) {
    let expected: Vec<Part> = expected
        .iter()
        .map(|(name, filename, content_type, data)| Part {
            name: name.as_bytes().to_vec(),
            filename: filename.map(|text| text.as_bytes().to_vec()),
            content_type: content_type.map(|text| text.as_bytes().to_vec()),
            data: Bytes::copy_from_slice(data),
        })
        .collect();
    assert_eq!(parts(body, content_type), Ok(expected), "{}", body.escape_ascii());
}

/// The one part of a body with these header lines and the data `data`.
fn part_with(headers: &str) -> Result<Part, MultipartError> {
    let body = format!("--b\r\n{headers}\r\n\r\ndata\r\n--b--\r\n");
    parts(body.as_bytes(), b"multipart/form-data; boundary=b").map(|mut parts| parts.remove(0))
}

/// Name and filename of a Content-Disposition.
fn disposition(value: &str) -> Option<(String, Option<String>)> {
    let part = part_with(&format!("Content-Disposition: {value}")).ok()?;
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    Some((text(part.name), part.filename.map(text)))
}

#[test]
fn a_form_as_chrome_sends_it() {
    let body = "------WebKitFormBoundaryzuW5nPZQFQCwQtg4\r\n\
        Content-Disposition: form-data; name=\"text\"\r\n\r\n\
        a value\r\n\
        ------WebKitFormBoundaryzuW5nPZQFQCwQtg4\r\n\
        Content-Disposition: form-data; name=\"empty\"; filename=\"\"\r\n\
        Content-Type: application/octet-stream\r\n\r\n\
        \r\n\
        ------WebKitFormBoundaryzuW5nPZQFQCwQtg4\r\n\
        Content-Disposition: form-data; name=\"f\"; filename=\"na\u{ef}ve \u{1f600}%22.txt\"\r\n\
        Content-Type: text/plain\r\n\r\n\
        two\r\nlines\r\n\r\n\
        ------WebKitFormBoundaryzuW5nPZQFQCwQtg4--\r\n";
    let expected: [Expected<'_>; 3] = [
        ("text", None, None, b"a value"),
        ("empty", Some(""), Some("application/octet-stream"), b""),
        ("f", Some("na\u{ef}ve \u{1f600}%22.txt"), Some("text/plain"), b"two\r\nlines\r\n"),
    ];
    assert_parts(body.as_bytes(), BROWSER, &expected);
}

#[test]
fn a_form_as_firefox_sends_it() {
    let boundary = "-----------------------------9051914041544843365972754266";
    let body = format!(
        "--{boundary}\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\n1\r\n\
         --{boundary}\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\n2\r\n--{boundary}--\r\n"
    );
    let content_type = format!("multipart/form-data; boundary={boundary}");
    assert_parts(
        body.as_bytes(),
        content_type.as_bytes(),
        &[("a", None, None, b"1"), ("a", None, None, b"2")],
    );
}

#[test]
fn a_form_as_undici_and_curl_send_it() {
    // undici ends without CRLF behind the last boundary.
    let body = b"------formdata-undici-027184592362\r\nContent-Disposition: form-data; name=\"a\"; \
        filename=\"blob\"\r\nContent-Type: application/octet-stream\r\n\r\n\x00\xff\r\n\
        ------formdata-undici-027184592362--";
    let content_type = b"multipart/form-data; boundary=----formdata-undici-027184592362";
    assert_parts(body, content_type, &[("a", Some("blob"), Some("application/octet-stream"), b"\x00\xff")]);

    let body = b"--------------------------d74496d66958873e\r\nContent-Disposition: form-data; name=\"a\"; \
        filename=\"say \\\"hi\\\".txt\"\r\nContent-Type: text/plain\r\n\r\nx\r\n\
        --------------------------d74496d66958873e--\r\n";
    let content_type = b"multipart/form-data; boundary=------------------------d74496d66958873e";
    assert_parts(body, content_type, &[("a", Some("say \"hi\".txt"), Some("text/plain"), b"x")]);
}

#[test]
fn a_form_without_fields_has_no_parts() {
    assert_parts(b"--b--\r\n", b"multipart/form-data; boundary=b", &[]);
}

#[test]
fn what_is_around_the_parts_is_ignored() {
    let body = b"This is a preamble.\r\n--b \t\r\nContent-Disposition: form-data; name=a\r\n\r\n1\r\n--b-- \r\nepilogue";
    assert_parts(body, b"multipart/form-data; boundary=b", &[("a", None, None, b"1")]);
}

#[test]
fn boundaries_are_read_as_they_are_written() {
    for (parameter, boundary) in [
        ("b", "b"),
        ("\"b\"", "b"),
        ("\"a b\"", "a b"),
        ("\"b;c=d\"", "b;c=d"),
        ("===============7330845974216740156==", "===============7330845974216740156=="),
        ("\"gc0p4Jq0M2Yt08j34c0p'()+_,-./:=?\"", "gc0p4Jq0M2Yt08j34c0p'()+_,-./:=?"),
        ("b; charset=utf-8", "b"),
        (" b ", "b"),
    ] {
        let body =
            format!("--{boundary}\r\nContent-Disposition: form-data; name=a\r\n\r\n1\r\n--{boundary}--");
        for content_type in [
            format!("multipart/form-data; boundary={parameter}"),
            format!("Multipart/Form-Data;BOUNDARY={parameter}"),
            format!("multipart/mixed ; charset=utf-8; boundary={parameter}"),
        ] {
            assert_parts(body.as_bytes(), content_type.as_bytes(), &[("a", None, None, b"1")]);
        }
    }
}

#[test]
fn another_type_or_a_bad_boundary_has_no_parts() {
    let long = format!("multipart/form-data; boundary={}", "b".repeat(71));
    for (content_type, error) in [
        ("", MultipartError::NotMultipart),
        ("text/plain", MultipartError::NotMultipart),
        ("application/x-www-form-urlencoded", MultipartError::NotMultipart),
        ("text/plain; a=multipart/form-data; boundary=b", MultipartError::NotMultipart),
        ("multipart", MultipartError::NotMultipart),
        ("multipart/form-data", MultipartError::InvalidBoundary),
        ("multipart/form-data; boundary", MultipartError::InvalidBoundary),
        ("multipart/form-data; boundary=", MultipartError::InvalidBoundary),
        ("multipart/form-data; boundary=\"\"", MultipartError::InvalidBoundary),
        ("multipart/form-data; boundary=\"b", MultipartError::InvalidBoundary),
        ("multipart/form-data; boundary=\"b \"", MultipartError::InvalidBoundary),
        ("multipart/form-data; boundary=\"b\"c", MultipartError::InvalidBoundary),
        ("multipart/form-data; boundary=b; boundary=b", MultipartError::InvalidBoundary),
        ("multipart/form-data; boundary=b\u{e9}", MultipartError::InvalidBoundary),
        (&long, MultipartError::InvalidBoundary),
    ] {
        assert_eq!(parts(b"--b--", content_type.as_bytes()), Err(error), "{content_type}");
    }
}

#[test]
fn a_body_that_is_not_divided_by_its_boundary_has_no_parts() {
    let part = "--b\r\nContent-Disposition: form-data; name=a\r\n\r\n1";
    for body in [
        String::new(),
        "--b".to_owned(),
        "--b-".to_owned(),
        "--b\r\n".to_owned(),
        "--c--".to_owned(),
        "x--b--".to_owned(),
        "\n--b--".to_owned(),
        part.to_owned(),
        format!("{part}\r\n"),
        format!("{part}\r\n--b"),
        format!("{part}\r\n--b\r\n"),
        format!("{part}\r\n--bb--"),
        format!("{part}\n--b--"),
        format!("{part}--b--"),
        "--b\r\nContent-Disposition: form-data; name=a\r\n--b--".to_owned(),
        "--b\r\nno header\r\n\r\n1\r\n--b--".to_owned(),
        "--b x\r\nContent-Disposition: form-data; name=a\r\n\r\n1\r\n--b--".to_owned(),
    ] {
        let result = parts(body.as_bytes(), b"multipart/form-data; boundary=b");
        assert_eq!(result, Err(MultipartError::InvalidFraming), "{body:?}");
    }
}

#[test]
fn a_part_without_headers_or_without_a_name_spoils_the_form() {
    let named = "--b\r\nContent-Disposition: form-data; name=a\r\n\r\n1\r\n";
    for headers in [
        "",
        "Content-Type: text/plain\r\n",
        "Content-Disposition: form-data\r\n",
        "Content-Disposition: form-data; filename=a\r\n",
        "Content-Disposition: form-data; name\r\n",
        "Content-Disposition: form-data; name=\"a\r\n",
        "Content-Disposition: form-data; name=\"a\"b\r\n",
        "Content-Disposition: form-data; name=a b\r\n",
        "Content-Disposition: form-data name=a\r\n",
        "Content-Disposition: form-data; name=a; name=b\r\n",
        "Content-Disposition: form-data; na me=a\r\n",
        "Content-Disposition: ; name=a\r\n",
        "Content-Disposition:\r\n",
    ] {
        let body = format!("{named}--b\r\n{headers}\r\n2\r\n{named}--b--");
        let result = parts(body.as_bytes(), b"multipart/form-data; boundary=b");
        assert_eq!(result, Err(MultipartError::InvalidDisposition), "{headers:?}");
    }
}

#[test]
fn names_are_read_where_they_stand_and_nowhere_else() {
    let some = |name: &str, filename: Option<&str>| Some((name.to_owned(), filename.map(str::to_owned)));
    for (value, expected) in [
        ("form-data; name=a", some("a", None)),
        ("form-data;name=\"a\";filename=\"b\"", some("a", Some("b"))),
        ("FORM-DATA; NAME=\"a\"; FileName=b", some("a", Some("b"))),
        ("form-data; filename=\"b\"; name=\"a\"", some("a", Some("b"))),
        ("form-data; filename=\"x; name=b\"; name=\"a\"", some("a", Some("x; name=b"))),
        ("form-data; filename=\"x\\\"; name=b\"; name=\"a\"", some("a", Some("x\"; name=b"))),
        ("form-data; xname=b; name=a; namex=c", some("a", None)),
        ("form-data; name = \"a\" ; ; filename = b;", some("a", Some("b"))),
        ("form-data; name=\"\"; filename=", some("", Some(""))),
        ("form-data; name=\"a;b,c\"", some("a;b,c", None)),
        ("form-data; name=\"a%22b%0D%0Ac\"", some("a%22b%0D%0Ac", None)),
        ("form-data; name=a; filename=\"C:\\dir\\a.txt\"", some("a", Some("C:\\dir\\a.txt"))),
        ("form-data; name=a; filename=\"C:\\\\dir\"", some("a", Some("C:\\dir"))),
        ("form-data; name=a; filename=../../etc/passwd", some("a", Some("../../etc/passwd"))),
        ("form-data; name=\u{65e5}; filename=\"\u{672c}\"", some("\u{65e5}", Some("\u{672c}"))),
        ("attachment; name=a", some("a", None)),
    ] {
        assert_eq!(disposition(value), expected, "{value}");
    }
}

#[test]
fn an_extended_filename_counts_where_there_is_no_other() {
    for (value, filename) in [
        ("filename*=UTF-8''%e2%82%ac%20rates.txt", Some("\u{20ac} rates.txt")),
        ("filename*=utf-8'en'a.txt", Some("a.txt")),
        ("filename*=\"UTF-8''it's\"", Some("it's")),
        ("filename=\"plain\"; filename*=UTF-8''other", Some("plain")),
        ("filename*=UTF-8''other; filename=\"plain\"", Some("plain")),
        ("filename*=ISO-8859-1''%e9", None),
        ("filename*=UTF-8''%e9", None),
        ("filename*=UTF-8''%e", None),
        ("filename*=UTF-8''%+1", None),
        ("filename*=a.txt", None),
        ("filename*=", None),
    ] {
        let expected = Some(("a".to_owned(), filename.map(str::to_owned)));
        assert_eq!(disposition(&format!("form-data; name=a; {value}")), expected, "{value}");
    }
}

#[test]
fn header_lines_are_counted() {
    let lines = |count: usize| -> String { (0..count).map(|index| format!("X-{index}: y\r\n")).collect() };
    let max = format!("{}Content-Disposition: form-data; name=a", lines(MAX_HEADERS - 1));
    assert!(part_with(&max).is_ok());
    for count in [MAX_HEADERS, 32, 1000] {
        let more = format!("{}Content-Disposition: form-data; name=a", lines(count));
        assert!(part_with(&more).is_err(), "{count}");
    }
    assert_eq!(
        part_with(&format!("{}Content-Disposition: form-data; name=a", lines(MAX_HEADERS))),
        Err(MultipartError::TooManyHeaders)
    );
}

fn any_part() -> impl Strategy<Value = Part> {
    let data =
        proptest::collection::vec(prop_oneof![Just(b'\r'), Just(b'\n'), Just(b'-'), any::<u8>()], 0..40);
    ("[ -~\u{80}-\u{10ffff}]{0,12}", proptest::option::of("[ -~\u{80}-\u{ffff}]{0,12}"), any::<bool>(), data)
        .prop_map(|(name, filename, has_type, data)| Part {
            name: name.into_bytes(),
            filename: filename.map(String::into_bytes),
            content_type: has_type.then(|| b"text/plain; charset=\"utf-8\"".to_vec()),
            data: data.into(),
        })
}

/// Text that often is a piece of a form.
fn any_form() -> impl Strategy<Value = Vec<u8>> {
    let word = prop_oneof![
        Just(b"--b".to_vec()),
        Just(b"--b--".to_vec()),
        Just(b"\r\n".to_vec()),
        Just(b"Content-Disposition: form-data; name=a".to_vec()),
        Just(b"; filename=\"".to_vec()),
        Just(b"; filename*=UTF-8''%".to_vec()),
        Just(b"Content-Type: x".to_vec()),
        proptest::collection::vec(any::<u8>(), 0..4),
    ];
    proptest::collection::vec(word, 0..24).prop_map(|words| words.concat())
}

proptest! {
    #[test]
    fn what_was_written_is_read(parts in proptest::collection::vec(any_part(), 0..4)) {
        // No data contains it: it is longer than any.
        let boundary = "-".repeat(60) + "x";
        let content_type = format!("multipart/form-data; boundary={boundary}");
        prop_assert_eq!(parse(write(&parts, &boundary).into(), content_type.as_bytes()), Ok(parts));
    }

    #[test]
    fn no_bytes_are_too_strange(body in any_form(), content_type in proptest::collection::vec(any::<u8>(), 0..40)) {
        multipart(&[b"multipart/form-data; boundary=b\n", &body[..]].concat());
        multipart(&[b"multipart/", &content_type[..], b"\n", &body].concat());
    }
}

#[test]
fn there_may_be_ten_thousand_parts_and_no_more() {
    let form = |count: usize| {
        let part = "--x\r\nContent-Disposition: form-data; name=a\r\n\r\n\r\n";
        Bytes::from(part.repeat(count) + "--x--\r\n")
    };
    assert_eq!(
        parse(form(MAX_PARTS), b"multipart/form-data; boundary=x").map(|parts| parts.len()),
        Ok(MAX_PARTS)
    );
    assert_eq!(
        parse(form(MAX_PARTS + 1), b"multipart/form-data; boundary=x").map(|parts| parts.len()),
        Err(MultipartError::TooManyParts)
    );
}
