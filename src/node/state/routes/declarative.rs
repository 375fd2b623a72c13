//! Declarative responses: what a route answers without entering JavaScript. `lib/http/declarative-response.js` writes
//! them down as bytes, which are checked here once, when the route is registered.
//!
//! ```text
//!  'F' 'D' 'R'  version 1
//!  STATUS          length u8   status                           at most one, before everything else
//!  HEADER          length u8   name      length u8  value       headers
//!  LITERAL         length u16  bytes                            pieces of the body, in their order
//!  QUERY           length u8   key                              the value of a key of the query, decoded
//!  REQUEST_HEADER  length u8   name                             the value of a header of the request
//!  PARAMETER       length u8   name                             a parameter of the route
//!  END                                                          the end; nothing follows it
//! ```
//!
//! An instruction is a byte ([`instruction`]). Lengths of two bytes are little-endian. What comes from a request goes
//! into the body only, so no request can write a header.

use thiserror::Error;

use crate::node::abi::instruction;
use crate::node::error::Misuse;
use crate::node::state::prepared_head::PreparedHead;
use crate::protocol::http::head::{is_field_value, is_token};
use crate::protocol::http::response_head::{FieldFlags, is_status};

/// A response that needs no JavaScript.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Declarative {
    /// Status and fields.
    pub head: PreparedHead,
    /// The body, in its order.
    pub body: Vec<Piece>,
}

/// A piece of the body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Piece {
    /// The same for every request.
    Literal(Vec<u8>),
    /// The decoded value of this key of the query; nothing if there is none.
    Query(Vec<u8>),
    /// The value of the first header of this lower-case name; nothing if there is none.
    Header(Vec<u8>),
    /// The segment of the path that the parameter of this name took, not decoded; nothing if there is none.
    Parameter(String),
}

/// Why bytes are no declarative response.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub(crate) enum Malformed {
    /// They do not start with [`MAGIC`].
    #[error("it does not begin as one")]
    Beginning,
    /// They end within an instruction, or without the one that ends them.
    #[error("it is cut off")]
    Truncated,
    /// There is no such instruction.
    #[error("it has an unknown instruction")]
    Instruction,
    /// The status comes twice or late, or a header after a piece of the body.
    #[error("its instructions are out of order")]
    Order,
    /// Something follows the end.
    #[error("something stands behind its end")]
    Trailing,
    /// The status breaks RFC 9112 §4.
    #[error("its status is not valid")]
    Status,
    /// A header field breaks RFC 9110 §5.
    #[error("it has a header that is not valid")]
    Field,
    /// More than [`MAX_VALUES`], which bounds the body by the size of a request head.
    #[error("it takes more than {MAX_VALUES} values from the request")]
    Values,
}

impl Declarative {
    /// Reads the bytes that `lib/http/declarative-response.js` has written.
    ///
    /// # Errors
    /// [`Malformed`], if they are not well-formed.
    pub(crate) fn parse(bytes: &[u8]) -> Result<Self, Malformed> {
        let mut rest = Rest(bytes.strip_prefix(MAGIC).ok_or(Malformed::Beginning)?);
        let mut response = Self::default();
        let mut values = 0;
        loop {
            let instruction = f64::from(rest.byte()?);
            match instruction {
                instruction::END if rest.0.is_empty() => return Ok(response),
                instruction::END => return Err(Malformed::Trailing),
                instruction::STATUS => response.set_status(rest.short()?)?,
                instruction::HEADER => {
                    let name = rest.short()?;
                    response.add_field(name, rest.short()?)?;
                }
                instruction::LITERAL => response.add_literal(rest.long()?),
                instruction::QUERY | instruction::REQUEST_HEADER | instruction::PARAMETER => {
                    values += 1;
                    if values > MAX_VALUES {
                        return Err(Malformed::Values);
                    }
                    let key = rest.short()?;
                    response.body.push(match instruction {
                        instruction::QUERY => Piece::Query(key.to_vec()),
                        instruction::REQUEST_HEADER => Piece::Header(key.to_ascii_lowercase()),
                        _ => Piece::Parameter(String::from_utf8_lossy(key).into_owned()),
                    });
                }
                _ => return Err(Malformed::Instruction),
            }
        }
    }

