//! The negotiation of permessage-deflate by the options of `ws` (`perMessageDeflate`), where the program decides about
//! each parameter of RFC 7692 §7.1: ask for it, refuse it, or follow the peer.
//! [`extensions`](super::extensions) and [`offer`](super::offer) do the same by the `compression` option of
//! uWebSockets.js.

use std::fmt::Write;

use super::extension_list::parse;
use super::extensions::{Agreement, DeflateParameters, Direction, LARGEST_WINDOW};

/// The parameters that a program has set; what it has left out follows the peer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct DeflatePolicy {
    /// `serverNoContextTakeover`
    pub server_no_context_takeover: Option<bool>,
    /// `clientNoContextTakeover`
    pub client_no_context_takeover: Option<bool>,
    /// `serverMaxWindowBits`
    pub server_max_window_bits: Window,
    /// `clientMaxWindowBits`
    pub client_max_window_bits: Window,
}

/// What a program says about the window of one direction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Window {
    /// Nothing, or `true`: whatever the peer asks for.
    #[default]
    Any,
    /// `false`: the parameter is refused.
    Refused,
    /// The window has `2^n` bytes, 8–15.
    Bits(u8),
}

/// No agreement is possible: the handshake fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum PolicyError {
    /// The header is no list of extensions, or has a parameter that is unknown, repeated or has a bad value.
    #[error("Sec-WebSocket-Extensions header is malformed")]
    Malformed,
    /// The client offers permessage-deflate, but no offer fits the policy; or the server's answer does not fit it.
    #[error("Sec-WebSocket-Extensions header does not fit the options")]
    Unacceptable,
    /// The server uses something else than permessage-deflate.
    #[error("Sec-WebSocket-Extensions header names an extension that was not offered")]
    NotOffered,
}

impl DeflatePolicy {
    /// The agreement of a server with the first offer that fits; `None` if permessage-deflate is not offered.
    ///
    /// # Errors
    /// The header is malformed, or no offer fits.
    pub(crate) fn accept(self, offers: &[u8]) -> Result<Option<Agreement>, PolicyError> {
        let offers = parse(offers).map_err(|_| PolicyError::Malformed)?;
        let known = offers.iter().filter(|offer| offer.name == b"permessage-deflate");
        let known: Option<Vec<DeflateParameters>> = known.map(DeflateParameters::of).collect();
        let known = known.ok_or(PolicyError::Malformed)?;
        if known.is_empty() {
            return Ok(None);
        }
        let fitting = known.into_iter().find(|offer| self.fits(offer)).ok_or(PolicyError::Unacceptable)?;
        Ok(Some(self.agree(fitting)))
    }

    /// Whether a server with this policy can accept an offer.
    fn fits(self, offer: &DeflateParameters) -> bool {
        let keeps_context = self.server_no_context_takeover == Some(false);
        let window_fits = match (self.server_max_window_bits, offer.server_max_window_bits) {
            (Window::Any, _) | (_, None) => true,
            (Window::Refused, Some(_)) => false,
            (Window::Bits(bits), Some(limit)) => bits <= limit,
        };
        // A client that does not offer the parameter cannot be held to a window.
        let obeys =
            !matches!(self.client_max_window_bits, Window::Bits(_)) || offer.client_max_window_bits.is_some();
        !(keeps_context && offer.server_no_context_takeover) && window_fits && obeys
    }

    fn agree(self, offer: DeflateParameters) -> Agreement {
        let outgoing = match self.server_max_window_bits {
            Window::Bits(bits) => bits,
            Window::Any | Window::Refused => offer.server_max_window_bits.unwrap_or(LARGEST_WINDOW),
        };
        let offered = offer.client_max_window_bits.unwrap_or(LARGEST_WINDOW);
        let incoming = match self.client_max_window_bits {
            Window::Bits(bits) => bits.min(offered),
            Window::Any => offered,
            Window::Refused => LARGEST_WINDOW,
        };
        Agreement {
            outgoing: Direction {
                window_bits: outgoing,
                takeover: !(offer.server_no_context_takeover
                    || self.server_no_context_takeover == Some(true)),
            },
            incoming: Direction {
                window_bits: incoming,
                takeover: !(offer.client_no_context_takeover
                    || self.client_no_context_takeover == Some(true)),
            },
        }
    }

    /// The `Sec-WebSocket-Extensions` value of a client's request.
    #[must_use]
    pub(crate) fn offer(self) -> String {
        let mut offer = "permessage-deflate".to_owned();
        if self.server_no_context_takeover == Some(true) {
            offer.push_str("; server_no_context_takeover");
        }
        if self.client_no_context_takeover == Some(true) {
            offer.push_str("; client_no_context_takeover");
        }
        if let Window::Bits(bits) = self.server_max_window_bits {
            // Writing to a string does not fail.
            let _ = write!(offer, "; server_max_window_bits={bits}");
        }
        match self.client_max_window_bits {
            Window::Any => offer.push_str("; client_max_window_bits"),
            Window::Refused => {}
            Window::Bits(bits) => {
                let _ = write!(offer, "; client_max_window_bits={bits}");
            }
        }
        offer
    }

