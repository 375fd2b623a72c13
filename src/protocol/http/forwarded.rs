//! The addresses that proxies note in the header of a request: `X-Forwarded-For`, and `Forwarded` (RFC 7239).
//!
//! Each proxy appends the address from which the request came to it. Only what a trusted proxy has appended can be
//! believed, so the list is read from its end: the first address that is not a trusted proxy's is the client's. What
//! stands before it may be the client's invention.

use std::net::{IpAddr, SocketAddr};

/// The field that the proxies of an app maintain. Another one of the two may come from the client unchanged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ForwardedField {
    /// `X-Forwarded-For`
    XForwardedFor,
    /// `Forwarded`
    Forwarded,
}

impl ForwardedField {
    /// The field of this name; `None` if it is neither of the two.
    #[must_use]
    pub(crate) fn from_name(name: &str) -> Option<Self> {
        [Self::XForwardedFor, Self::Forwarded].into_iter().find(|field| field.name() == name)
    }

    /// The name, in lower case.
    #[must_use]
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::XForwardedFor => "x-forwarded-for",
            Self::Forwarded => "forwarded",
        }
    }

    /// The client of a request that came from the trusted proxy `proxy` (`None` on a Unix socket). `values` are those of
    /// the field, in their order. A hop that names no address hides what is before it.
    pub(crate) fn client<'a>(
        self,
        proxy: Option<IpAddr>,
        values: impl DoubleEndedIterator<Item = &'a [u8]>,
        is_trusted: impl Fn(IpAddr) -> bool,
    ) -> Option<IpAddr> {
        let mut client = proxy;
        for value in values.rev() {
            let Ok(value) = std::str::from_utf8(value) else { return client };
            for element in elements(value).into_iter().rev() {
                let address = match self {
                    Self::XForwardedFor => address(element),
                    Self::Forwarded => node(element),
                };
                let Some(address) = address else { return client };
                client = Some(address);
                if !is_trusted(address) {
                    return client;
                }
            }
        }
        client
    }
}

/// The elements of a list, without those that are empty (RFC 9110 §5.6.1.2). A comma in a quoted string is no end.
fn elements(value: &str) -> Vec<&str> {
    parts(value, ',').filter(|element| !element.is_empty()).collect()
}

/// What lies between separators outside of quoted strings, without the white space around it.
fn parts(value: &str, separator: char) -> impl Iterator<Item = &str> {
    let (mut is_quoted, mut is_escaped) = (false, false);
    let split = value.split(move |character| {
        let was_escaped = std::mem::take(&mut is_escaped);
        match character {
            '"' if !was_escaped => is_quoted = !is_quoted,
            '\\' if is_quoted && !was_escaped => is_escaped = true,
            _ => {}
        }
        character == separator && !is_quoted
    });
    split.map(|part| part.trim_matches([' ', '\t']))
}

/// The address in the parameter `for` of an element of `Forwarded`; `None` without one, or if it is hidden.
fn node(element: &str) -> Option<IpAddr> {
    let mut values = parts(element, ';').filter_map(|pair| {
        let (name, value) = pair.split_once('=')?;
        name.eq_ignore_ascii_case("for").then_some(value)
    });
    let (value, others) = (values.next()?, values.next());
    let value = value.strip_prefix('"').map_or(Some(value), |rest| rest.strip_suffix('"'))?;
    // A second one makes the element invalid: "Each parameter MUST NOT occur more than once per field-value".
    address(value).filter(|_| others.is_none())
}

/// An address, perhaps with a port; IPv6 with or without brackets.
fn address(text: &str) -> Option<IpAddr> {
    let plain = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text);
    let address = plain.parse().or_else(|_| text.parse::<SocketAddr>().map(|address| address.ip()));
    address.ok().map(|address| address.to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const PROXY: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 1));

    fn client(field: ForwardedField, values: &[&str]) -> String {
        let is_trusted = |address: IpAddr| address.to_string().starts_with("10.");
        let values = values.iter().map(|value| value.as_bytes());
        field.client(Some(PROXY), values, is_trusted).unwrap().to_string()
    }

    #[test]
    fn the_last_address_that_no_trusted_proxy_has_is_the_clients() {
        let cases: [(&[&str], &str); 12] = [
            (&[], "10.0.0.1"),
            (&[""], "10.0.0.1"),
            (&["192.0.2.1"], "192.0.2.1"),
            (&["6.6.6.6, 192.0.2.1"], "192.0.2.1"),
            (&["6.6.6.6", "192.0.2.1,10.0.0.2 ,\t10.0.0.3"], "192.0.2.1"),
            (&["192.0.2.1", "10.0.0.2"], "192.0.2.1"),
            (&["10.0.0.3, 10.0.0.2"], "10.0.0.3"),
            (&["192.0.2.1, unknown, 10.0.0.2"], "10.0.0.2"),
            (&["192.0.2.1:4711"], "192.0.2.1"),
            (&["[2001:db8::1]:4711"], "2001:db8::1"),
            (&["2001:db8::1"], "2001:db8::1"),
            (&["::ffff:192.0.2.1"], "192.0.2.1"),
        ];
        for (values, expected) in cases {
            assert_eq!(client(ForwardedField::XForwardedFor, values), expected, "{values:?}");
        }
    }

    #[test]
    fn forwarded_is_read_as_rfc_7239_writes_it() {
        let cases = [
            ("for=192.0.2.43", "192.0.2.43"),
            ("For=\"[2001:db8:cafe::17]:4711\"", "2001:db8:cafe::17"),
            ("for=192.0.2.60;proto=http;by=203.0.113.43", "192.0.2.60"),
            ("for=6.6.6.6, for=192.0.2.1 ; proto=https", "192.0.2.1"),
            ("for=192.0.2.1;host=\"a,for=6.6.6.6\"", "192.0.2.1"),
            ("for=192.0.2.1;host=\"a\\\",for=6.6.6.6\"", "192.0.2.1"),
            ("for=192.0.2.1, for=_hidden", "10.0.0.1"),
            ("for=192.0.2.1, for=unknown, for=10.0.0.7", "10.0.0.7"),
            ("for=192.0.2.1, proto=https", "10.0.0.1"),
            ("for=192.0.2.1;for=6.6.6.6", "10.0.0.1"),
            ("for=\"192.0.2.1", "10.0.0.1"),
        ];
        for (value, expected) in cases {
            assert_eq!(client(ForwardedField::Forwarded, &[value]), expected, "{value}");
        }
    }

    #[test]
    fn a_field_has_one_name() {
        for field in [ForwardedField::XForwardedFor, ForwardedField::Forwarded] {
            assert_eq!(ForwardedField::from_name(field.name()), Some(field));
        }
        assert_eq!(ForwardedField::from_name("X-Forwarded-For"), None);
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_fault(value in prop::collection::vec(any::<u8>(), 0..80)) {
            for field in [ForwardedField::XForwardedFor, ForwardedField::Forwarded] {
                prop_assert!(field.client(Some(PROXY), [&value[..]].into_iter(), |_| true).is_some());
            }
        }
    }
}
