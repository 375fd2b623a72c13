//! The url of a broker.

use std::path::PathBuf;

use url::{Host, Url};

use super::nats_url::NatsUrl;
use super::redis_url::{Address, ClusterUrl, REDIS_PORT, RedisUser, SentinelUrl, decode};

/// Where a broker is, and who asks.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct BrokerUrl {
    /// Where it is.
    pub place: Place,
    /// Who asks. Not with NATS.
    pub user: RedisUser,
}

/// Where a broker is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// A TCP port.
    Tcp {
        /// Where.
        address: Address,
        /// Whether it speaks TLS.
        is_secure: bool,
    },
    /// A Unix socket.
    Unix(PathBuf),
    /// A master of Redis, wherever its sentinels say.
    Sentinel(SentinelUrl),
    /// A cluster of Redis.
    Cluster(ClusterUrl),
    /// Servers of NATS, each with its own user.
    Nats(NatsUrl),
}

impl std::fmt::Debug for BrokerUrl {
    /// Without the password.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("BrokerUrl").field("place", &self.place).finish_non_exhaustive()
    }
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Tcp { address, .. } => address.fmt(f),
            Self::Unix(path) => write!(f, "{}", path.display()),
            Self::Sentinel(url) => url.fmt(f),
            Self::Cluster(url) => url.fmt(f),
            Self::Nats(url) => url.fmt(f),
        }
    }
}

impl BrokerUrl {
    /// Reads a url.
    ///
    /// # Errors
    /// What is wrong with it, without the url itself, which may hold a password.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        if NatsUrl::is_meant(text) {
            return Ok(Self { place: Place::Nats(NatsUrl::parse(text)?), user: RedisUser::default() });
        }
        if let Some((scheme, rest)) = text.split_once("://") {
            let scheme = scheme.to_ascii_lowercase();
            if let Some(is_secure) = SentinelUrl::security_of(&scheme) {
                let (url, user) = SentinelUrl::parse(rest, is_secure)?;
                return Ok(Self { place: Place::Sentinel(url), user });
            }
            if let Some(is_secure) = ClusterUrl::security_of(&scheme) {
                let (url, user) = ClusterUrl::parse(rest, is_secure)?;
                return Ok(Self { place: Place::Cluster(url), user });
            }
        }
        let url = Url::parse(text).map_err(|error| format!("it is no url of one broker: {error}"))?;
        let is_secure = match url.scheme() {
            "redis" => false,
            "rediss" => true,
            "redis+unix" => return Self::parse_unix(&url),
            other => return Err(refuse_scheme(other)),
        };
        if url.query().is_some() || url.fragment().is_some() {
            return Err("it must have no query and no fragment".to_owned());
        }
        if !url.path().trim_start_matches('/').bytes().all(|byte| byte.is_ascii_digit()) {
            return Err("its path must be the number of a database, or empty".to_owned());
        }
        let address = Address::of(&url, REDIS_PORT)?;
        let user = RedisUser::new(Some(decode(url.username())?), url.password().map(decode).transpose()?)?;
        Ok(Self { place: Place::Tcp { address, is_secure }, user })
    }

    fn parse_unix(url: &Url) -> Result<Self, String> {
        if !cfg!(unix) {
            return Err("there are no Unix sockets on this system".to_owned());
        }
        if url.host().is_some_and(|host| host != Host::Domain("")) {
            return Err("a Unix socket has no host: redis+unix:///path".to_owned());
        }
        let path = decode(url.path())?;
        if path.len() < 2 || path.contains('\0') {
            return Err("it has no path of a Unix socket: redis+unix:///path".to_owned());
        }
        let (mut user, mut password) = (None, None);
        for (name, value) in url.query_pairs() {
            match &*name {
                "user" => user = Some(value.into_owned()),
                "pass" => password = Some(value.into_owned()),
                "db" => {}
                _ => return Err("its query may have user, pass and db only".to_owned()),
            }
        }
        Ok(Self { place: Place::Unix(path.into()), user: RedisUser { name: user, password } })
    }
}

