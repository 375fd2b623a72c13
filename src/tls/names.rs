//! Selects the TLS configuration for a server name (SNI, RFC 6066 §3).
//!
//! A pattern is a sequence of labels separated by dots. Each is literal, or `*`, which matches any one label. If
//! several patterns match, labels are compared from the left and a literal one wins over `*`, as in uWebSockets.js: for
//! `www.example.com`, `www.*.com` wins over `*.example.com`.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use arc_swap::ArcSwap;
use rpds::HashTrieMapSync;

use super::server_configs::ServerConfigs;

/// The TLS configurations of an app. Node's thread changes them, and the workers look them up without locking: every
/// change publishes a new table, which shares the unchanged nodes with the one before.
#[derive(Debug)]
pub(crate) struct ServerNames {
    table: ArcSwap<Table>,
    /// Whether handshakes wait for `missingServerName` when their server name is not in the table.
    asks: AtomicBool,
}

/// Identifies a server name that was added to an app (`addServerName`). Node's thread assigns the numbers and never
/// reuses one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct DomainId(pub u32);

/// The configurations that were found for a server name.
#[derive(Clone, Debug)]
pub(crate) struct DomainConfig {
    /// The configurations for its handshakes.
    pub config: Arc<ServerConfigs>,
    /// The pattern that the name matches; `None` if it matches none and gets the default certificate.
    pub domain: Option<DomainId>,
}

#[derive(Clone, Debug)]
struct Table {
    /// For clients that send no server name, or one that matches no pattern.
    default: Arc<ServerConfigs>,
    root: Node,
}

/// A node of the trie of labels, from left to right.
#[derive(Clone, Debug, Default)]
struct Node {
    config: Option<DomainConfig>,
    children: HashTrieMapSync<Box<str>, Self>,
}

/// A pattern is not a valid server name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct InvalidName;

impl ServerNames {
    /// Creates a table that has only a default configuration.
    #[must_use]
    pub(crate) fn new(default: Arc<ServerConfigs>) -> Self {
        let table = Table { default, root: Node::default() };
        Self { table: ArcSwap::from_pointee(table), asks: AtomicBool::new(false) }
    }

    /// The configuration for a handshake: that of the best pattern, else the default. `name` is the SNI of the client,
    /// if it sent one.
    #[must_use]
    pub(crate) fn lookup(&self, name: Option<&str>) -> DomainConfig {
        let table = self.table.load();
        name.and_then(|name| table.find(name))
            .unwrap_or_else(|| DomainConfig { config: Arc::clone(&table.default), domain: None })
    }

    /// The configuration of the best pattern that matches a name; `None` if none matches.
    #[must_use]
    pub(crate) fn find(&self, name: &str) -> Option<DomainConfig> {
        self.table.load().find(name)
    }

    /// Whether a pattern matches a name.
    #[must_use]
    pub(crate) fn knows(&self, name: &str) -> bool {
        self.find(name).is_some()
    }

    /// Whether a handshake with this server name has to wait until the `missingServerName` handler has run.
    #[must_use]
    pub(crate) fn must_ask_for(&self, name: &str) -> bool {
        // Relaxed: the flag publishes no other data, and a concurrent handshake may use either value.
        self.asks.load(Ordering::Relaxed) && !self.knows(name)
    }

    /// From now on, handshakes with unknown names wait for the `missingServerName` handler.
    pub(crate) fn ask_for_unknown_names(&self) {
        self.asks.store(true, Ordering::Relaxed);
    }

    /// Replaces the default configuration.
    pub(crate) fn set_default(&self, config: Arc<ServerConfigs>) {
        self.change(|table| table.default = config);
    }

    /// Sets the configuration of a pattern, which [`normalize`] has returned.
    pub(crate) fn set(&self, pattern: &str, config: &DomainConfig) {
        self.change(|table| table.root.set(pattern, Some(config.clone())));
    }

    /// Removes a pattern, which [`normalize`] has returned. Handshakes in progress keep their configuration.
    pub(crate) fn remove(&self, pattern: &str) {
        self.change(|table| table.root.set(pattern, None));
    }

