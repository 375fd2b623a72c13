//! The urls of several Redis or Valkey servers: `redis-sentinel://a:26379,b:26379/mymaster`, `redis-cluster://a,b`.

use std::fmt;

use percent_encoding::percent_decode_str;
use url::{Host, Url, form_urlencoded};

/// A server.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Address {
    /// Name or address.
    pub host: String,
    /// The port.
    pub port: u16,
}

/// Who asks.
#[derive(Clone, Default, PartialEq, Eq)]
pub(crate) struct RedisUser {
    /// The user; the default one without.
    pub name: Option<String>,
    /// The password.
    pub password: Option<String>,
}

/// Sentinels, which know where the master is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SentinelUrl {
    /// At least one.
    pub sentinels: Vec<Address>,
    /// What they call the master.
    pub master: String,
    /// Who asks them.
    pub user: RedisUser,
    /// Whether they and the master speak TLS.
    pub is_secure: bool,
}

/// A cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ClusterUrl {
    /// Some of its nodes, at least one.
    pub nodes: Vec<Address>,
    /// Whether they speak TLS.
    pub is_secure: bool,
}

/// A list of servers, and who asks them.
struct List<'a> {
    addresses: Vec<Address>,
    user: RedisUser,
    /// Without the slash in front of it.
    path: &'a str,
    query: &'a str,
}

impl fmt::Debug for RedisUser {
    /// Without them.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RedisUser")
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

impl fmt::Display for SentinelUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} by {}", self.master, join(&self.sentinels))
    }
}

impl fmt::Display for ClusterUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&join(&self.nodes))
    }
}

fn join(addresses: &[Address]) -> String {
    addresses.iter().map(Address::to_string).collect::<Vec<_>>().join(",")
}

impl Address {
    /// An address.
    #[must_use]
    pub(crate) fn new(host: &str, port: u16) -> Self {
        Self { host: host.to_owned(), port }
    }

    /// Host and port of a url; `port` if it has none.
    ///
    /// # Errors
    /// What is wrong with them.
    pub(crate) fn of(url: &Url, port: u16) -> Result<Self, String> {
        let host = match url.host() {
            None => return Err("it has no host".to_owned()),
            Some(Host::Domain(name)) => decode(name)?,
            Some(Host::Ipv4(address)) => address.to_string(),
            Some(Host::Ipv6(address)) => address.to_string(),
        };
        if host.is_empty() || host.contains([',', '\0', '/', ' ']) {
            return Err("its host must be one name or one address".to_owned());
        }
        let port = url.port().unwrap_or(port);
        if port == 0 {
            return Err("its port must not be 0".to_owned());
        }
        Ok(Self { host, port })
    }
}

impl RedisUser {
    /// A user with a password.
    ///
    /// # Errors
    /// There is a user without a password.
    pub(crate) fn new(name: Option<String>, password: Option<String>) -> Result<Self, String> {
        let name = name.filter(|name| !name.is_empty());
        if name.is_some() && password.is_none() {
            return Err("it has a user without a password".to_owned());
        }
        Ok(Self { name, password })
    }
}

impl SentinelUrl {
    /// Whether a scheme is that of such a url, and if it is, whether with TLS.
    #[must_use]
    pub(crate) fn security_of(scheme: &str) -> Option<bool> {
        match scheme {
            "redis-sentinel" => Some(false),
            "rediss-sentinel" => Some(true),
            _ => None,
        }
    }

    /// Reads what follows `redis-sentinel://`: `[[user]:password@]host[:port][,host2[:port2]…]/master[/db][?query]`.
    /// Returns who asks the master, too.
    ///
    /// # Errors
    /// What is wrong with it, without the url itself, which may hold a password.
    pub(crate) fn parse(rest: &str, is_secure: bool) -> Result<(Self, RedisUser), String> {
        let List { addresses, user, path, query } = List::parse(rest, SENTINEL_PORT)?;
        let (master, database) = path.split_once('/').unwrap_or((path, ""));
        let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_');
        if master.is_empty() || !master.bytes().all(is_allowed) {
            return Err("its path must be the name of the master: redis-sentinel://host/mymaster".to_owned());
        }
        if !database.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err("behind the name of the master there may be the number of a database only".to_owned());
        }
        let (mut name, mut password) = (None, None);
        for (key, value) in form_urlencoded::parse(query.as_bytes()) {
            match &*key {
                "sentinelUsername" => name = Some(value.into_owned()),
                "sentinelPassword" => password = Some(value.into_owned()),
                _ => return Err("its query may have sentinelUsername and sentinelPassword only".to_owned()),
            }
        }
        let own = RedisUser::new(name, password)?;
        Ok((Self { sentinels: addresses, master: master.to_owned(), user: own, is_secure }, user))
    }
}

impl ClusterUrl {
    /// Whether a scheme is that of such a url, and if it is, whether with TLS.
    #[must_use]
    pub(crate) fn security_of(scheme: &str) -> Option<bool> {
        match scheme {
            "redis-cluster" => Some(false),
            "rediss-cluster" => Some(true),
            _ => None,
        }
    }