    fn set_status(&mut self, status: &[u8]) -> Result<(), Malformed> {
        if !self.head.is_empty() || !self.body.is_empty() {
            return Err(Malformed::Order);
        }
        if !is_status(status) {
            return Err(Malformed::Status);
        }
        self.head.status.extend_from_slice(status);
        if status.len() == 3 {
            // RFC 9112 §4: the space is sent even if no reason phrase follows.
            self.head.status.push(b' ');
        }
        Ok(())
    }

    fn add_field(&mut self, name: &[u8], value: &[u8]) -> Result<(), Malformed> {
        if !self.body.is_empty() {
            return Err(Malformed::Order);
        }
        if !is_token(name) || !is_field_value(value) {
            return Err(Malformed::Field);
        }
        self.head.fields.extend([name, b": ", value, b"\r\n"].into_iter().flatten());
        self.head.flags = self.head.flags | FieldFlags::of(name);
        Ok(())
    }

    /// Appends to the body; adjacent literals become one piece.
    fn add_literal(&mut self, bytes: &[u8]) {
        if let Some(Piece::Literal(last)) = self.body.last_mut() {
            last.extend_from_slice(bytes);
        } else {
            self.body.push(Piece::Literal(bytes.to_vec()));
        }
    }
}

/// The bytes that have not been read yet.
struct Rest<'a>(&'a [u8]);

impl<'a> Rest<'a> {
    fn take(&mut self, count: usize) -> Result<&'a [u8], Malformed> {
        let (taken, rest) = self.0.split_at_checked(count).ok_or(Malformed::Truncated)?;
        self.0 = rest;
        Ok(taken)
    }

    fn byte(&mut self) -> Result<u8, Malformed> {
        let (&byte, rest) = self.0.split_first().ok_or(Malformed::Truncated)?;
        self.0 = rest;
        Ok(byte)
    }

    /// Bytes after a length of one byte.
    fn short(&mut self) -> Result<&'a [u8], Malformed> {
        let length = self.byte()?;
        self.take(usize::from(length))
    }

    /// Bytes after a length of two bytes.
    fn long(&mut self) -> Result<&'a [u8], Malformed> {
        let length = u16::from_le_bytes([self.byte()?, self.byte()?]);
        self.take(usize::from(length))
    }
}

impl From<Malformed> for Misuse {
    fn from(malformed: Malformed) -> Self {
        let text = format!("an ArrayBuffer as handler must come from DeclarativeResponse.end(): {malformed}");
        Self::invalid_http("ERR_INVALID_ARG_VALUE", text)
    }
}

/// Signature and version, with which the bytes start.
pub(crate) const MAGIC: &[u8] = b"FDR\x01";
/// The largest number of values of the request in one response.
const MAX_VALUES: usize = 1000;

/// Declarative responses as `lib/` writes them.
#[cfg(test)]
pub(in crate::node) mod written {
    use proptest::prelude::*;

    use super::MAGIC;

    /// An instruction with one short operand.
    pub(crate) fn short(instruction: u8, operand: &[u8]) -> Vec<u8> {
        [&[instruction, u8::try_from(operand.len()).unwrap()], operand].concat()
    }

    pub(crate) fn field(name: &[u8], value: &[u8]) -> Vec<u8> {
        let value = short(0, value);
        [&short(2, name)[..], &value[1..]].concat()
    }

    pub(crate) fn literal(bytes: &[u8]) -> Vec<u8> {
        let length = u16::try_from(bytes.len()).unwrap().to_le_bytes();
        [&[3], &length[..], bytes].concat()
    }

    /// These instructions between [`MAGIC`] and the end.
    pub(crate) fn whole(instructions: &[Vec<u8>]) -> Vec<u8> {
        [MAGIC, &instructions.concat(), &[0]].concat()
    }

