//! The negotiation of permessage-deflate at the client (RFC 7692 §7.1): the offer that the `compression` option makes,
//! and the agreement that follows from the answer. [`extensions`](super::extensions) is the server's side.
//!
//! | our option | the offer has |
//! |---|---|
//! | always | `client_max_window_bits`, with our window if that is smaller than the largest: the server may ask for less |
//! | a shared compressor | `client_no_context_takeover` |
//! | a shared decompressor | `server_no_context_takeover` |
//! | a decompressor with a smaller window | `server_max_window_bits` |
//!
//! An answer without a parameter that was asked for is accepted, because this side can decompress with the defaults
//! too. One that exceeds the offer is refused (RFC 7692 §5.1).

use std::fmt::Write;

use super::extension_list::{MalformedExtensions, parse};
use super::extensions::{Agreement, Compression, DeflateParameters, Direction, LARGEST_WINDOW};

/// An answer with which the connection must fail (RFC 6455 §9.1, RFC 7692 §5.1).
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ExtensionError {
    /// It is no list of extensions.
    #[error("{0}")]
    Malformed(#[from] MalformedExtensions),
    /// An extension that was not offered.
    #[error("{0} was not offered")]
    NotOffered(String),
    /// permessage-deflate twice.
    #[error("permessage-deflate stands there twice")]
    Repeated,
    /// A parameter that is unknown, repeated, has a bad value, or exceeds the offer.
    #[error("its parameters of permessage-deflate do not fit the offer")]
    BadParameters,
}

impl Compression {
    /// The `Sec-WebSocket-Extensions` value of a client's request.
    #[must_use]
    pub(crate) fn offer(self) -> String {
        let mut offer = "permessage-deflate".to_owned();
        if !self.outgoing.takeover {
            offer.push_str("; client_no_context_takeover");
        }
        if !self.incoming.takeover {
            offer.push_str("; server_no_context_takeover");
        } else if self.incoming.window_bits < LARGEST_WINDOW {
            // Writing to a string does not fail.
            let _ = write!(offer, "; server_max_window_bits={}", self.incoming.window_bits);
        }
        offer.push_str("; client_max_window_bits");
        if self.outgoing.window_bits < LARGEST_WINDOW {
            let _ = write!(offer, "={}", self.outgoing.window_bits);
        }
        offer
    }

    /// The agreement that follows from the answer to [`Self::offer`]; `offered` is `None` if nothing was offered.
    ///
    /// # Errors
    /// The connection must fail.
    pub(crate) fn conclude(
        offered: Option<Self>,
        answer: &[u8],
    ) -> Result<Option<Agreement>, ExtensionError> {
        let mut agreement = None;
        for extension in parse(answer)? {
            let Some(compression) = offered.filter(|_| extension.name == b"permessage-deflate") else {
                let name = String::from_utf8_lossy(extension.name).into_owned();
                return Err(ExtensionError::NotOffered(name));
            };
            // RFC 7692 §7.1.2.2: in an answer this parameter has a value.
            let lacks_value = extension
                .parameters
                .iter()
                .any(|parameter| parameter.name == b"client_max_window_bits" && parameter.value.is_none());
            let parameters = DeflateParameters::of(&extension)
                .filter(|_| !lacks_value)
                .ok_or(ExtensionError::BadParameters)?;
            if agreement.replace(compression.settle(parameters)?).is_some() {
                return Err(ExtensionError::Repeated);
            }
        }
        Ok(agreement)
    }

    /// The agreement that follows from our offer and the parameters of the answer.
    fn settle(self, parameters: DeflateParameters) -> Result<Agreement, ExtensionError> {
        let exceeds = |answered: Option<u8>, offered: u8| answered.is_some_and(|bits| bits > offered);
        let server_window = if self.incoming.takeover { self.incoming.window_bits } else { LARGEST_WINDOW };
        if exceeds(parameters.server_max_window_bits, server_window)
            || exceeds(parameters.client_max_window_bits, self.outgoing.window_bits)
        {
            return Err(ExtensionError::BadParameters);
        }
        let outgoing = Direction {
            window_bits: parameters.client_max_window_bits.unwrap_or(self.outgoing.window_bits),
            takeover: self.outgoing.takeover && !parameters.client_no_context_takeover,
        };
        let incoming = Direction {
            window_bits: parameters.server_max_window_bits.unwrap_or(LARGEST_WINDOW),
            takeover: !parameters.server_no_context_takeover,
        };
        Ok(Agreement { outgoing, incoming })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A compressor and decompressor option of uWebSockets.js.
    fn compression(option: u32) -> Compression {
        Compression::from_option(option).unwrap().unwrap()
    }

    const SHARED: u32 = 1;
    const DEDICATED_4KB: u32 = 146;
    const DEDICATED: u32 = 248;
    const DEDICATED_INFLATE_1KB: u32 = 2560;
    const DEDICATED_INFLATE: u32 = 3840;

    #[test]
    fn the_offer_says_what_the_option_allows() {
        let cases = [
            (
                SHARED,
                "permessage-deflate; client_no_context_takeover; server_no_context_takeover; client_max_window_bits",
            ),
            (DEDICATED | DEDICATED_INFLATE, "permessage-deflate; client_max_window_bits"),
            (
                DEDICATED_4KB | DEDICATED_INFLATE_1KB,
                "permessage-deflate; server_max_window_bits=10; client_max_window_bits=9",
            ),
        ];
        for (option, offer) in cases {
            assert_eq!(compression(option).offer(), offer);
        }
    }

    #[test]
    fn the_answer_of_our_own_server_is_understood() {
        let options =
            [SHARED, DEDICATED_4KB, DEDICATED, DEDICATED | DEDICATED_INFLATE, DEDICATED_INFLATE_1KB];
        for client in options.map(compression) {
            for server in options.map(compression) {
                let at_server = server.negotiate(client.offer().as_bytes()).unwrap().unwrap();
                let at_client = Compression::conclude(Some(client), at_server.answer().as_bytes());
                let at_client = at_client.unwrap().unwrap();
                for (sends, receives) in
                    [(at_client.outgoing, at_server.incoming), (at_server.outgoing, at_client.incoming)]
                {
                    assert!(!sends.takeover || receives.takeover, "{client:?} {server:?}");
                    assert!(
                        sends.window_bits <= receives.window_bits || !receives.takeover,
                        "{client:?} {server:?}"
                    );
                }
            }
        }
    }

    #[test]
    fn what_was_not_offered_fails() {
        let offered = Some(compression(DEDICATED_4KB | DEDICATED_INFLATE_1KB));
        let conclude = |answer: &str| Compression::conclude(offered, answer.as_bytes());
        assert_eq!(conclude(""), Ok(None));
        assert_eq!(conclude("x-other"), Err(ExtensionError::NotOffered("x-other".into())));
        assert_eq!(conclude("permessage-deflate, permessage-deflate"), Err(ExtensionError::Repeated));
        assert_eq!(conclude("permessage-deflate;;"), Err(ExtensionError::Malformed(MalformedExtensions)));
        for parameter in [
            "unknown",
            "server_max_window_bits",
            "server_max_window_bits=11",
            "server_max_window_bits=7",
            "client_max_window_bits",
            "client_max_window_bits=10",
            "client_no_context_takeover=1",
            "server_no_context_takeover; server_no_context_takeover",
        ] {
            let answer = format!("permessage-deflate; {parameter}");
            assert_eq!(conclude(&answer), Err(ExtensionError::BadParameters), "{parameter}");
        }
        let nothing = Compression::conclude(None, b"permessage-deflate");
        assert_eq!(nothing, Err(ExtensionError::NotOffered("permessage-deflate".into())));
        assert_eq!(Compression::conclude(None, b""), Ok(None));
    }

    #[test]
    fn a_server_may_ask_for_less_and_may_forget() {
        let offered = Some(compression(DEDICATED | DEDICATED_INFLATE));
        let answer = b"permessage-deflate; client_max_window_bits=9; client_no_context_takeover; \
            server_max_window_bits=8; server_no_context_takeover";
        let agreement = Compression::conclude(offered, answer).unwrap().unwrap();
        assert_eq!(agreement.outgoing, Direction { window_bits: 9, takeover: false });
        assert_eq!(agreement.incoming, Direction { window_bits: 8, takeover: false });
        let plain = Compression::conclude(offered, b"permessage-deflate").unwrap().unwrap();
        assert_eq!(plain.outgoing, Direction { window_bits: 15, takeover: true });
        assert_eq!(plain.incoming, Direction { window_bits: 15, takeover: true });
    }

    #[test]
    fn a_server_that_does_not_forget_although_asked_is_understood() {
        let agreement =
            Compression::conclude(Some(compression(SHARED)), b"permessage-deflate").unwrap().unwrap();
        assert_eq!(agreement.incoming, Direction { window_bits: 15, takeover: true });
        assert!(!agreement.outgoing.takeover, "what we said of ourselves stands");
    }
}