    /// Publishes a changed copy of the table. Only Node's thread calls this, so no change is lost.
    fn change(&self, act: impl FnOnce(&mut Table)) {
        let mut table = Table::clone(&self.table.load());
        act(&mut table);
        self.table.store(Arc::new(table));
    }
}

impl Table {
    fn find(&self, name: &str) -> Option<DomainConfig> {
        // Server names are case-insensitive (RFC 6066 §3). Nearly all clients send lower case, which needs no copy.
        let lower;
        let name = if name.bytes().any(|byte| byte.is_ascii_uppercase()) {
            lower = name.to_ascii_lowercase();
            &lower
        } else {
            name
        };
        let name = name.strip_suffix('.').unwrap_or(name);
        self.root.find(name).cloned()
    }
}

impl Node {
    /// Tries the literal label before `*`. Recursion is at most 127 deep, the most labels that a name has, and visits
    /// each node at most once.
    fn find(&self, name: &str) -> Option<&DomainConfig> {
        let (label, rest) = split(name);
        [label, ANY].into_iter().filter(|_| !label.is_empty()).find_map(|key| {
            let child = self.children.get(key)?;
            match rest {
                Some(rest) => child.find(rest),
                None => child.config.as_ref(),
            }
        })
    }

    /// Sets the configuration of a pattern, or removes it with `None`. Removes nodes that have become empty.
    fn set(&mut self, pattern: &str, config: Option<DomainConfig>) {
        let (label, rest) = split(pattern);
        let mut child = self.children.get(label).cloned().unwrap_or_default();
        match rest {
            Some(rest) => child.set(rest, config),
            None => child.config = config,
        }
        if child.config.is_some() || !child.children.is_empty() {
            self.children.insert_mut(label.into(), child);
        } else {
            self.children.remove_mut(label);
        }
    }
}

/// Splits a name into its leftmost label and the rest after the dot.
fn split(name: &str) -> (&str, Option<&str>) {
    name.split_once('.').map_or((name, None), |(label, rest)| (label, Some(rest)))
}

/// Returns the canonical form of a pattern: lower case, without the final dot of a fully qualified name.
///
/// # Errors
/// A label is empty, too long, or has characters that host names do not have, which includes a `*` next to other
/// characters. Internationalized names must be given as A-labels (`xn--…`), as clients send them.
pub(crate) fn normalize(pattern: &str) -> Result<String, InvalidName> {
    let pattern = pattern.strip_suffix('.').unwrap_or(pattern).to_ascii_lowercase();
    let is_label = |label: &str| {
        let has_characters =
            label.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'));
        label == ANY || (has_characters && (1..=LONGEST_LABEL).contains(&label.len()))
    };
    if pattern.len() <= LONGEST_NAME && pattern.split('.').all(is_label) {
        Ok(pattern)
    } else {
        Err(InvalidName)
    }
}

/// Matches any one label.
const ANY: &str = "*";
/// RFC 1035 §2.3.4.
const LONGEST_LABEL: usize = 63;
/// RFC 1035 §2.3.4: 255 bytes on the wire, which are 253 characters.
const LONGEST_NAME: usize = 253;

#[cfg(test)]
mod tests {
    use std::thread;

    use rcgen::{CertificateParams, KeyPair};

    use super::*;
    use crate::tls::options::{Options, Settings};
    use crate::tls::source::Source;

    fn config() -> Arc<ServerConfigs> {
        let key = KeyPair::generate().unwrap();
        let cert =
            CertificateParams::new(vec!["localhost".to_owned()]).unwrap().self_signed(&key).unwrap().pem();
        let source = |text: String| Some(Source { place: String::new(), text: text.into_bytes() });
        let options = Options { key: source(key.serialize_pem()), cert: source(cert), ..Options::default() };
        let now = std::time::SystemTime::UNIX_EPOCH;
        Settings::evaluate(&options, None, now).unwrap().settings.server_configs().unwrap()
    }

    /// A table of these patterns, whose domains are numbered from 0.
    fn names(patterns: &[&str]) -> ServerNames {
        let names = ServerNames::new(config());
        for (pattern, number) in patterns.iter().zip(0..) {
            let config = DomainConfig { config: names.lookup(None).config, domain: Some(DomainId(number)) };
            names.set(&normalize(pattern).unwrap(), &config);
        }
        names
    }

