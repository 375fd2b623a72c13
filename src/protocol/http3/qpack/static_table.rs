//! The static table (RFC 9204, Appendix A).

/// The entry with this index, from 0.
pub(super) fn static_entry(index: usize) -> Option<(&'static [u8], &'static [u8])> {
    let (name, value) = STATIC.get(index)?;
    Some((name.as_bytes(), value.as_bytes()))
}

/// Where the entries with this name stand. Only names that responses have are found.
pub(super) const fn static_places(name: &[u8]) -> &'static [u8] {
    match name {
        b":status" => &[24, 25, 26, 27, 28, 63, 64, 65, 66, 67, 68, 69, 70, 71],
        b"accept-ranges" => &[32],
        b"access-control-allow-credentials" => &[73, 74],
        b"access-control-allow-headers" => &[33, 34, 75],
        b"access-control-allow-methods" => &[76, 77, 78],
        b"access-control-allow-origin" => &[35],
        b"access-control-expose-headers" => &[79],
        b"age" => &[2],
        b"alt-svc" => &[83],
        b"cache-control" => &[36, 37, 38, 39, 40, 41],
        b"content-disposition" => &[3],
        b"content-encoding" => &[42, 43],
        b"content-length" => &[4],
        b"content-security-policy" => &[85],
        b"content-type" => &[44, 45, 46, 47, 48, 49, 50, 51, 52, 53, 54],
        b"date" => &[6],
        b"etag" => &[7],
        b"last-modified" => &[10],
        b"link" => &[11],
        b"location" => &[12],
        b"server" => &[92],
        b"set-cookie" => &[14],
        b"strict-transport-security" => &[56, 57, 58],
        b"timing-allow-origin" => &[93],
        b"vary" => &[59, 60],
        b"x-content-type-options" => &[61],
        b"x-frame-options" => &[97, 98],
        b"x-xss-protection" => &[62],
        _ => &[],
    }
}

/// RFC 9204, Appendix A.
const STATIC: [(&str, &str); 99] = [
    (":authority", ""),
    (":path", "/"),
    ("age", "0"),
    ("content-disposition", ""),
    ("content-length", "0"),
    ("cookie", ""),
    ("date", ""),
    ("etag", ""),
    ("if-modified-since", ""),
    ("if-none-match", ""),
    ("last-modified", ""),
    ("link", ""),
    ("location", ""),
    ("referer", ""),
    ("set-cookie", ""),
    (":method", "CONNECT"),
    (":method", "DELETE"),
    (":method", "GET"),
    (":method", "HEAD"),
    (":method", "OPTIONS"),
    (":method", "POST"),
    (":method", "PUT"),
    (":scheme", "http"),
    (":scheme", "https"),
    (":status", "103"),
    (":status", "200"),
    (":status", "304"),
    (":status", "404"),
    (":status", "503"),
    ("accept", "*/*"),
    ("accept", "application/dns-message"),
    ("accept-encoding", "gzip, deflate, br"),
    ("accept-ranges", "bytes"),
    ("access-control-allow-headers", "cache-control"),
    ("access-control-allow-headers", "content-type"),
    ("access-control-allow-origin", "*"),
    ("cache-control", "max-age=0"),
    ("cache-control", "max-age=2592000"),
    ("cache-control", "max-age=604800"),
    ("cache-control", "no-cache"),
    ("cache-control", "no-store"),
    ("cache-control", "public, max-age=31536000"),
    ("content-encoding", "br"),
    ("content-encoding", "gzip"),
    ("content-type", "application/dns-message"),
    ("content-type", "application/javascript"),
    ("content-type", "application/json"),
    ("content-type", "application/x-www-form-urlencoded"),
    ("content-type", "image/gif"),
    ("content-type", "image/jpeg"),
    ("content-type", "image/png"),
    ("content-type", "text/css"),
    ("content-type", "text/html; charset=utf-8"),
    ("content-type", "text/plain"),
    ("content-type", "text/plain;charset=utf-8"),
    ("range", "bytes=0-"),
    ("strict-transport-security", "max-age=31536000"),
    ("strict-transport-security", "max-age=31536000; includesubdomains"),
    ("strict-transport-security", "max-age=31536000; includesubdomains; preload"),
    ("vary", "accept-encoding"),
    ("vary", "origin"),
    ("x-content-type-options", "nosniff"),
    ("x-xss-protection", "1; mode=block"),
    (":status", "100"),
    (":status", "204"),
    (":status", "206"),
    (":status", "302"),
    (":status", "400"),
    (":status", "403"),
    (":status", "421"),
    (":status", "425"),
    (":status", "500"),
    ("accept-language", ""),
    ("access-control-allow-credentials", "FALSE"),
    ("access-control-allow-credentials", "TRUE"),
    ("access-control-allow-headers", "*"),
    ("access-control-allow-methods", "get"),
    ("access-control-allow-methods", "get, post, options"),
    ("access-control-allow-methods", "options"),
    ("access-control-expose-headers", "content-length"),
    ("access-control-request-headers", "content-type"),
    ("access-control-request-method", "get"),
    ("access-control-request-method", "post"),
    ("alt-svc", "clear"),
    ("authorization", ""),
    ("content-security-policy", "script-src 'none'; object-src 'none'; base-uri 'none'"),
    ("early-data", "1"),
    ("expect-ct", ""),
    ("forwarded", ""),
    ("if-range", ""),
    ("origin", ""),
    ("purpose", "prefetch"),
    ("server", ""),
    ("timing-allow-origin", "*"),
    ("upgrade-insecure-requests", "1"),
    ("user-agent", ""),
    ("x-forwarded-for", ""),
    ("x-frame-options", "deny"),
    ("x-frame-options", "sameorigin"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_responses_are_found_wherever_they_stand() {
        let mut found = 0;
        for (name, _) in STATIC {
            let places: Vec<_> =
                static_places(name.as_bytes()).iter().map(|&place| usize::from(place)).collect();
            if !places.is_empty() {
                let all: Vec<_> = (0..STATIC.len()).filter(|&place| STATIC[place].0 == name).collect();
                assert_eq!(places, all, "{name}");
                found += 1;
            }
        }
        assert_eq!(found, 66);
        assert_eq!(static_entry(0), Some((&b":authority"[..], &b""[..])));
        assert_eq!(static_entry(98), Some((&b"x-frame-options"[..], &b"sameorigin"[..])));
        assert_eq!(static_entry(99), None);
    }
}
