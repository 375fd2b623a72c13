//! The HTTP request that is sent, and how whole responses are counted in a server's byte stream.

use crate::options::Options;

/// Header fields read per response; a hello world has three to six.
const MAX_HEADERS: usize = 32;
/// A longer head means that something other than the bench server answers.
const LONGEST_HEAD: usize = 16 * 1024;

/// The bytes of the request.
pub fn request(options: &Options) -> Vec<u8> {
    request_to(&options.target.path, options)
}

/// The same for another path.
pub fn request_to(path: &str, options: &Options) -> Vec<u8> {
    let method = if options.body.is_some() { "POST" } else { "GET" };
    let mut request = format!("{method} {path} HTTP/1.1\r\nHost: {}\r\n", options.target.authority);
    for number in 0..options.fields {
        request += &format!("X-Field-{number}: value-{number}\r\n");
    }
    if let Some(length) = options.body {
        request += &format!("Content-Length: {length}\r\n");
    }
    let mut request = (request + "\r\n").into_bytes();
    request.resize(request.len() + options.body.unwrap_or(0), b'x');
    request
}

/// Takes the bytes of one keep-alive connection; understands responses with a Content-Length.
#[derive(Debug, Default)]
pub struct ResponseScanner {
    /// Bytes of a head that is incomplete.
    head: Vec<u8>,
    /// Body bytes that have yet to arrive.
    left: usize,
}

impl ResponseScanner {
    /// Takes the next bytes and returns how many responses they completed. Anything but a 200 with a Content-Length
    /// on a connection that stays open is an error.
    pub fn scan(&mut self, mut bytes: &[u8]) -> Result<u64, String> {
        let mut responses = 0;
        while !bytes.is_empty() {
            if self.left == 0 {
                let (consumed, body) = if self.head.is_empty() {
                    match parse_head(bytes)? {
                        Some(head) => head,
                        None => {
                            self.head.extend_from_slice(bytes);
                            break;
                        }
                    }
                } else {
                    let kept = self.head.len();
                    self.head.extend_from_slice(bytes);
                    let Some((length, body)) = parse_head(&self.head)? else { break };
                    self.head.clear();
                    (length - kept, body)
                };
                bytes = &bytes[consumed..];
                self.left = body;
            }
            let taken = self.left.min(bytes.len());
            self.left -= taken;
            bytes = &bytes[taken..];
            responses += u64::from(self.left == 0);
        }
        Ok(responses)
    }
}

/// Length of the head and of the body behind it; `None` while the head is incomplete.
fn parse_head(bytes: &[u8]) -> Result<Option<(usize, usize)>, String> {
    let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
    let mut response = httparse::Response::new(&mut headers);
    let length = match response.parse(bytes) {
        Ok(httparse::Status::Complete(length)) => length,
        Ok(httparse::Status::Partial) if bytes.len() > LONGEST_HEAD => {
            return Err(format!("the response head is longer than {LONGEST_HEAD} bytes"));
        }
        Ok(httparse::Status::Partial) => return Ok(None),
        Err(error) => return Err(format!("the response is not HTTP/1.1: {error}")),
    };
    if response.code != Some(200) {
        return Err(format!("the server answered {}", response.code.unwrap_or(0)));
    }
    let mut body = None;
    for header in response.headers.iter() {
        if header.name.eq_ignore_ascii_case("content-length") {
            body = std::str::from_utf8(header.value).ok().and_then(|value| value.parse().ok());
        } else if header.name.eq_ignore_ascii_case("connection")
            && header.value.eq_ignore_ascii_case(b"close")
        {
            return Err("the server does not keep the connection alive".to_owned());
        }
    }
    match body {
        Some(body) => Ok(Some((length, body))),
        None => Err("the response has no Content-Length".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HELLO: &[u8] = b"HTTP/1.1 200 OK\r\nDate: now\r\nContent-Length: 5\r\n\r\nHello";
    const EMPTY: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";

    #[test]
    fn a_request_has_the_body_and_the_fields_asked_for() {
        let text = |line: &str| {
            let options = Options::parse(line.split_whitespace().map(str::to_owned)).unwrap();
            String::from_utf8(request(&options)).unwrap()
        };
        assert_eq!(text("http --url http://127.0.0.1:9/a"), "GET /a HTTP/1.1\r\nHost: 127.0.0.1:9\r\n\r\n");
        assert_eq!(
            text("http --url http://127.0.0.1:9 --body 3 --fields 1"),
            "POST / HTTP/1.1\r\nHost: 127.0.0.1:9\r\nX-Field-0: value-0\r\nContent-Length: 3\r\n\r\nxxx"
        );
    }

    #[test]
    fn counts_are_the_same_at_every_split() {
        let stream = [HELLO, EMPTY, HELLO].concat();
        for split in 0..=stream.len() {
            let mut scanner = ResponseScanner::default();
            let responses = scanner.scan(&stream[..split]).unwrap() + scanner.scan(&stream[split..]).unwrap();
            assert_eq!(responses, 3, "split at {split}");
        }
        let mut scanner = ResponseScanner::default();
        let responses: u64 = stream.chunks(1).map(|byte| scanner.scan(byte).unwrap()).sum();
        assert_eq!(responses, 3, "byte by byte");
    }

    #[test]
    fn other_answers_are_errors() {
        for (answer, complaint) in [
            ("HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n", "the server answered 404"),
            ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", "the response has no Content-Length"),
            (
                "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n",
                "the server does not keep the connection alive",
            ),
            ("SSH-2.0-OpenSSH\r\n", "the response is not HTTP/1.1: invalid HTTP version"),
        ] {
            assert_eq!(ResponseScanner::default().scan(answer.as_bytes()).unwrap_err(), complaint);
        }
    }
}
