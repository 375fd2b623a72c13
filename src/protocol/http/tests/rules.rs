//! Every rule as literal bytes, at every split point; and the shapes in which requests are smuggled.

use super::*;

/// The paths of the requests and the error of a whole connection.
fn judge(input: &str) -> (Vec<String>, Option<HttpError>) {
    let outcome = run_all_ways(input);
    (outcome.requests.into_iter().map(|request| request.path).collect(), outcome.error)
}

#[test]
fn a_request_has_lower_case_names_and_its_method_as_received() {
    let outcome = run_all_ways(
        "PosT /a/b?c=d HTTP/1.1\r\nHost: h\r\nX-One: \t 1 \r\nx-one: 2\r\nContent-Length: 3\r\n\r\nxyz",
    );
    let field = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let expected = ReceivedRequest {
        method: "PosT".to_owned(),
        path: "/a/b".to_owned(),
        query: Some("c=d".to_owned()),
        fields: vec![
            field("host", "h"),
            field("x-one", "1"),
            field("x-one", "2"),
            field("content-length", "3"),
        ],
        body: b"xyz".to_vec(),
        lasts: 1,
    };
    assert_eq!(outcome, Outcome { requests: vec![expected], out: ok("/a/b"), error: None, unconsumed: 0 });
}

#[test]
fn pipelined_requests_are_passed_on_and_answered_in_order() {
    let input = "GET /1 HTTP/1.1\r\nHost: h\r\n\r\n\
                 POST /2 HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\nab\
                 POST /3 HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n2\r\ncd\r\n0\r\n\r\n\
                 \r\nGET /4 HTTP/1.1\r\nHost: h\r\n\r\n\
                 GET /5 HTT";
    let outcome = run_all_ways(input);
    let requests: Vec<_> = outcome.requests.iter().map(|request| (&*request.path, &*request.body)).collect();
    assert_eq!(requests, [("/1", b"".as_slice()), ("/2", b"ab"), ("/3", b"cd"), ("/4", b"")]);
    assert!(outcome.requests.iter().all(|request| request.lasts == 1));
    assert_eq!(outcome.out, ["/1", "/2", "/3", "/4"].map(ok).concat());
    assert_eq!((outcome.error, outcome.unconsumed), (None, "GET /5 HTT".len()));
}

