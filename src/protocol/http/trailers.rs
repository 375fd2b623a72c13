//! The trailer section of a response (RFC 9110 §6.5): fields behind the body. Its lines are those of a
//! [`ResponseHead`](super::response_head::ResponseHead).

/// Whether a field of this name may stand in a trailer section. RFC 9110 §6.5.1: only where its definition permits that,
/// since a recipient may need it before the body, or drop trailers, or merge them into the head. Names that RFC 9110 and
/// others define for the head alone are refused; what a name means that nobody has defined is left to the application.
#[must_use]
pub(crate) fn may_be_trailer(name: &[u8]) -> bool {
    !HEAD_ONLY.iter().any(|refused| name.eq_ignore_ascii_case(refused)) && !is_condition(name)
}

/// `If-Match` and the like.
fn is_condition(name: &[u8]) -> bool {
    name.get(..3).is_some_and(|start| start.eq_ignore_ascii_case(b"if-"))
}

/// By what makes them fields of the head.
const HEAD_ONLY: [&[u8]; 33] = [
    // How the message is framed, and fields of one connection (RFC 9110 §7.6.1).
    b"connection",
    b"content-length",
    b"keep-alive",
    b"proxy-connection",
    b"te",
    b"trailer",
    b"transfer-encoding",
    b"upgrade",
    // Where it goes, and what modifies its request.
    b"cache-control",
    b"expect",
    b"host",
    b"max-forwards",
    b"pragma",
    b"range",
    // Who asks.
    b"authorization",
    b"cookie",
    b"proxy-authenticate",
    b"proxy-authorization",
    b"set-cookie",
    b"www-authenticate",
    // What the response means.
    b"age",
    b"date",
    b"expires",
    b"location",
    b"retry-after",
    b"strict-transport-security",
    b"vary",
    b"warning",
    // How its body is read.
    b"content-encoding",
    b"content-language",
    b"content-location",
    b"content-range",
    b"content-type",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_frames_routes_or_describes_a_message_is_no_trailer() {
        for name in
            ["Content-Length", "transfer-encoding", "HOST", "If-None-Match", "if-", "Set-Cookie", "Trailer"]
        {
            assert!(!may_be_trailer(name.as_bytes()), "{name}");
        }
        for name in
            ["grpc-status", "Grpc-Message", "Server-Timing", "ETag", "Digest", "x-checksum", "if", "i"]
        {
            assert!(may_be_trailer(name.as_bytes()), "{name}");
        }
    }
}