    /// Reads what follows `redis-cluster://`: `[[user]:password@]host[:port][,host2[:port2]…]`. Returns who asks, too.
    ///
    /// # Errors
    /// What is wrong with it, without the url itself, which may hold a password.
    pub(crate) fn parse(rest: &str, is_secure: bool) -> Result<(Self, RedisUser), String> {
        let List { addresses, user, path, query } = List::parse(rest, REDIS_PORT)?;
        if !matches!(path, "" | "0") || !query.is_empty() {
            return Err("it must have no query, and a cluster has no databases".to_owned());
        }
        Ok((Self { nodes: addresses, is_secure }, user))
    }
}

impl<'a> List<'a> {
    /// Reads `[[user]:password@]host[:port][,host2[:port2]…][/path][?query]`.
    fn parse(rest: &'a str, port: u16) -> Result<Self, String> {
        if rest.contains('#') {
            return Err("it must have no fragment".to_owned());
        }
        let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
        let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
        let (user, hosts) = match authority.rsplit_once('@') {
            None => (RedisUser::default(), authority),
            Some((user, _)) if user.contains('@') => {
                return Err("user and password stand once, before its first host".to_owned());
            }
            Some((user, hosts)) => {
                let (name, password) = match user.split_once(':') {
                    None => (user, None),
                    Some((name, password)) => (name, Some(password)),
                };
                (RedisUser::new(Some(decode(name)?), password.map(decode).transpose()?)?, hosts)
            }
        };
        let addresses =
            hosts.split(',').map(|host| parse_host(host.trim(), port)).collect::<Result<_, _>>()?;
        Ok(Self { addresses, user, path, query })
    }
}

fn parse_host(text: &str, port: u16) -> Result<Address, String> {
    let url = Url::parse(&format!("redis://{text}"));
    let url = url.map_err(|error| format!("one of its hosts is none: {error}"))?;
    if url.query().is_some() || !url.path().is_empty() || !url.username().is_empty() {
        return Err("one of its hosts is none".to_owned());
    }
    Address::of(&url, port)
}

/// Percent-decodes a part of a url.
///
/// # Errors
/// It is not UTF-8.
pub(crate) fn decode(text: &str) -> Result<String, String> {
    let decoded = percent_decode_str(text).decode_utf8();
    decoded.map(std::borrow::Cow::into_owned).map_err(|_| "it must be UTF-8, percent-encoded".to_owned())
}

/// The port of a server unless a url says so.
pub(crate) const REDIS_PORT: u16 = 6379;
/// The port of a sentinel unless a url says so.
const SENTINEL_PORT: u16 = 26_379;

#[cfg(test)]
mod tests {
    use super::*;

    fn user(name: &str, password: &str) -> RedisUser {
        RedisUser::new(Some(name.to_owned()), Some(password.to_owned())).unwrap()
    }

    #[test]
    fn a_url_of_sentinels_names_the_master_and_who_asks() {
        let parsed = |text: &str| SentinelUrl::parse(text, true).unwrap();
        let (url, asker) = parsed("a/mymaster");
        let sentinels = vec![Address::new("a", 26_379)];
        let expected =
            SentinelUrl { sentinels, master: "mymaster".into(), user: RedisUser::default(), is_secure: true };
        assert_eq!((url, asker), (expected, RedisUser::default()));
        let (url, asker) = parsed(
            "ann:p%40s%2Cs@a:1, [::1],10.0.0.1:7/my.master/0?sentinelUsername=bob&sentinelPassword=%40",
        );
        let sentinels = [Address::new("a", 1), Address::new("::1", 26_379), Address::new("10.0.0.1", 7)];
        assert_eq!((&*url.sentinels, &*url.master), (&sentinels[..], "my.master"));
        assert_eq!((&url.user, asker), (&user("bob", "@"), user("ann", "p@s,s")));
        assert_eq!(url.to_string(), "my.master by a:1,[::1]:26379,10.0.0.1:7");
        assert_eq!(parsed(":x@a/m").1, user("", "x"));
        assert!(!format!("{url:?}").contains('@'));
    }

    #[test]
    fn a_url_of_a_cluster_names_some_nodes() {
        let (url, asker) = ClusterUrl::parse("ann:x@a, b:7,[::1]/", false).unwrap();
        assert_eq!((url.to_string(), asker), ("a:6379,b:7,[::1]:6379".into(), user("ann", "x")));
        assert!(ClusterUrl::parse("a/0", true).unwrap().0.is_secure);
        for wrong in ["", "a,,b", "a/1", "a/secret", "a?secret=1", "a#secret", "u:secret@a:0", "secret@a"] {
            let error = ClusterUrl::parse(wrong, false).unwrap_err();
            assert!(!error.contains("secret"), "{wrong}: {error}");
        }
    }

    #[test]
    fn what_cannot_be_meant_is_refused_without_repeating_it() {
        for wrong in [
            "",
            "/mymaster",
            "a",
            "a/",
            "a/secret master",
            "a/m/secret",
            "a,,b/m",
            "a:0/m?secret",
            "a:secret/m",
            "a:70000/m",
            "a/m?secret=1",
            "a/m?sentinelUsername=secret",
            "a/m#secret",
            "secret@a/m",
            "u:secret@a,u:secret@b/m",
            "u:%ff@a/m",
            "a b/m",
        ] {
            let error = SentinelUrl::parse(wrong, false).unwrap_err();
            assert!(!error.contains("secret"), "{wrong}: {error}");
        }
    }
}