    fn found(names: &ServerNames, name: &str) -> Option<u32> {
        names.lookup(Some(name)).domain.map(|domain| domain.0)
    }

    #[test]
    fn a_wildcard_is_one_label_and_comes_after_the_name_itself() {
        let names = names(&["*.example.com", "www.example.com", "*.*.example.com", "www.*.com", "*"]);
        assert_eq!(found(&names, "api.example.com"), Some(0));
        assert_eq!(found(&names, "www.example.com"), Some(1));
        assert_eq!(found(&names, "a.b.example.com"), Some(2));
        assert_eq!(found(&names, "www.example.org"), None);
        assert_eq!(found(&names, "www.other.com"), Some(3));
        assert_eq!(found(&names, "localhost"), Some(4));
        assert_eq!(found(&names, "example.com"), None);
        assert_eq!(found(&names, "a.b.c.example.com"), None);
        assert_eq!(found(&names, ""), None);
    }

    #[test]
    fn a_search_that_fails_further_right_goes_back_to_the_wildcard() {
        let names = names(&["www.example.org", "*.example.com"]);
        assert_eq!(found(&names, "www.example.com"), Some(1));
    }

    #[test]
    fn neither_case_nor_the_final_dot_matters() {
        let names = names(&["Example.COM.", "*.Example.com"]);
        assert_eq!(found(&names, "example.com"), Some(0));
        assert_eq!(found(&names, "EXAMPLE.com."), Some(0));
        assert_eq!(found(&names, "A.example.COM"), Some(1));
    }

    #[test]
    fn what_is_removed_is_unknown_again_and_its_neighbours_stay() {
        let names = names(&["a.example.com", "b.example.com", "example.com"]);
        names.remove("a.example.com");
        names.remove("c.example.com");
        names.remove("a.example.com.further");
        assert_eq!(found(&names, "a.example.com"), None);
        assert_eq!(found(&names, "b.example.com"), Some(1));
        names.remove("b.example.com");
        names.remove("example.com");
        assert!(names.table.load().root.children.is_empty());
        assert!(names.lookup(Some("example.com")).domain.is_none());
    }

    #[test]
    fn who_asks_for_nobody_or_somebody_unknown_gets_the_default() {
        let names = names(&["example.com"]);
        let other = config();
        names.set_default(Arc::clone(&other));
        assert!(Arc::ptr_eq(&names.lookup(None).config, &other));
        assert!(Arc::ptr_eq(&names.lookup(Some("unknown")).config, &other));
        assert!(!Arc::ptr_eq(&names.lookup(Some("example.com")).config, &other));
    }

    #[test]
    fn handshakes_with_unknown_names_wait_once_there_is_a_handler() {
        let names = names(&["example.com"]);
        assert!(!names.must_ask_for("unknown"));
        names.ask_for_unknown_names();
        assert!(names.must_ask_for("unknown"));
        assert!(!names.must_ask_for("example.com"));
    }

    #[test]
    fn only_names_can_be_added() {
        let long = format!("{}.com", "a".repeat(64));
        let longer = format!("{}com", "a.".repeat(126));
        let bad = ["", ".", "a..b", "*a.com", "a.b*", "a b", "é.com", "a/b", "[::1]", &long, &longer];
        for name in bad {
            assert_eq!(normalize(name), Err(InvalidName), "{name:?}");
        }
        for name in ["a", "*", "*.*", "_acme.example.com", "xn--bcher-kva.example", "127.0.0.1"] {
            assert_eq!(normalize(name).as_deref(), Ok(name));
        }
    }

    #[test]
    fn a_table_that_changes_is_never_seen_half_changed() {
        let names = Arc::new(names(&["stays.example.com"]));
        let reader = {
            let names = Arc::clone(&names);
            thread::spawn(move || (0..20_000).all(|_| found(&names, "stays.example.com") == Some(0)))
        };
        for round in 0..2_000 {
            let pattern = format!("n{}.example.com", round % 50);
            names.set(&pattern, &names.lookup(None));
            names.remove(&pattern);
        }
        assert!(reader.join().unwrap());
    }
}