#[test]
fn a_broken_head_is_answered_by_the_rule_it_breaks_and_not_passed_on() {
    let cases = [
        ("GE(T / HTTP/1.1\r\nHost: a\r\n\r\n", HttpError::InvalidMethod),
        ("\u{16}\u{3}\u{1}", HttpError::InvalidMethod),
        ("\0", HttpError::InvalidMethod),
        ("\r\n\r\n\r\n\0", HttpError::InvalidMethod),
        ("\r\n\r\n\0\r\nQUIT\n", HttpError::ProxyHeader),
        ("PROXY TCP6 2001:db8::7 ::1 1 2\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", HttpError::ProxyHeader),
        ("PROXY UNKNOWN\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", HttpError::ProxyHeader),
        ("PROXY TCP4 / HTTP/1.1\r\nHost: a\r\n\r\n", HttpError::ProxyHeader),
        ("PROXY TCP5 1.1.1.1 2.2.2.2 1 2\r\n\r\n", HttpError::InvalidVersion),
        ("GET  / HTTP/1.1\r\nHost: a\r\n\r\n", HttpError::InvalidRequestLine),
        ("GET /\r\n\r\n", HttpError::InvalidRequestLine),
        ("GET / HTTP/1.1 \r\nHost: a\r\n\r\n", HttpError::InvalidRequestLine),
        ("GET /a#b HTTP/1.1\r\nHost: a\r\n\r\n", HttpError::InvalidTarget),
        ("GET a HTTP/1.1\r\nHost: a\r\n\r\n", HttpError::InvalidTarget),
        ("GET / HTTP/1.1.1\r\nHost: a\r\n\r\n", HttpError::InvalidVersion),
        ("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", HttpError::VersionNotSupported),
        ("GET / HTTP/1.1\nHost: a\n\n", HttpError::BareLf),
        ("GET / HTTP/1.1\r\nHost: a\r\nx: y\n\r\n", HttpError::BareLf),
        ("\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", HttpError::BareLf),
        ("\r\n\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", HttpError::BareLf),
        ("\rGET / HTTP/1.1\r\nHost: a\r\n\r\n", HttpError::BareCr),
        ("GET / HTTP/1.1\r\nHost: a\rb\r\n\r\n", HttpError::BareCr),
        ("GET / HTTP/1.1\r\nHost: a\r\r\n\r\n", HttpError::BareCr),
        ("GET / HTTP/1.1\r\n Host: a\r\n\r\n", HttpError::FoldedField),
        ("GET / HTTP/1.1\r\nHost: a\r\nx: y\r\n z\r\n\r\n", HttpError::FoldedField),
        ("GET / HTTP/1.1\r\nHost : a\r\n\r\n", HttpError::SpaceBeforeColon),
        ("GET / HTTP/1.1\r\nHost\r\n\r\n", HttpError::MissingColon),
        ("GET / HTTP/1.1\r\nH@st: a\r\n\r\n", HttpError::InvalidFieldName),
        ("GET / HTTP/1.1\r\n: a\r\n\r\n", HttpError::InvalidFieldName),
        ("GET / HTTP/1.1\r\nHost: a\r\nx: \0\r\n\r\n", HttpError::InvalidFieldValue),
        ("GET / HTTP/1.1\r\n\r\n", HttpError::MissingHost),
        ("GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", HttpError::RepeatedHost),
        ("GET / HTTP/1.1\r\nHost:\r\n\r\n", HttpError::InvalidHost),
        ("GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 1,1\r\n\r\n", HttpError::InvalidContentLength),
        (
            "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
            HttpError::ContentLengthConflict,
        ),
        ("GET / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", HttpError::TransferEncodingInHttp10),
        ("GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\n\r\n", HttpError::UnknownTransferCoding),
        ("GET / HTTP/1.1\r\nHost: a\r\nExpect: a\r\n\r\n", HttpError::UnknownExpectation),
        (
            "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 1234567890123456789\r\n\r\n",
            HttpError::ContentTooLarge,
        ),
    ];
    for (input, error) in cases {
        let expected =
            Outcome { requests: Vec::new(), out: answer(error), error: Some(error), unconsumed: 0 };
        assert_eq!(run_all_ways(input), expected, "{input:?}");
    }
}

#[test]
fn heads_beyond_the_limits_are_answered() {
    let limits = HttpLimits::default();
    let long = "a".repeat(limits.head.max_head_bytes);
    let many = "a: b\r\n".repeat(limits.head.max_headers);
    let cases = [
        (format!("GET /{long}"), HttpError::TargetTooLong),
        (format!("GET / HTTP/1.1\r\nHost: {long}"), HttpError::HeadTooLong),
        (format!("GET / HTTP/1.1\r\nHost: h\r\n{many}\r\n"), HttpError::TooManyFields),
    ];
    for (input, error) in cases {
        let whole = run(input.as_bytes(), &[]);
        assert_eq!((whole.error, &*whole.out, whole.requests.len()), (Some(error), &*answer(error), 0));
        let every: Vec<usize> = (0..=input.len()).collect();
        assert_eq!(run(input.as_bytes(), &every), whole, "byte by byte");
        for cut in limits.head.max_head_bytes - 3..input.len() {
            assert_eq!(run(input.as_bytes(), &[cut]), whole, "cut at {cut}");
        }
    }
}

#[test]
fn a_few_empty_lines_before_a_request_are_ignored_and_many_are_not() {
    let request = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
    let with = |lines: usize| format!("{}{request}{}{request}", "\r\n".repeat(lines), "\r\n".repeat(lines));
    assert_eq!(judge(&with(8)), (vec!["/".to_owned(); 2], None));
    assert_eq!(judge(&with(9)), (vec![], Some(HttpError::TooManyEmptyLines)));
}

