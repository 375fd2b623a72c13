//! The url of NATS servers: `nats://a:4222,b:4222`.

use std::fmt;

use percent_encoding::percent_decode_str;
use url::{Host, Url};

/// Where the servers are, and who asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct NatsUrl {
    /// At least one.
    pub servers: Vec<NatsServer>,
    /// Whether they must speak TLS.
    pub security: Security,
}

/// A server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct NatsServer {
    /// Name or address.
    pub host: String,
    /// The port.
    pub port: u16,
    /// Who asks; nobody in particular without.
    pub credentials: Option<Credentials>,
}

/// Who asks.
#[derive(Clone, PartialEq, Eq)]
pub(crate) enum Credentials {
    /// A token.
    Token(String),
    /// A user with a password.
    User {
        /// The user.
        name: String,
        /// The password.
        password: String,
    },
}

/// Whether a connection is encrypted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Security {
    /// If the server wants it.
    Optional,
    /// Always.
    Required,
    /// Always, and from the first byte on, before the server has introduced itself (`handshake_first`).
    First,
}

impl fmt::Debug for Credentials {
    /// Without them.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Credentials")
    }
}

impl fmt::Display for NatsServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

impl fmt::Display for NatsUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, server) in self.servers.iter().enumerate() {
            let comma = if place == 0 { "" } else { "," };
            write!(f, "{comma}{server}")?;
        }
        Ok(())
    }
}

impl NatsUrl {
    /// Whether a text is meant as such a url.
    #[must_use]
    pub(crate) fn is_meant(text: &str) -> bool {
        let scheme = text.split_once(':').map_or("", |(scheme, _)| scheme);
        scheme.eq_ignore_ascii_case(PLAIN) || scheme.eq_ignore_ascii_case(SECURE)
    }

    /// Reads a url. A server without credentials gets those of the first one that has some.
    ///
    /// # Errors
    /// What is wrong with it, without the url itself, which may hold a password.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let (scheme, rest) = text.split_once("://").ok_or("it has no host: nats://host")?;
        let scheme = scheme.to_ascii_lowercase();
        let (list, is_first) = match rest.split_once('?') {
            None => (rest, false),
            Some((list, "handshake_first=true")) => (list, true),
            Some(_) => return Err("its query may be handshake_first=true only".to_owned()),
        };
        let security = match (scheme == SECURE, is_first) {
            (false, false) => Security::Optional,
            (true, false) => Security::Required,
            (true, true) => Security::First,
            (false, true) => return Err("handshake_first is for tls: only".to_owned()),
        };
        let mut servers = list
            .split(',')
            .map(|server| parse_server(&scheme, server.trim()))
            .collect::<Result<Vec<_>, String>>()?;
        let common = servers.iter().find_map(|server| server.credentials.clone());
        for server in &mut servers {
            server.credentials = server.credentials.take().or_else(|| common.clone());
        }
        Ok(Self { servers, security })
    }
}

/// Reads a server as a list has it, and as the servers themselves name others: with a scheme or without.
///
/// # Errors
/// What is wrong with it.
pub(crate) fn parse_server(scheme: &str, text: &str) -> Result<NatsServer, String> {
    let text = match text.split_once("://") {
        Some((own, rest)) if own.eq_ignore_ascii_case(scheme) => rest,
        Some(_) => return Err("all its servers must have the same scheme".to_owned()),
        None => text,
    };
    let url = Url::parse(&format!("{scheme}://{text}"));
    let url = url.map_err(|error| format!("one of its servers is none: {error}"))?;
    if url.query().is_some() || url.fragment().is_some() || !matches!(url.path(), "" | "/") {
        return Err("its servers must have no path and no fragment".to_owned());
    }
    let host = match url.host() {
        None => return Err("one of its servers has no host".to_owned()),
        Some(Host::Domain(name)) => decode(name)?,
        Some(Host::Ipv4(address)) => address.to_string(),
        Some(Host::Ipv6(address)) => address.to_string(),
    };
    if host.is_empty() || host.contains(['\0', '/', ' ']) {
        return Err("each of its servers must have a name or an address".to_owned());
    }
    let port = url.port().unwrap_or(NATS_PORT);
    if port == 0 {
        return Err("its port must not be 0".to_owned());
    }
    let (name, password) = (decode(url.username())?, url.password().map(decode).transpose()?);
    let credentials = match password {
        Some(_) if name.is_empty() => return Err("it has a password without a user".to_owned()),
        Some(password) => Some(Credentials::User { name, password }),
        None if name.is_empty() => None,
        None => Some(Credentials::Token(name)),
    };
    Ok(NatsServer { host, port, credentials })
}

