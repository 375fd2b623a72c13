//! The negotiation of permessage-deflate at the server (RFC 7692 §7.1): the client's offers in
//! `Sec-WebSocket-Extensions`, the parameters that the `compression` option of a route allows, and the resulting
//! agreement.
//!
//! | the client offers | the answer |
//! |---|---|
//! | several times `permessage-deflate` | takes the first offer that is acceptable |
//! | another extension | skips it |
//! | an unknown parameter, one twice, a value where none belongs, a bad or missing value | declines that offer |
//! | `server_no_context_takeover` | our compressor starts each message without context |
//! | `server_max_window_bits=n` | our window is at most `n` |
//! | `client_no_context_takeover` | holds the client to it |
//! | `client_max_window_bits[=n]` | holds the client to our window, or to `n` if that is smaller |
//! | no `client_max_window_bits`, while our window is below 15 | `client_no_context_takeover`: it cannot be held to it |
//! | something that is no list of extensions | refuses the handshake ([`MalformedExtensions`]) |

use std::fmt::Write;

use super::extension_list::{MalformedExtensions, Offer, Parameter, parse};

/// The largest window of deflate: 2^15 bytes.
pub(crate) const LARGEST_WINDOW: u8 = 15;
/// The smallest window that can be agreed upon (RFC 7692 §7.1.2).
const SMALLEST_WINDOW: u8 = 8;

/// The parameters that the `compression` option of a route allows for each direction. An [`Option`] of it is `None` if
/// the route has no compression.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Compression {
    /// What we send.
    pub(super) outgoing: Direction,
    /// What the peer sends.
    pub(super) incoming: Direction,
}

/// One direction of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Direction {
    /// Messages may refer to the last `2^window_bits` bytes, 8–15.
    pub window_bits: u8,
    /// Whether a message may refer to those before it.
    pub takeover: bool,
}

/// What client and server agreed upon.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Agreement {
    /// What we send.
    pub outgoing: Direction,
    /// What the peer sends.
    pub incoming: Direction,
}

/// Bits that one direction takes in [`Agreement::to_bits`].
const DIRECTION_BITS: u32 = 5;

impl Direction {
    /// The window in bits 0–3, the takeover in bit 4.
    fn to_bits(self) -> u32 {
        u32::from(self.window_bits) | u32::from(self.takeover) << 4
    }

    fn from_bits(bits: u32) -> Option<Self> {
        // Lossless: masked.
        let (window_bits, takeover) = ((bits & 0xf) as u8, bits & 0x10 != 0);
        let is_valid =
            (SMALLEST_WINDOW..=LARGEST_WINDOW).contains(&window_bits) && bits < 1 << DIRECTION_BITS;
        is_valid.then_some(Self { window_bits, takeover })
    }

    /// Each message is compressed on its own, with the largest window.
    const SHARED: Self = Self { window_bits: LARGEST_WINDOW, takeover: false };

    /// The same, with no more than `bits` of window.
    fn within(self, bits: Option<u8>) -> Self {
        Self { window_bits: bits.map_or(self.window_bits, |bits| self.window_bits.min(bits)), ..self }
    }
}

impl Compression {
    /// Reads a `compression` option: a compressor (its window bits in bits 4–7, its memory level in bits 0–3; 1 is the
    /// shared one), a decompressor (its window bits in bits 8–11; 1 is the shared one), or one of each. A missing
    /// part is shared. `Some(None)` is no compression; `None`, that there is no such option.
    #[must_use]
    pub(crate) fn from_option(option: u32) -> Option<Option<Self>> {
        // Lossless: masked.
        let (compressor, decompressor) = ((option & 0xff) as u8, (option >> 8 & 0xf) as u8);
        let outgoing = match (compressor >> 4, compressor & 0xf) {
            (0, 0 | 1) => Direction::SHARED,
            (window_bits @ 9..=LARGEST_WINDOW, 1..=9) => Direction { window_bits, takeover: true },
            _ => return None,
        };
        let incoming = match decompressor {
            0 | 1 => Direction::SHARED,
            window_bits @ 9..=LARGEST_WINDOW => Direction { window_bits, takeover: true },
            _ => return None,
        };
        match option {
            0 => Some(None),
            1..=0xfff => Some(Some(Self { outgoing, incoming })),
            _ => None,
        }
    }