    /// The agreement of a client that follows from the server's answer to [`Self::offer`]; `None` if the server uses
    /// no extension.
    ///
    /// # Errors
    /// The connection must fail (RFC 6455 §9.1, RFC 7692 §5.1).
    pub(crate) fn conclude(self, answer: &[u8]) -> Result<Option<Agreement>, PolicyError> {
        let extensions = parse(answer).map_err(|_| PolicyError::Malformed)?;
        if extensions.iter().any(|extension| extension.name != b"permessage-deflate") {
            return Err(PolicyError::NotOffered);
        }
        let [extension] = &extensions[..] else {
            return if extensions.is_empty() { Ok(None) } else { Err(PolicyError::Malformed) };
        };
        // RFC 7692 §7.1.2.2: in an answer this parameter has a value.
        let lacks_value = extension
            .parameters
            .iter()
            .any(|parameter| parameter.name == b"client_max_window_bits" && parameter.value.is_none());
        let answer = DeflateParameters::of(extension).filter(|_| !lacks_value);
        let answer = answer.ok_or(PolicyError::Malformed)?;
        let keeps_context = self.client_no_context_takeover == Some(false);
        let window_bits = match (self.client_max_window_bits, answer.client_max_window_bits) {
            (Window::Refused, Some(_)) => return Err(PolicyError::Unacceptable),
            (Window::Bits(own), Some(asked)) if asked > own => return Err(PolicyError::Unacceptable),
            (_, Some(asked)) => asked,
            (Window::Bits(own), None) => own,
            (Window::Any | Window::Refused, None) => LARGEST_WINDOW,
        };
        if keeps_context && answer.client_no_context_takeover {
            return Err(PolicyError::Unacceptable);
        }
        let forgets = answer.client_no_context_takeover || self.client_no_context_takeover == Some(true);
        Ok(Some(Agreement {
            outgoing: Direction { window_bits, takeover: !forgets },
            incoming: Direction {
                window_bits: answer.server_max_window_bits.unwrap_or(LARGEST_WINDOW),
                takeover: !answer.server_no_context_takeover,
            },
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FREE: DeflatePolicy = DeflatePolicy {
        server_no_context_takeover: None,
        client_no_context_takeover: None,
        server_max_window_bits: Window::Any,
        client_max_window_bits: Window::Any,
    };

    fn answer(policy: DeflatePolicy, offers: &str) -> Result<Option<String>, PolicyError> {
        policy.accept(offers.as_bytes()).map(|agreement| agreement.map(Agreement::answer))
    }

    fn accepted(policy: DeflatePolicy, offers: &str) -> String {
        answer(policy, offers).unwrap().unwrap()
    }

    #[test]
    fn a_server_without_wishes_follows_the_client() {
        for (offer, expected) in [
            ("permessage-deflate", "permessage-deflate"),
            ("permessage-deflate; client_max_window_bits", "permessage-deflate"),
            (
                "x-other, permessage-deflate; client_max_window_bits=9",
                "permessage-deflate; client_max_window_bits=9",
            ),
            (
                "permessage-deflate; server_no_context_takeover; client_no_context_takeover; \
                 server_max_window_bits=10; client_max_window_bits=11",
                "permessage-deflate; server_no_context_takeover; client_no_context_takeover; \
                 server_max_window_bits=10; client_max_window_bits=11",
            ),
        ] {
            assert_eq!(accepted(FREE, offer), expected, "{offer}");
        }
        assert_eq!(answer(FREE, "x-other; a=b"), Ok(None));
        assert_eq!(answer(FREE, ""), Ok(None));
    }

    #[test]
    fn a_server_says_what_it_wants() {
        let policy = DeflatePolicy {
            server_no_context_takeover: Some(true),
            client_no_context_takeover: Some(true),
            server_max_window_bits: Window::Bits(10),
            client_max_window_bits: Window::Bits(11),
        };
        let everything = "permessage-deflate; server_no_context_takeover; client_no_context_takeover; \
            server_max_window_bits=10; client_max_window_bits=11";
        assert_eq!(accepted(policy, "permessage-deflate; client_max_window_bits"), everything);
        let smaller = accepted(policy, "permessage-deflate; client_max_window_bits=9");
        assert!(
            smaller.ends_with("client_max_window_bits=9"),
            "never more than the client offers: {smaller}"
        );
        let refuses = DeflatePolicy { client_max_window_bits: Window::Refused, ..FREE };
        assert_eq!(accepted(refuses, "permessage-deflate; client_max_window_bits=9"), "permessage-deflate");
    }

    #[test]
    fn the_first_offer_that_fits_is_taken_and_none_is_an_error() {
        let policy = DeflatePolicy { server_max_window_bits: Window::Bits(12), ..FREE };
        let offers =
            "permessage-deflate; server_max_window_bits=9, permessage-deflate; server_max_window_bits=13";
        assert_eq!(accepted(policy, offers), "permessage-deflate; server_max_window_bits=12");
        for (policy, offer) in [
            (policy, "permessage-deflate; server_max_window_bits=9"),
            (
                DeflatePolicy { server_max_window_bits: Window::Refused, ..FREE },
                "permessage-deflate; server_max_window_bits=9",
            ),
            (
                DeflatePolicy { server_no_context_takeover: Some(false), ..FREE },
                "permessage-deflate; server_no_context_takeover",
            ),
            (DeflatePolicy { client_max_window_bits: Window::Bits(9), ..FREE }, "permessage-deflate"),
        ] {
            assert_eq!(answer(policy, offer), Err(PolicyError::Unacceptable), "{offer}");
        }
        for malformed in [
            "permessage-deflate; server_max_window_bits=foo",
            "permessage-deflate; server_max_window_bits=16",
            "permessage-deflate; server_no_context_takeover=1",
            "permessage-deflate; a",
            "permessage-deflate;;",
        ] {
            assert_eq!(answer(FREE, malformed), Err(PolicyError::Malformed), "{malformed}");
        }
    }

    #[test]
    fn a_client_offers_what_it_wants() {
        assert_eq!(FREE.offer(), "permessage-deflate; client_max_window_bits");
        let policy = DeflatePolicy {
            server_no_context_takeover: Some(true),
            client_no_context_takeover: Some(true),
            server_max_window_bits: Window::Bits(10),
            client_max_window_bits: Window::Bits(11),
        };
        let offer = "permessage-deflate; server_no_context_takeover; client_no_context_takeover; \
            server_max_window_bits=10; client_max_window_bits=11";
        assert_eq!(policy.offer(), offer);
        let refuses = DeflatePolicy { client_max_window_bits: Window::Refused, ..FREE };
        assert_eq!(refuses.offer(), "permessage-deflate");
    }

    #[test]
    fn a_client_holds_the_server_to_its_offer() {
        let own = DeflatePolicy { client_max_window_bits: Window::Bits(11), ..FREE };
        let conclude = |policy: DeflatePolicy, answer: &str| policy.conclude(answer.as_bytes());
        let outgoing = |answer| conclude(own, answer).unwrap().unwrap().outgoing;
        assert_eq!(outgoing("permessage-deflate"), Direction { window_bits: 11, takeover: true });
        let smaller = "permessage-deflate; client_max_window_bits=9; client_no_context_takeover";
        assert_eq!(outgoing(smaller), Direction { window_bits: 9, takeover: false });
        let incoming =
            conclude(own, "permessage-deflate; server_max_window_bits=9; server_no_context_takeover");
        assert_eq!(incoming.unwrap().unwrap().incoming, Direction { window_bits: 9, takeover: false });
        assert_eq!(conclude(own, ""), Ok(None));
        let keeps = DeflatePolicy { client_no_context_takeover: Some(false), ..FREE };
        let refuses = DeflatePolicy { client_max_window_bits: Window::Refused, ..FREE };
        for (policy, answer, error) in [
            (own, "permessage-deflate; client_max_window_bits=12", PolicyError::Unacceptable),
            (refuses, "permessage-deflate; client_max_window_bits=15", PolicyError::Unacceptable),
            (keeps, "permessage-deflate; client_no_context_takeover", PolicyError::Unacceptable),
            (FREE, "permessage-deflate; client_max_window_bits", PolicyError::Malformed),
            (FREE, "permessage-deflate, permessage-deflate", PolicyError::Malformed),
            (FREE, "permessage-deflate; client_max_window_bits=7", PolicyError::Malformed),
            (FREE, "x-other", PolicyError::NotOffered),
        ] {
            assert_eq!(conclude(policy, answer), Err(error), "{answer}");
        }
    }

    #[test]
    fn both_ends_agree() {
        let windows = [Window::Any, Window::Bits(9), Window::Bits(15)];
        for takeover in [None, Some(true), Some(false)] {
            for window in windows {
                let client = DeflatePolicy {
                    client_no_context_takeover: takeover,
                    client_max_window_bits: window,
                    ..FREE
                };
                let at_server = FREE.accept(client.offer().as_bytes()).unwrap().unwrap();
                let at_client = client.conclude(at_server.answer().as_bytes()).unwrap().unwrap();
                assert!(at_client.outgoing.window_bits <= at_server.incoming.window_bits);
                assert!(!at_client.outgoing.takeover || at_server.incoming.takeover);
                assert_eq!(at_client.incoming, at_server.outgoing);
            }
        }
    }
}