#[test]
fn a_broken_body_is_answered_and_passed_on_up_to_the_violation() {
    let head = "POST /a HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n";
    let cases = [
        ("2\r\nab\r\nx\r\n", HttpError::InvalidChunkSize),
        ("2\r\nabc\r\n", HttpError::InvalidChunkEnd),
        ("2\r\nab\r\n0;\r\n\r\n", HttpError::InvalidChunkExtension),
        ("2\r\nab\r\n2\n", HttpError::BareLf),
        ("2\r\nab\r\n2\r\r", HttpError::BareCr),
        ("2\r\nab\r\n0\r\na b: c\r\n\r\n", HttpError::SpaceBeforeColon),
        ("2\r\nab\r\n1000000000000000\r\n", HttpError::ContentTooLarge),
    ];
    for (body, error) in cases {
        let outcome = run_all_ways(format!("{head}{body}"));
        assert_eq!((outcome.error, &*outcome.out), (Some(error), &*answer(error)), "{body:?}");
        assert_eq!(
            (&*outcome.requests[0].body, outcome.requests[0].lasts),
            (b"ab".as_slice(), 0),
            "{body:?}"
        );
    }
}

/// Each of these has been read in two ways by two servers in a row, so that one of them saw a request `/evil` that the
/// other took for a body. Here the connection ends before, or `/evil` is a body.
#[test]
fn no_known_smuggling_shape_gets_a_hidden_request_through() {
    const EVIL: &str = "GET /evil HTTP/1.1\r\nHost: a\r\n\r\n";
    let post = |fields: &str, body: &str| format!("POST /a HTTP/1.1\r\nHost: a\r\n{fields}\r\n{body}");
    let refused = [
        ("CL.TE", post("Content-Length: 4\r\nTransfer-Encoding: chunked\r\n", &format!("0\r\n\r\n{EVIL}"))),
        (
            "TE.CL",
            post(
                "Transfer-Encoding: chunked\r\nContent-Length: 4\r\n",
                &format!("20\r\n{EVIL}\r\n0\r\n\r\n"),
            ),
        ),
        ("TE.TE, the first counts", post("Transfer-Encoding: chunked\r\nTransfer-Encoding: x\r\n", EVIL)),
        ("TE.TE, the last counts", post("Transfer-Encoding: x\r\nTransfer-Encoding: chunked\r\n", EVIL)),
        ("TE as a list", post("Transfer-Encoding: chunked, identity\r\n", EVIL)),
        ("TE with an empty member", post("Transfer-Encoding: ,chunked\r\n", EVIL)),
        ("TE in quotes", post("Transfer-Encoding: \"chunked\"\r\n", EVIL)),
        ("TE with a vertical tab", post("Transfer-Encoding: \x0bchunked\r\n", EVIL)),
        ("TE before a space", post("Transfer-Encoding : chunked\r\n", EVIL)),
        ("TE behind a NUL", post("X: y\0Transfer-Encoding: chunked\r\n", EVIL)),
        ("TE behind a bare CR", post("X: y\rTransfer-Encoding: chunked\r\n", EVIL)),
        ("TE behind a bare LF", post("X: y\nTransfer-Encoding: chunked\r\n", EVIL)),
        ("TE on a folded line", post("Transfer-Encoding:\r\n chunked\r\n", EVIL)),
        ("TE as a folded line", post("X: y\r\n Transfer-Encoding: chunked\r\n", EVIL)),
        ("TE before a CR", post("Transfer-Encoding\r: chunked\r\n", EVIL)),
        ("TE of HTTP/1.0", format!("POST /a HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n{EVIL}")),
        ("CL twice", post("Content-Length: 0\r\nContent-Length: 32\r\n", EVIL)),
        ("CL as a list", post("Content-Length: 0, 32\r\n", EVIL)),
        ("CL with a sign", post("Content-Length: +0\r\n", EVIL)),
        ("CL in hexadecimal", post("Content-Length: 0x20\r\n", EVIL)),
        ("CL with a NUL", post("Content-Length: 0\0\r\n", EVIL)),
        ("CL beyond 64 bits", post("Content-Length: 18446744073709551616\r\n", EVIL)),
        ("a head of bare LFs", format!("POST /a HTTP/1.1\nHost: a\nContent-Length: 0\n\n{EVIL}")),
        ("a second request line", format!("POST /a HTTP/1.1\r\nHost: a\r\n{EVIL}")),
        (
            "a request in the target",
            "GET /a HTTP/1.1\nHost: a\n\nGET /evil HTTP/1.1\r\nHost: a\r\n\r\n".to_owned(),
        ),
        ("TE in the singular", post("Transfer-Encoding: chunk\r\n", EVIL)),
        ("TE with a letter before it", post("Transfer-Encoding: xchunked\r\n", EVIL)),
        ("TE with a space within", post("Transfer-Encoding: chun ked\r\n", EVIL)),
        ("TE twice the same", post("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", EVIL)),
        ("TE and an empty TE", post("Transfer-Encoding: chunked\r\nTransfer-Encoding:\r\n", EVIL)),
        ("TE with a parameter", post("Transfer-Encoding: chunked; q=0.5\r\n", EVIL)),
        ("TE with a byte of Latin-1", post("Transfer-Encoding: chunked\u{e9}\r\n", EVIL)),
        ("TE with a control byte in its name", post("Transfer\x01-Encoding: chunked\r\n", EVIL)),
        ("TE before a tab", post("Transfer-Encoding\t: chunked\r\n", EVIL)),
        ("TE behind a space", post(" Transfer-Encoding: chunked\r\n", EVIL)),
        ("TE of gzip over CL", post("Transfer-Encoding: gzip\r\nContent-Length: 0\r\n", EVIL)),
        ("CL before a space", post("Content-Length : 0\r\n", EVIL)),
        ("CL on a folded line", post("Content-Length:\r\n 32\r\n", EVIL)),
        ("CL empty", post("Content-Length:\r\n", EVIL)),
        ("CL negative", post("Content-Length: -1\r\n", EVIL)),
        ("CL with a fraction", post("Content-Length: 0.0\r\n", EVIL)),
        ("CL in other digits", post("Content-Length: \u{ff10}\r\n", EVIL)),
        ("CL and CL as a list", post("Content-Length: 0\r\nContent-Length: 0,32\r\n", EVIL)),
        ("a CR for the end of the head", format!("POST /a HTTP/1.1\r\nHost: a\r\n\r{EVIL}")),
        ("a version that hides a line", format!("GET /a HTTP/1.1\rHost: a\r\n\r\n{EVIL}")),
        ("two Hosts", format!("GET /a HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n{EVIL}")),
    ];
    for (name, input) in refused {
        let (paths, error) = judge(&input);
        assert!(paths.is_empty() && error.is_some(), "{name}: {paths:?} {error:?}");
    }
}

