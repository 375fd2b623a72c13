//! The query of a request target, read as a form: names and values in the encoding of
//! `application/x-www-form-urlencoded`.

/// The first value of a key, with `+` and `%XX` decoded. A malformed `%` is left as it is.
#[must_use]
pub(crate) fn query_value(query: &[u8], key: &[u8]) -> Option<Vec<u8>> {
    let pairs = query.split(|byte| *byte == b'&').map(|pair| {
        let cut = memchr::memchr(b'=', pair).unwrap_or(pair.len());
        (&pair[..cut], pair.get(cut + 1..).unwrap_or_default())
    });
    pairs.into_iter().find(|(name, _)| *name == key || decode(name) == key).map(|(_, value)| decode(value))
}

fn decode(text: &[u8]) -> Vec<u8> {
    let mut decoded = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        match (byte, after) {
            (b'+', _) => decoded.push(b' '),
            (b'%', [high, low, after @ ..]) if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => {
                decoded.push(hex(*high) << 4 | hex(*low));
                rest = after;
            }
            (byte, _) => decoded.push(byte),
        }
    }
    decoded
}

/// The value of a hexadecimal digit.
fn hex(digit: u8) -> u8 {
    match digit {
        b'0'..=b'9' => digit - b'0',
        _ => (digit | 0x20) - b'a' + 10,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(query: &str, key: &str) -> Option<String> {
        query_value(query.as_bytes(), key.as_bytes()).map(|value| String::from_utf8(value).unwrap())
    }

    #[test]
    fn query_values_are_decoded() {
        assert_eq!(value("a=1&b=x+y%20z", "b").as_deref(), Some("x y z"));
        assert_eq!(value("a=1&a=2", "a").as_deref(), Some("1"));
        assert_eq!(value("a", "a").as_deref(), Some(""));
        assert_eq!(value("a=", "a").as_deref(), Some(""));
        assert_eq!(value("%61=5", "a").as_deref(), Some("5"));
        assert_eq!(value("a=%zz%4", "a").as_deref(), Some("%zz%4"));
        assert_eq!(value("a=%C3%A9", "a").as_deref(), Some("é"));
        assert_eq!(value("ab=1", "a"), None);
        assert_eq!(value("", "a"), None);
    }
}