fn decode(text: &str) -> Result<String, String> {
    let decoded = percent_decode_str(text).decode_utf8();
    decoded.map(std::borrow::Cow::into_owned).map_err(|_| "it must be UTF-8, percent-encoded".to_owned())
}

/// The scheme of servers that need not speak TLS.
pub(crate) const PLAIN: &str = "nats";
/// The scheme of those that must.
const SECURE: &str = "tls";
/// The port unless a url says so.
const NATS_PORT: u16 = 4222;

#[cfg(test)]
mod tests {
    use super::*;

    fn server(host: &str, port: u16, credentials: Option<Credentials>) -> NatsServer {
        NatsServer { host: host.to_owned(), port, credentials }
    }

    fn user(name: &str, password: &str) -> Option<Credentials> {
        Some(Credentials::User { name: name.to_owned(), password: password.to_owned() })
    }

    #[test]
    fn a_url_lists_servers_and_says_who_asks() {
        let parsed = |text| NatsUrl::parse(text).unwrap();
        let plain =
            |servers: &[NatsServer]| NatsUrl { servers: servers.into(), security: Security::Optional };
        assert_eq!(parsed("nats://localhost"), plain(&[server("localhost", 4222, None)]));
        assert_eq!(
            parsed("NATS://a:1,nats://[::1],c:3/"),
            plain(&[server("a", 1, None), server("::1", 4222, None), server("c", 3, None)])
        );
        let ann = user("ann", "p@s,s");
        assert_eq!(
            parsed("nats://a, nats://ann:p%40s%2Cs@b"),
            plain(&[server("a", 4222, ann.clone()), server("b", 4222, ann.clone())])
        );
        assert_eq!(
            parsed("nats://t%40ken@a,bob:x@b").servers,
            [
                server("a", 4222, Some(Credentials::Token("t@ken".to_owned()))),
                server("b", 4222, user("bob", "x"))
            ]
        );
        assert_eq!(parsed("tls://a").security, Security::Required);
        assert_eq!(parsed("tls://a,b?handshake_first=true").security, Security::First);
    }

    #[test]
    fn what_cannot_be_meant_is_refused_without_repeating_it() {
        for wrong in [
            "nats:secret",
            "nats://",
            "nats://,secret",
            "nats://secret@",
            "nats://a,,b",
            "nats://a:0/secret",
            "nats://a:70000,secret",
            "nats://a/secret",
            "nats://a#secret",
            "nats://a?secret",
            "nats://a?handshake_first=true",
            "nats://a,tls://secret@b",
            "nats://:secret@a",
            "nats://a secret",
        ] {
            assert!(NatsUrl::is_meant(wrong));
            let error = NatsUrl::parse(wrong).unwrap_err();
            assert!(!error.contains("secret"), "{wrong}: {error}");
        }
        assert!(!NatsUrl::is_meant("redis://a"));
    }

    #[test]
    fn credentials_are_not_shown() {
        let url = NatsUrl::parse("nats://ann:secret@a,secret@[::1]:7").unwrap();
        assert!(!format!("{url:?}").contains("secret"));
        assert_eq!(url.to_string(), "a:4222,[::1]:7");
    }
}