    /// The first offer in a `Sec-WebSocket-Extensions` value that is acceptable, as agreed upon. `None` if there is
    /// none. The values of a repeated header are passed as one, joined by commas.
    pub(crate) fn negotiate(self, offers: &[u8]) -> Result<Option<Agreement>, MalformedExtensions> {
        let offers = parse(offers)?;
        let known = offers.iter().filter(|offer| offer.name == b"permessage-deflate");
        Ok(known.filter_map(DeflateParameters::of).map(|parameters| self.agree(parameters)).next())
    }

    fn agree(self, parameters: DeflateParameters) -> Agreement {
        let mut outgoing = self.outgoing.within(parameters.server_max_window_bits);
        outgoing.takeover &= !parameters.server_no_context_takeover;
        let mut incoming = self.incoming;
        match parameters.client_max_window_bits {
            Some(max) => incoming = incoming.within(Some(max)),
            None if incoming.window_bits < LARGEST_WINDOW => incoming = Direction::SHARED,
            None => {}
        }
        incoming.takeover &= !parameters.client_no_context_takeover;
        if !incoming.takeover {
            // The client may use any window, because it does not outlast a message.
            incoming = Direction::SHARED;
        }
        Agreement { outgoing, incoming }
    }
}

impl Agreement {
    /// The agreement as one number, which passes through JavaScript.
    #[must_use]
    pub(crate) fn to_bits(self) -> u32 {
        self.outgoing.to_bits() | self.incoming.to_bits() << DIRECTION_BITS
    }

    /// The agreement of [`Self::to_bits`]; `None` for a number that is none.
    #[must_use]
    pub(crate) fn from_bits(bits: u32) -> Option<Self> {
        let outgoing = Direction::from_bits(bits & ((1 << DIRECTION_BITS) - 1))?;
        let incoming = Direction::from_bits(bits >> DIRECTION_BITS)?;
        Some(Self { outgoing, incoming })
    }

    /// The `Sec-WebSocket-Extensions` value of the answer. Names the parameters that differ from the defaults (RFC 7692
    /// §7.1).
    #[must_use]
    pub(crate) fn answer(self) -> String {
        let mut answer = "permessage-deflate".to_owned();
        if !self.outgoing.takeover {
            answer.push_str("; server_no_context_takeover");
        }
        if !self.incoming.takeover {
            answer.push_str("; client_no_context_takeover");
        }
        let sides = [("server", self.outgoing), ("client", self.incoming)];
        for (side, direction) in sides.into_iter().filter(|(_, it)| it.window_bits < LARGEST_WINDOW) {
            // Writing to a string does not fail.
            let _ = write!(answer, "; {side}_max_window_bits={}", direction.window_bits);
        }
        answer
    }
}

/// Whether this `User-Agent` is Safari 15.0–15.3, whose permessage-deflate is broken. It has `Version/15.n`, and
/// `Safari/` after it.
#[must_use]
pub(crate) fn has_broken_compression(user_agent: &[u8]) -> bool {
    const VERSION: &[u8] = b" Version/15.";
    let Some(at) = memchr::memmem::find(user_agent, VERSION) else { return false };
    matches!(&user_agent[at + VERSION.len()..], [b'0'..=b'3', b' ', rest @ ..]
        if rest.starts_with(b"Safari/") || memchr::memmem::find(rest, b" Safari/").is_some())
}

/// The parameters of one acceptable offer (RFC 7692 §7.1).
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct DeflateParameters {
    pub(super) server_no_context_takeover: bool,
    pub(super) client_no_context_takeover: bool,
    pub(super) server_max_window_bits: Option<u8>,
    /// 15 if it was offered without a value: any window will do.
    pub(super) client_max_window_bits: Option<u8>,
}

