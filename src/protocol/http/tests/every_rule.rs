//! Every rule there is, broken at every split point: a new variant of [`HttpError`] does not compile without a request
//! that breaks it.

use super::super::head::HeadLimits;
use super::*;

/// Small enough for requests to exceed them.
fn tight() -> HttpLimits {
    HttpLimits {
        head: HeadLimits { max_head_bytes: 100, max_headers: 3 },
        max_body: 10,
        ..HttpLimits::default()
    }
}

/// A request that breaks this rule and no other before it; `None` for the one that is broken by time.
fn breaking(error: HttpError) -> Option<String> {
    let head = |fields: &str| Some(format!("GET / HTTP/1.1\r\nHost: h\r\n{fields}\r\n"));
    let line = |line: &str| Some(format!("{line}\r\nHost: h\r\n\r\n"));
    let chunked =
        |body: &str| Some(format!("POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n{body}"));
    match error {
        HttpError::TooManyEmptyLines => Some("\r\n".repeat(9)),
        HttpError::InvalidMethod => line("G@T / HTTP/1.1"),
        HttpError::ProxyHeader => line("PROXY TCP4 203.0.113.7 192.0.2.1 51966 443"),
        HttpError::InvalidRequestLine => line("GET  / HTTP/1.1"),
        HttpError::InvalidTarget => line("GET index.html HTTP/1.1"),
        HttpError::InvalidVersion => line("GET / HTTPS/1.1"),
        HttpError::VersionNotSupported => line("GET / HTTP/3.0"),
        HttpError::MethodTooLong => Some("M".repeat(100)),
        HttpError::TargetTooLong => Some(format!("GET /{}", "t".repeat(100))),
        HttpError::HeadTooLong => head(&format!("A: {}\r\n", "b".repeat(100))),
        HttpError::TooManyFields => head("A: b\r\nA: b\r\nA: b\r\n"),
        HttpError::BareLf => head("A: b\n"),
        HttpError::BareCr => head("A: b\rc\r\n"),
        HttpError::InvalidFieldName => head("A(): b\r\n"),
        HttpError::SpaceBeforeColon => head("A : b\r\n"),
        HttpError::MissingColon => head("A\r\n"),
        HttpError::FoldedField => head("A: b\r\n\tc\r\n"),
        HttpError::InvalidFieldValue => head("A: \x7f\r\n"),
        HttpError::MissingHost => Some("GET / HTTP/1.1\r\n\r\n".to_owned()),
        HttpError::RepeatedHost => head("host: h\r\n"),
        HttpError::InvalidHost => Some("GET / HTTP/1.1\r\nHost: a/b\r\n\r\n".to_owned()),
        HttpError::InvalidContentLength => head("Content-Length: 1e1\r\n"),
        HttpError::ContentLengthConflict => head("Content-Length: 1\r\nContent-Length: 2\r\n"),
        HttpError::TransferEncodingWithContentLength => {
            head("Transfer-Encoding: chunked\r\nContent-Length: 0\r\n")
        }
        HttpError::TransferEncodingInHttp10 => {
            Some("POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n".to_owned())
        }
        HttpError::InvalidTransferEncoding => head("Transfer-Encoding: chunked;\r\n"),
        HttpError::UnknownTransferCoding => head("Transfer-Encoding: br\r\n"),
        HttpError::UnknownExpectation => head("Expect: 200-ok\r\n"),
        HttpError::ContentTooLarge => head("Content-Length: 9999999999999999999\r\n"),
        HttpError::BodyTooLarge => chunked("6\r\nabcdef\r\n5\r\n"),
        HttpError::InvalidChunkSize => chunked("\r\n"),
        HttpError::InvalidChunkExtension => chunked("1;=a\r\n"),
        HttpError::ChunkExtensionTooLong => chunked(&format!("1;{}", "a".repeat(256))),
        HttpError::InvalidChunkEnd => chunked("1\r\nab"),
        HttpError::TrailersTooLong => chunked(&format!("0\r\na:{}", "b".repeat(8 * 1024))),
        HttpError::RequestTimeout => None,
    }
}

#[test]
fn every_rule_is_answered_with_its_status_wherever_the_bytes_are_cut() {
    for error in HttpError::ALL {
        let Some(input) = breaking(error) else { continue };
        let input = input.as_bytes();
        let whole = run_within(tight(), input, &[]);
        assert_eq!((whole.error, &*whole.out), (Some(error), &*answer(error)), "{}", input.escape_ascii());
        let is_body = matches!(
            error,
            HttpError::BodyTooLarge
                | HttpError::InvalidChunkSize
                | HttpError::InvalidChunkExtension
                | HttpError::ChunkExtensionTooLong
                | HttpError::InvalidChunkEnd
                | HttpError::TrailersTooLong
        );
        assert_eq!(
            whole.requests.len(),
            usize::from(is_body),
            "{error:?}: no handler but for what is in a body"
        );
        let every: Vec<usize> = (0..=input.len()).collect();
        assert_eq!(run_within(tight(), input, &every), whole, "{error:?} byte by byte");
        for cut in every {
            assert_eq!(run_within(tight(), input, &[cut]), whole, "{error:?} cut at {cut}");
        }
    }
}