fn refuse_scheme(scheme: &str) -> String {
    match scheme {
        "redis+cluster" | "rediss+cluster" => {
            "a cluster has the scheme redis-cluster:, or rediss-cluster: with TLS".to_owned()
        }
        "redis+sentinel" | "rediss+sentinel" | "sentinel" => {
            "sentinels have the scheme redis-sentinel:, or rediss-sentinel: with TLS".to_owned()
        }
        _ => format!("its scheme must be one of {SCHEMES}"),
    }
}

/// Those that are supported.
const SCHEMES: &str = "redis:, rediss:, redis+unix:, redis-sentinel:, rediss-sentinel:, redis-cluster:, rediss-cluster:, nats: and tls:";

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> (Place, Option<String>, Option<String>) {
        let BrokerUrl { place, user } = BrokerUrl::parse(text).unwrap();
        (place, user.name, user.password)
    }

    fn tcp(host: &str, port: u16, is_secure: bool) -> Place {
        Place::Tcp { address: Address::new(host, port), is_secure }
    }

    #[test]
    fn a_url_says_where_and_who() {
        assert_eq!(parsed("redis://localhost"), (tcp("localhost", 6379, false), None, None));
        assert_eq!(parsed("redis://[::1]:7000/0"), (tcp("::1", 7000, false), None, None));
        let secret = Some("p@ss".to_owned());
        assert_eq!(parsed("rediss://:p%40ss@redis"), (tcp("redis", 6379, true), None, secret.clone()));
        let user = Some("ann".to_owned());
        assert_eq!(
            parsed("redis://ann:p%40ss@redis:1"),
            (tcp("redis", 1, false), user.clone(), secret.clone())
        );
        if cfg!(unix) {
            let socket = Place::Unix("/run/re dis.sock".into());
            assert_eq!(parsed("redis+unix:///run/re%20dis.sock"), (socket.clone(), None, None));
            let url = "redis+unix:///run/re%20dis.sock?user=ann&pass=p%40ss&db=0";
            assert_eq!(parsed(url), (socket, user, secret));
        }
    }

    #[test]
    fn what_cannot_be_meant_is_refused_without_repeating_it() {
        for wrong in [
            "",
            "localhost:6379",
            "redis",
            "redis://",
            "redis:///",
            "redis://:secret@",
            "redis://a:secret,b:1",
            "redis://a,b?secret",
            "redis://host:0/?secret",
            "redis://host:70000/secret",
            "redis://host/secret",
            "redis://host?secret=1",
            "redis://secret@host",
            "http://secret@host",
            "redis-cluster://secret@a:1",
            "redis-cluster:secret",
            "redis+cluster://u:secret@a:1",
            "redis-sentinel://a:1",
            "redis-sentinel://u:secret@a:x/m",
            "redis-sentinel:secret",
            "redis+sentinel://u:secret@a:1/m",
            "nats://u:secret@a:0",
            "nats-tls://secret@a:1",
            "redis+unix://",
            "redis+unix://secret/path",
            "redis+unix:///path?secret=1",
        ] {
            let error = BrokerUrl::parse(wrong).unwrap_err();
            assert!(!error.contains("secret"), "{wrong}: {error}");
        }
    }

    #[test]
    fn sentinels_and_nodes_are_lists() {
        let BrokerUrl { place, .. } = BrokerUrl::parse("rediss-cluster://a,b:7").unwrap();
        assert!(matches!(&place, Place::Cluster(url) if url.is_secure));
        let BrokerUrl { place, user } = BrokerUrl::parse("REDISS-sentinel://:x@a,b:7/mymaster").unwrap();
        assert!(matches!(&place, Place::Sentinel(url) if url.is_secure));
        assert_eq!((place.to_string(), user.password), ("mymaster by a:26379,b:7".into(), Some("x".into())));
    }

    #[test]
    fn a_password_is_not_shown() {
        let url = BrokerUrl::parse("redis://ann:secret@host").unwrap();
        assert!(!format!("{url:?} {}", url.place).contains("secret"));
    }
}