/// The same for shapes within a chunked body: the request has been passed on before its body breaks a rule.
#[test]
fn no_known_smuggling_shape_in_chunks_gets_a_hidden_request_through() {
    const EVIL: &str = "GET /evil HTTP/1.1\r\nHost: a\r\n\r\n";
    let shapes = [
        ("a size line ended by LF", format!("0\n\r\n{EVIL}")),
        ("a size line ended by CR", format!("0\r\r\n{EVIL}")),
        ("an extension ended by LF", format!("0;\n{EVIL}")),
        ("an extension that hides a LF", format!("2;\nxx\r\n0\r\n\r\n{EVIL}")),
        ("an extension in an open quote", format!("0;a=\"\r\n\r\n{EVIL}")),
        ("an extension that hides a CR", format!("0;a\rb\r\n\r\n{EVIL}")),
        ("a size with a sign", format!("+0\r\n\r\n{EVIL}")),
        ("a size with a prefix", format!("0x0\r\n\r\n{EVIL}")),
        ("a size that wraps at 32 bits", format!("10000000000000000\r\n\r\n{EVIL}")),
        ("a size with an underscore", format!("0_2\r\nab\r\n{EVIL}")),
        ("a size with a space before it", format!(" 0\r\n\r\n{EVIL}")),
        ("a size with a space after it", format!("0 \r\n\r\n{EVIL}")),
        ("data longer than its size", format!("1\r\nab\r\n0\r\n\r\n{EVIL}")),
        ("data ended by LF", format!("1\r\na\n0\r\n\r\n{EVIL}")),
        ("data ended by nothing", format!("1\r\na0\r\n\r\n{EVIL}")),
        ("a trailer ended by LF", format!("0\r\nx: y\n\r\n{EVIL}")),
        ("a trailer section ended by LF", format!("0\r\nx: y\r\n\n{EVIL}")),
        ("a size of nothing", format!("\r\n0\r\n\r\n{EVIL}")),
        ("a size with a NUL", format!("0\0\r\n\r\n{EVIL}")),
        ("a size in a list", format!("0,5\r\n\r\n{EVIL}")),
        ("a size that wraps at 64 bits", format!("ffffffffffffffff0\r\n\r\n{EVIL}")),
        ("an extension without a name", format!("0;\r\n\r\n{EVIL}")),
        ("an extension without an end", format!("0;{}", "a".repeat(300))),
        ("a quoted extension that hides a chunk", format!("1;a=\"\r\nx\r\n0\r\n\r\n\"\r\n{EVIL}")),
        ("a quoted CR and LF", format!("1;a=\"\\\r\n\"\r\nx\r\n0\r\n\r\n{EVIL}")),
        ("data shorter than its size", format!("3\r\na\r\n0\r\n\r\n{EVIL}")),
        ("a folded trailer", format!("0\r\nx: y\r\n z\r\n\r\n{EVIL}")),
        ("a trailer without a name", format!("0\r\n: y\r\n\r\n{EVIL}")),
        ("a request for a trailer", format!("0\r\n{EVIL}")),
    ];
    for (name, body) in shapes {
        let (paths, error) =
            judge(&format!("POST /a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n{body}"));
        assert!(paths == ["/a"] && error.is_some(), "{name}: {paths:?} {error:?}");
    }
}

