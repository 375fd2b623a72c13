//! The format of a fuzz input: the bytes on the wire, and the steps that happen between them.

/// ```text
///   GET / HTTP/1.1 … (any bytes)   NUL   s!w0f …
///   wire                                 steps
/// ```
/// The last NUL divides them, and without one there are no steps: a seed that is just a request is a plain text file.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Scenario<'a> {
    /// The bytes that the peer sends.
    pub wire: &'a [u8],
    /// The steps, one byte each, some followed by an argument. Without NUL.
    pub steps: &'a [u8],
}

impl<'a> Scenario<'a> {
    /// Reads an input of the fuzzer or a seed.
    #[must_use]
    pub(crate) fn of(data: &'a [u8]) -> Self {
        match memchr::memrchr(0, data) {
            Some(divider) => Self { wire: &data[..divider], steps: &data[divider + 1..] },
            None => Self { wire: data, steps: b"" },
        }
    }

    /// The wire, cut into pieces that are as long as the steps are large; the last piece is the rest.
    #[must_use]
    pub(crate) fn pieces(&self) -> Vec<&'a [u8]> {
        let mut rest = self.wire;
        let mut pieces = Vec::new();
        for &step in self.steps {
            let (piece, following) = rest.split_at(rest.len().min(step.into()));
            pieces.push(piece);
            rest = following;
        }
        pieces.push(rest);
        pieces
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_nul_divides_wire_and_steps() {
        for (data, wire, steps) in [
            (&b""[..], &b""[..], &b""[..]),
            (b"GET", b"GET", b""),
            (b"GET\0", b"GET", b""),
            (b"a\0b\0cd", b"a\0b", b"cd"),
            (b"\0cd", b"", b"cd"),
        ] {
            let scenario = Scenario::of(data);
            assert_eq!((scenario.wire, scenario.steps), (wire, steps), "{data:?}");
        }
    }

    #[test]
    fn pieces_are_as_long_as_the_steps_say_and_lose_nothing() {
        assert_eq!(Scenario::of(b"abcdef\0\x02\x03").pieces(), [&b"ab"[..], b"cde", b"f"]);
        assert_eq!(Scenario::of(b"abc\0\xff\x01").pieces(), [&b"abc"[..], b"", b""]);
        assert_eq!(Scenario::of(b"abc").pieces(), [&b"abc"[..]]);
    }
}
