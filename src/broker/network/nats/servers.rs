//! The servers of NATS: those of the url, and those that they name themselves.

use rand::seq::SliceRandom;

use crate::broker::nats_url::{self, Credentials, NatsServer, NatsUrl};

/// What has been learned of the servers.
#[derive(Clone, Debug, Default)]
pub(crate) struct Servers {
    /// Others than those of the url, of the same cluster.
    named: Vec<NatsServer>,
    /// One that is about to end.
    avoided: Option<NatsServer>,
}

/// A server to connect to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Candidate {
    /// The server.
    pub server: NatsServer,
    /// The host for which its certificate must be valid.
    pub certified: String,
}

impl Servers {
    /// Notes the servers that one of them has named.
    pub(super) fn note(&mut self, names: &[String], credentials: Option<&Credentials>) {
        let parse = |name: &String| {
            let server = nats_url::parse_server(nats_url::PLAIN, name).ok()?;
            Some(NatsServer { credentials: credentials.cloned(), ..server })
        };
        self.named = names.iter().filter_map(parse).collect();
    }

    /// All servers in random order, the avoided one last.
    pub(super) fn round(&self, url: &NatsUrl) -> Vec<Candidate> {
        let given = url
            .servers
            .iter()
            .map(|server| Candidate { server: server.clone(), certified: server.host.clone() });
        // What names servers may be anybody until there is TLS: they must be the same site as those of the url.
        let certified = url.servers.first().map_or("", |server| &server.host);
        let is_new = |server: &&NatsServer| !url.servers.iter().any(|given| is_same(given, server));
        let named = self.named.iter().filter(is_new);
        let named = named.map(|server| Candidate { server: server.clone(), certified: certified.to_owned() });
        let mut round: Vec<_> = given.chain(named).collect();
        round.shuffle(&mut rand::rng());
        let is_avoided = |server: &NatsServer| self.avoided.as_ref().is_some_and(|it| is_same(it, server));
        round.sort_by_key(|candidate| is_avoided(&candidate.server));
        round
    }

    /// Whether there is another one than this.
    pub(crate) fn has_others(&self, url: &NatsUrl, server: &NatsServer) -> bool {
        url.servers.iter().chain(&self.named).any(|other| !is_same(other, server))
    }

    /// From now on tries a server last.
    pub(crate) fn avoid(&mut self, server: &NatsServer) {
        self.avoided = Some(server.clone());
    }
}

fn is_same(one: &NatsServer, other: &NatsServer) -> bool {
    one.port == other.port && one.host.eq_ignore_ascii_case(&other.host)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_round_has_each_server_once_in_random_order_and_the_avoided_one_last() {
        let url = NatsUrl::parse("nats://ann:x@a,b").unwrap();
        let mut servers = Servers::default();
        let credentials = url.servers[0].credentials.as_ref();
        servers.note(
            &["A:4222".into(), "10.0.0.1:7".into(), "[::1]:7".into(), "nonsense:x".into()],
            credentials,
        );
        let names = |servers: &Servers| -> Vec<_> {
            servers.round(&url).iter().map(|it| it.server.to_string()).collect()
        };
        let mut sorted = names(&servers);
        sorted.sort();
        assert_eq!(sorted, ["10.0.0.1:7", "[::1]:7", "a:4222", "b:4222"]);
        assert!((0..1000).any(|_| names(&servers) != names(&servers)));
        servers.avoid(&url.servers[0]);
        assert!((0..100).all(|_| names(&servers)[3] == "a:4222"));
        let named = servers.round(&url).into_iter().find(|it| it.server.port == 7).unwrap();
        assert_eq!((&*named.certified, named.server.credentials.as_ref()), ("a", credentials));
        servers.note(&[], None);
        assert_eq!(servers.round(&url).len(), 2);
    }

    #[test]
    fn one_server_has_no_others() {
        let url = NatsUrl::parse("nats://a").unwrap();
        let mut servers = Servers::default();
        assert!(!servers.has_others(&url, &url.servers[0]));
        servers.note(&["a:4222".into()], None);
        assert!(!servers.has_others(&url, &url.servers[0]));
        servers.note(&["b:4222".into()], None);
        assert!(servers.has_others(&url, &url.servers[0]));
    }
}