    /// Instructions, most of them well-formed.
    pub(crate) fn instructions() -> impl Strategy<Value = Vec<u8>> {
        let operand = || prop::collection::vec(any::<u8>(), 0..20);
        let one = prop_oneof![
            operand(),
            operand().prop_map(|it| short(1, &it)),
            Just(short(1, b"200 OK")),
            (operand(), operand()).prop_map(|(name, value)| field(&name, &value)),
            "[a-z]{1,5}".prop_map(|name| field(name.as_bytes(), b"value")),
            operand().prop_map(|it| literal(&it)),
            (4..=6_u8, operand()).prop_map(|(kind, it)| short(kind, &it)),
        ];
        prop::collection::vec(one, 0..8).prop_map(|all| all.concat())
    }
}

#[cfg(test)]
mod tests {
    use super::written::{field, literal, short, whole};
    use super::*;

    fn refused(instructions: &[Vec<u8>]) -> Malformed {
        Declarative::parse(&whole(instructions)).unwrap_err()
    }

    #[test]
    fn the_head_is_laid_out_once() {
        let response = Declarative::parse(&whole(&[
            short(1, b"404 Not Found"),
            field(b"Content-Type", b"text/plain"),
            field(b"DATE", b""),
        ]))
        .unwrap();
        assert_eq!(response.head.status, b"404 Not Found");
        assert_eq!(response.head.fields, b"Content-Type: text/plain\r\nDATE: \r\n");
        assert_eq!(response.head.flags, FieldFlags::DATE);
        assert_eq!(response.body, []);
        assert_eq!(Declarative::parse(&whole(&[short(1, b"204")])).unwrap().head.status, b"204 ");
    }

    #[test]
    fn a_literal_may_be_empty_or_long_and_neighbours_become_one() {
        let long = vec![b'x'; 65_535];
        let response = Declarative::parse(&whole(&[literal(b""), literal(&long), literal(b"y")])).unwrap();
        let expected = [&long[..], b"y"].concat();
        assert!(response.body == [Piece::Literal(expected)]);
    }

    #[test]
    fn what_breaks_a_rule_of_http_is_refused() {
        for status in ["", "200\r\nX: y", "OK", "100 Continue"] {
            assert_eq!(refused(&[short(1, status.as_bytes())]), Malformed::Status, "{status:?}");
        }
        for (name, value) in [("", "v"), ("a b", "v"), ("a:", "v"), ("a", "v\r\nb: c"), ("a", "\0")] {
            assert_eq!(refused(&[field(name.as_bytes(), value.as_bytes())]), Malformed::Field, "{name:?}");
        }
    }

    #[test]
    fn instructions_have_an_order() {
        let (status, field) = (short(1, b"200 OK"), field(b"a", b"b"));
        for wrong in [
            [status.clone(), status.clone()],
            [field.clone(), status.clone()],
            [literal(b"x"), status],
            [literal(b"x"), field.clone()],
            [short(4, b"x"), field],
        ] {
            assert_eq!(refused(&wrong), Malformed::Order);
        }
        assert_eq!(refused(&[vec![7]]), Malformed::Instruction);
        assert_eq!(refused(&[vec![0]]), Malformed::Trailing);
    }

    #[test]
    fn the_values_of_a_request_are_counted() {
        let values = |count| whole(&vec![short(4, b"k"); count]);
        assert!(Declarative::parse(&values(MAX_VALUES)).is_ok());
        assert_eq!(Declarative::parse(&values(MAX_VALUES + 1)), Err(Malformed::Values));
    }

    #[test]
    fn every_beginning_of_a_response_is_refused() {
        let bytes = whole(&[short(1, b"200 OK"), field(b"a", b"b"), literal(b"xyz"), short(6, b"id")]);
        assert!(Declarative::parse(&bytes).is_ok());
        for end in 0..bytes.len() {
            let expected = if end < MAGIC.len() { Malformed::Beginning } else { Malformed::Truncated };
            assert_eq!(Declarative::parse(&bytes[..end]), Err(expected), "{end}");
        }
        let mut newer = bytes;
        newer[3] = 2;
        assert_eq!(Declarative::parse(&newer), Err(Malformed::Beginning));
    }
}