#[test]
fn an_unexpected_body_is_a_body_and_no_request() {
    const EVIL: &str = "GET /evil HTTP/1.1\r\nHost: a\r\n\r\n";
    for method in ["GET", "HEAD", "DELETE", "OPTIONS", "TRACE"] {
        let head = format!("{method} /a HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n", EVIL.len());
        let outcome = run_all_ways(format!("{head}{EVIL}GET /b HTTP/1.1\r\nHost: a\r\n\r\n"));
        let requests: Vec<_> =
            outcome.requests.iter().map(|request| (&*request.path, &*request.body)).collect();
        assert_eq!(requests, [("/a", EVIL.as_bytes()), ("/b", b"")], "CL.0 with {method}");
    }
    // Trailers never become fields: neither the length nor the coding of anything changes.
    let chunked = "POST /a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n\
                   0\r\nContent-Length: 32\r\nTransfer-Encoding: x\r\nHost: b\r\n\r\nGET /b HTTP/1.1\r\nHost: a\r\n\r\n";
    assert_eq!(judge(chunked), (vec!["/a".to_owned(), "/b".to_owned()], None));
}

#[test]
fn a_body_of_known_length_may_be_taken_by_the_caller_and_the_next_request_follows_it() {
    let mut connection = Connection::new();
    let chunked = "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab";
    for (input, expected) in
        [("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n", 0), ("\r\n", 5), ("ab", 3)]
    {
        connection.receive(input).expect("a part of a request");
        assert_eq!(connection.exchange.expected_body(), expected, "{input}");
    }
    let mut complete = Vec::new();
    for len in [1, 2] {
        connection.act(|exchange, moment, _| complete.push(exchange.skip_body(len, moment)));
    }
    assert_eq!(complete, [false, true]);
    assert_eq!(connection.exchange.expected_body(), 0);
    assert!(!connection.exchange.can_read());
    connection.respond(b"");
    connection.receive(chunked).expect("the next request");
    assert_eq!(connection.exchange.expected_body(), 0, "of unknown length");
    assert_eq!(connection.requests.0[1].body, b"ab");
}