impl DeflateParameters {
    /// `None` if an offer must be declined for one of its parameters (RFC 7692 §7).
    pub(super) fn of(offer: &Offer<'_>) -> Option<Self> {
        let mut parameters = Self::default();
        for Parameter { name, value } in &offer.parameters {
            let value = value.as_deref();
            let is_first = match *name {
                b"server_no_context_takeover" if value.is_none() => {
                    !std::mem::replace(&mut parameters.server_no_context_takeover, true)
                }
                b"client_no_context_takeover" if value.is_none() => {
                    !std::mem::replace(&mut parameters.client_no_context_takeover, true)
                }
                b"server_max_window_bits" => {
                    parameters.server_max_window_bits.replace(window_bits(value?)?).is_none()
                }
                b"client_max_window_bits" => {
                    let bits = value.map_or(Some(LARGEST_WINDOW), window_bits)?;
                    parameters.client_max_window_bits.replace(bits).is_none()
                }
                _ => return None,
            };
            if !is_first {
                return None;
            }
        }
        Some(parameters)
    }
}

/// A decimal number from 8 to 15 without leading zeros (RFC 7692 §7.1.2).
fn window_bits(value: &[u8]) -> Option<u8> {
    let bits = match value {
        [digit @ b'8'..=b'9'] => digit - b'0',
        [b'1', digit @ b'0'..=b'5'] => 10 + digit - b'0',
        _ => return None,
    };
    debug_assert!((SMALLEST_WINDOW..=LARGEST_WINDOW).contains(&bits));
    Some(bits)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SHARED: u32 = 1;
    const SHARED_DECOMPRESSOR: u32 = 1 << 8;
    const DEDICATED: u32 = 248 | 15 << 8;
    const SMALL: u32 = 163 | 9 << 8;

    /// The answer of a route with this `compression` to this header.
    fn answer(option: u32, offers: &str) -> Option<String> {
        let compression = Compression::from_option(option).unwrap().unwrap();
        compression.negotiate(offers.as_bytes()).unwrap().map(Agreement::answer)
    }

    #[test]
    fn an_agreement_survives_as_a_number() {
        let directions = || {
            (SMALLEST_WINDOW..=LARGEST_WINDOW)
                .flat_map(|window_bits| [true, false].map(|takeover| Direction { window_bits, takeover }))
        };
        for outgoing in directions() {
            for incoming in directions() {
                let agreement = Agreement { outgoing, incoming };
                assert_eq!(Agreement::from_bits(agreement.to_bits()), Some(agreement));
            }
        }
        for bits in [0, 1, u32::MAX, 15 << DIRECTION_BITS, 15 | 1 << 10] {
            assert_eq!(Agreement::from_bits(bits), None, "{bits}");
        }
    }

    #[test]
    fn every_constant_has_its_window_and_its_memory() {
        assert_eq!(Compression::from_option(0), Some(None));
        let shared = Direction { window_bits: 15, takeover: false };
        for option in [SHARED, SHARED_DECOMPRESSOR, SHARED | SHARED_DECOMPRESSOR] {
            let expected = Compression { outgoing: shared, incoming: shared };
            assert_eq!(Compression::from_option(option), Some(Some(expected)), "{option}");
        }
        // DEDICATED_COMPRESSOR_3KB … DEDICATED_COMPRESSOR_256KB
        let compressors =
            [(145, 9), (146, 9), (163, 10), (180, 11), (197, 12), (214, 13), (231, 14), (248, 15)];
        for (option, window_bits) in compressors {
            let compression = Compression::from_option(option).unwrap().unwrap();
            assert_eq!(compression.outgoing, Direction { window_bits, takeover: true }, "{option}");
            assert_eq!(compression.incoming, shared, "{option}");
        }
        // DEDICATED_DECOMPRESSOR_512B … DEDICATED_DECOMPRESSOR_32KB
        for (option, window_bits) in
            [(2304, 9), (2560, 10), (2816, 11), (3072, 12), (3328, 13), (3584, 14), (3840, 15)]
        {
            let compression = Compression::from_option(option).unwrap().unwrap();
            assert_eq!(compression.incoming, Direction { window_bits, takeover: true }, "{option}");
            assert_eq!(compression.outgoing, shared, "{option}");
        }
        for option in [2, 15, 16, 128, 144, 154, 255, 2 << 8, 8 << 8, 4096, 4096 + 248, u32::MAX] {
            assert_eq!(Compression::from_option(option), None, "{option}");
        }
    }

    #[test]
    fn what_is_agreed_upon() {
        let both = "permessage-deflate; server_no_context_takeover; client_no_context_takeover";
        let client_only = "permessage-deflate; client_no_context_takeover";
        let server_only = "permessage-deflate; server_no_context_takeover";
        let small = "permessage-deflate; server_max_window_bits=10; client_max_window_bits=9";
        let cases = [
            // A browser's offer.
            (SHARED, "permessage-deflate; client_max_window_bits", both),
            (DEDICATED, "permessage-deflate; client_max_window_bits", "permessage-deflate"),
            (DEDICATED, "permessage-deflate", "permessage-deflate"),
            (248, "permessage-deflate", client_only),
            (15 << 8, "permessage-deflate", server_only),
            (DEDICATED, "permessage-deflate; server_no_context_takeover", server_only),
            (DEDICATED, "permessage-deflate; client_no_context_takeover", client_only),
            (
                DEDICATED,
                "permessage-deflate; client_no_context_takeover; client_max_window_bits=9",
                client_only,
            ),
            (SMALL, "permessage-deflate; client_max_window_bits", small),
            (
                SMALL,
                "permessage-deflate; client_max_window_bits=8",
                "permessage-deflate; server_max_window_bits=10; client_max_window_bits=8",
            ),
            (
                SMALL,
                "permessage-deflate",
                "permessage-deflate; client_no_context_takeover; server_max_window_bits=10",
            ),
            (
                SMALL,
                "permessage-deflate; server_max_window_bits=8; client_max_window_bits=12",
                "permessage-deflate; server_max_window_bits=8; client_max_window_bits=9",
            ),
            (
                DEDICATED,
                "permessage-deflate;server_max_window_bits=\"1\\0\" ;\tclient_max_window_bits=14",
                "permessage-deflate; server_max_window_bits=10; client_max_window_bits=14",
            ),
            (
                SHARED,
                "permessage-deflate; server_max_window_bits=12",
                "permessage-deflate; server_no_context_takeover; client_no_context_takeover; server_max_window_bits=12",
            ),
            (DEDICATED, "permessage-deflate; server_max_window_bits=15", "permessage-deflate"),
        ];
        for (option, offers, expected) in cases {
            assert_eq!(answer(option, offers).as_deref(), Some(expected), "{option}: {offers}");
        }
    }

    #[test]
    fn the_first_acceptable_offer_wins() {
        let offers = "x-webkit-deflate-frame, ,permessage-deflate; mystery, permessage-deflate;\
            server_max_window_bits=11, permessage-deflate";
        let expected = Some("permessage-deflate; server_max_window_bits=11".to_owned());
        assert_eq!(answer(DEDICATED, offers), expected);
        // An offer with a fallback, from RFC 7692 §7.1.3.
        let offers = "permessage-deflate; client_max_window_bits; server_max_window_bits=10, \
            permessage-deflate; client_max_window_bits";
        let expected = Some("permessage-deflate; server_max_window_bits=10".to_owned());
        assert_eq!(answer(DEDICATED, offers), expected);
    }

    #[test]
    fn an_offer_with_a_wrong_parameter_is_declined() {
        let parameters = [
            "mystery",
            "Server_No_Context_Takeover",
            "server_no_context_takeover=1",
            "client_no_context_takeover=true",
            "server_no_context_takeover; server_no_context_takeover",
            "client_no_context_takeover; client_no_context_takeover",
            "server_max_window_bits",
            "server_max_window_bits=7",
            "server_max_window_bits=16",
            "server_max_window_bits=08",
            "server_max_window_bits=1e1",
            "server_max_window_bits=10; server_max_window_bits=10",
            "client_max_window_bits=0",
            "client_max_window_bits=\"-8\"",
            "client_max_window_bits=150",
            "client_max_window_bits; client_max_window_bits=10",
        ];
        for parameters in parameters {
            assert_eq!(answer(DEDICATED, &format!("permessage-deflate; {parameters}")), None, "{parameters}");
        }
        for offers in
            ["", " ", ",", "deflate", "Permessage-Deflate", "x-webkit-deflate-frame", "bbf-usp-protocol"]
        {
            assert_eq!(answer(DEDICATED, offers), None, "{offers}");
        }
    }

    #[test]
    fn what_is_no_list_of_extensions_is_malformed() {
        let headers = [
            ";",
            "=",
            "permessage-deflate;",
            "permessage-deflate; ;",
            "permessage-deflate; =1",
            "permessage-deflate; a=",
            "permessage-deflate; a =1",
            "permessage-deflate; a= 1",
            "permessage-deflate; a=\"1",
            "permessage-deflate; a=\"\"",
            "permessage-deflate; a=\"1 2\"",
            "permessage-deflate; a=\"\\",
            "permessage-deflate; a=\"1\"2",
            "permessage-deflate a",
            "permessage deflate, permessage-deflate",
            "permessage-deflate, é",
            "permessage-deflate\0",
        ];
        let compression = Compression::from_option(DEDICATED).unwrap().unwrap();
        for header in headers {
            assert_eq!(compression.negotiate(header.as_bytes()), Err(MalformedExtensions), "{header}");
        }
    }

    #[test]
    fn safari_15_0_to_15_3_is_known() {
        let safari = |version: &str| {
            has_broken_compression(
                format!(
                    "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) \
                     Version/{version} Safari/605.1.15"
                )
                .as_bytes(),
            )
        };
        for version in ["15.0", "15.1", "15.2", "15.3", "15.2 Mobile/15E148"] {
            assert!(safari(version), "{version}");
        }
        for version in ["14.1", "15.4", "15.10", "15.30", "15", "16.1", "15.x", "115.2"] {
            assert!(!safari(version), "{version}");
        }
        assert!(!has_broken_compression(b" Version/15.2"));
        assert!(!has_broken_compression(b"Chrome/96.0.4664.110 Safari/537.36"));
    }

    proptest! {
        /// For every offer, the server keeps to its answer, and the client cannot refuse it (RFC 7692 §7.1.2).
        #[test]
        fn an_answer_keeps_to_the_offer(
            option in prop::sample::select(vec![1u32, 145, 163, 248, 256, 2304, 3840, 257, 248 | 2304, 145 | 3840]),
            server in prop::option::of(8u8..=15), client in prop::option::of(prop::option::of(8u8..=15)),
            forget in prop::collection::vec(any::<bool>(), 2),
        ) {
            let mut offer = "permessage-deflate".to_owned();
            if let Some(bits) = server { offer += &format!("; server_max_window_bits={bits}"); }
            match client {
                Some(Some(bits)) => offer += &format!("; client_max_window_bits={bits}"),
                Some(None) => offer += "; client_max_window_bits",
                None => {}
            }
            if forget[0] { offer += "; server_no_context_takeover"; }
            if forget[1] { offer += "; client_no_context_takeover"; }
            let compression = Compression::from_option(option).unwrap().unwrap();
            let agreed = compression.negotiate(offer.as_bytes()).unwrap().unwrap();
            let answer = agreed.answer();
            prop_assert!(agreed.outgoing.window_bits <= server.unwrap_or(15));
            prop_assert!(!(agreed.outgoing.takeover && forget[0]));
            prop_assert!(!(agreed.incoming.takeover && forget[1]));
            prop_assert!(client.is_some() || !answer.contains("client_max_window_bits"));
            // The answer names every constraint on the client.
            let again = Compression { outgoing: Direction { window_bits: 15, takeover: true },
                incoming: Direction { window_bits: 15, takeover: true } };
            prop_assert_eq!(again.negotiate(answer.as_bytes()).unwrap(), Some(agreed));
        }
    }
}
