//! The list of extensions in `Sec-WebSocket-Extensions` (RFC 6455 §9.1), whatever they are.

use std::borrow::Cow;

use crate::protocol::http::head::{is_token, is_token_byte};

/// The value is not what RFC 6455 §9.1 calls an `extension-list`; the handshake must fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("Sec-WebSocket-Extensions header must be a list of extensions")]
pub(crate) struct MalformedExtensions;

/// One element of an `extension-list`.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Offer<'a> {
    pub(super) name: &'a [u8],
    /// In the order of the header.
    pub(super) parameters: Vec<Parameter<'a>>,
}

/// One `extension-param`.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Parameter<'a> {
    pub(super) name: &'a [u8],
    /// May have been quoted.
    pub(super) value: Option<Cow<'a, [u8]>>,
}

/// Reads an `extension-list` (RFC 6455 §9.1):
///
/// ```text
/// extension-list  = 1#extension
/// extension       = extension-token *( ";" extension-param )
/// extension-param = token [ "=" (token | quoted-string) ]
/// ```
///
/// Empty elements are skipped, as RFC 9110 §5.6.1.2 has it for every list.
pub(super) fn parse(header: &[u8]) -> Result<Vec<Offer<'_>>, MalformedExtensions> {
    let mut scanner = Scanner { rest: header };
    let mut offers = Vec::new();
    loop {
        scanner.skip_spaces();
        match scanner.rest.first() {
            None => return Ok(offers),
            Some(b',') => scanner.rest = &scanner.rest[1..],
            Some(_) => {
                offers.push(scanner.offer()?);
                if !scanner.rest.is_empty() && !scanner.take(b',') {
                    return Err(MalformedExtensions);
                }
            }
        }
    }
}

/// The rest of a header that is being parsed.
struct Scanner<'a> {
    rest: &'a [u8],
}

impl<'a> Scanner<'a> {
    fn offer(&mut self) -> Result<Offer<'a>, MalformedExtensions> {
        let name = self.token()?;
        let mut parameters = Vec::new();
        self.skip_spaces();
        while self.take(b';') {
            self.skip_spaces();
            let name = self.token()?;
            let value = if self.take(b'=') { Some(self.value()?) } else { None };
            parameters.push(Parameter { name, value });
            self.skip_spaces();
        }
        Ok(Offer { name, parameters })
    }

    fn value(&mut self) -> Result<Cow<'a, [u8]>, MalformedExtensions> {
        if !self.take(b'"') {
            return self.token().map(Cow::Borrowed);
        }
        let mut value = Vec::new();
        while !self.take(b'"') {
            self.take(b'\\');
            let (&byte, rest) = self.rest.split_first().ok_or(MalformedExtensions)?;
            value.push(byte);
            self.rest = rest;
        }
        // RFC 6455 §9.1: "the value after quoted-string unescaping MUST conform to the 'token' ABNF".
        if !is_token(&value) {
            return Err(MalformedExtensions);
        }
        Ok(Cow::Owned(value))
    }

    fn token(&mut self) -> Result<&'a [u8], MalformedExtensions> {
        let length = self.rest.iter().take_while(|&&byte| is_token_byte(byte)).count();
        if length == 0 {
            return Err(MalformedExtensions);
        }
        let (token, rest) = self.rest.split_at(length);
        self.rest = rest;
        Ok(token)
    }

    /// Takes `byte` if it comes next.
    fn take(&mut self, byte: u8) -> bool {
        let is_next = self.rest.first() == Some(&byte);
        if is_next {
            self.rest = &self.rest[1..];
        }
        is_next
    }

    fn skip_spaces(&mut self) {
        self.rest = self.rest.trim_ascii_start();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn any_bytes_are_read_without_fault(header in prop::collection::vec(any::<u8>(), 0..60)) {
            let _ = parse(&header);
        }

        #[test]
        fn any_list_is_read_as_it_was_written(
            list in prop::collection::vec(
                ("[a-z!#$-]{1,6}", prop::collection::vec(("[a-z_]{1,5}", prop::option::of("[a-z0-9.]{1,4}"), any::<bool>()), 0..3)),
                1..4,
            ),
        ) {
            let text = list.iter().map(|(name, parameters)| {
                let parameters = parameters.iter().map(|(name, value, quoted)| match value {
                    None => format!("; {name}"),
                    Some(value) if *quoted => format!(" ;{name}=\"\\{value}\""),
                    Some(value) => format!(";\t{name}={value}"),
                });
                name.clone() + &parameters.collect::<String>()
            }).collect::<Vec<_>>().join(" , ");
            let read = parse(text.as_bytes()).unwrap();
            let expected: Vec<_> = list.iter().map(|(name, parameters)| Offer {
                name: name.as_bytes(),
                parameters: parameters.iter()
                    .map(|(name, value, _)| Parameter {
                        name: name.as_bytes(), value: value.as_deref().map(|value| value.as_bytes().into()),
                    })
                    .collect(),
            }).collect();
            prop_assert_eq!(read, expected);
        }
    }
}
