//! Which TLS configuration is used for which server name (SNI, RFC 6066 §3).
//!
//! Patterns are labels between dots: each is itself, or `*`, which is any one label. Among the patterns that match, the
//! one that is literal further to the left wins, as in uWebSockets.js: for `www.example.com`, `www.*.com` comes before
//! `*.example.com`.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use arc_swap::ArcSwap;
use rpds::HashTrieMapSync;
use rustls::ServerConfig;

/// The configurations of an app, shared by Node's thread, which changes them, and the workers, which look them up without
/// ever waiting: every change makes a new table that shares with the last one all that stays.
#[derive(Debug)]
pub(crate) struct ServerNames {
    table: ArcSwap<Table>,
    /// Whether JavaScript is to be asked for names that are not in the table.
    asks: AtomicBool,
}

/// One server name that was added to an app (SNI), numbered by Node's thread; never reused for another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct DomainId(pub u32);

/// What answers to a name.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    /// For the handshake.
    pub config: Arc<ServerConfig>,
    /// The pattern that the name matches; `None` if it matches none and gets the default certificate.
    pub domain: Option<DomainId>,
}

#[derive(Clone, Debug)]
struct Table {
    /// For clients that send no server name, or an unknown one.
    default: Arc<ServerConfig>,
    root: Node,
}

/// A node of the trie of labels, which are taken from the left.
#[derive(Clone, Debug, Default)]
struct Node {
    answer: Option<Answer>,
    children: HashTrieMapSync<Box<str>, Self>,
}

/// Why a pattern cannot be a server name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct InvalidName;

impl ServerNames {
    /// One configuration for every name.
    #[must_use]
    pub(crate) fn new(default: Arc<ServerConfig>) -> Self {
        let table = Table { default, root: Node::default() };
        Self { table: ArcSwap::from_pointee(table), asks: AtomicBool::new(false) }
    }

    /// The configuration for a handshake. `name` is what the client asks for; `None` if it does not say.
    #[must_use]
    pub(crate) fn lookup(&self, name: Option<&str>) -> Answer {
        let table = self.table.load();
        name.and_then(|name| table.find(name))
            .unwrap_or_else(|| Answer { config: Arc::clone(&table.default), domain: None })
    }

    /// What answers to a name beside the default.
    #[must_use]
    pub(crate) fn find(&self, name: &str) -> Option<Answer> {
        self.table.load().find(name)
    }

    /// Whether a name is answered by something beside the default.
    #[must_use]
    pub(crate) fn knows(&self, name: &str) -> bool {
        self.find(name).is_some()
    }

    /// Whether a handshake that asks for this name has to wait until JavaScript was asked for it.
    #[must_use]
    pub(crate) fn must_ask_for(&self, name: &str) -> bool {
        // Relaxed: nothing is read because of it, and a handshake at the same time may come before or after.
        self.asks.load(Ordering::Relaxed) && !self.knows(name)
    }

    /// Has JavaScript asked for unknown names (`missingServerName`).
    pub(crate) fn ask_for_unknown_names(&self) {
        self.asks.store(true, Ordering::Relaxed);
    }

    /// Replaces the default.
    pub(crate) fn set_default(&self, config: Arc<ServerConfig>) {
        self.change(|table| table.default = config);
    }

    /// Sets what answers to a pattern, in the form that [`normalize`] gives it.
    pub(crate) fn set(&self, pattern: &str, answer: &Answer) {
        self.change(|table| table.root.set(pattern, Some(answer.clone())));
    }

    /// Removes a pattern, in the form that [`normalize`] gives it. Handshakes under way keep what they have.
    pub(crate) fn remove(&self, pattern: &str) {
        self.change(|table| table.root.set(pattern, None));
    }

    /// Only Node's thread changes anything, so no change is lost.
    fn change(&self, act: impl FnOnce(&mut Table)) {
        let mut table = Table::clone(&self.table.load());
        act(&mut table);
        self.table.store(Arc::new(table));
    }
}

impl Table {
    fn find(&self, name: &str) -> Option<Answer> {
        // Lower case is what clients send, nearly always; they need not (RFC 6066 §3).
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
    /// A name has at most 127 labels, and there are no more ways to go than there are nodes.
    fn find(&self, name: &str) -> Option<&Answer> {
        let (label, rest) = split(name);
        [label, ANY].into_iter().filter(|_| !label.is_empty()).find_map(|key| {
            let child = self.children.get(key)?;
            match rest {
                Some(rest) => child.find(rest),
                None => child.answer.as_ref(),
            }
        })
    }

    /// Sets, or with `None` removes, what answers to a pattern. No node is left that nothing needs.
    fn set(&mut self, pattern: &str, answer: Option<Answer>) {
        let (label, rest) = split(pattern);
        let mut child = self.children.get(label).cloned().unwrap_or_default();
        match rest {
            Some(rest) => child.set(rest, answer),
            None => child.answer = answer,
        }
        if child.answer.is_some() || !child.children.is_empty() {
            self.children.insert_mut(label.into(), child);
        } else {
            self.children.remove_mut(label);
        }
    }
}

/// The leftmost label, and what is behind its dot.
fn split(name: &str) -> (&str, Option<&str>) {
    name.split_once('.').map_or((name, None), |(label, rest)| (label, Some(rest)))
}

/// The one form of a pattern: lower case, without the final dot of a fully qualified name.
///
/// # Errors
/// It is no name: a label is empty, too long, or has characters that names do not have (a `*` that is not alone among
/// them). Names beyond ASCII are to be given in the form in which clients send them (`xn--…`).
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

/// Stands for any one label.
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

    fn config() -> Arc<ServerConfig> {
        let key = KeyPair::generate().unwrap();
        let cert =
            CertificateParams::new(vec!["localhost".to_owned()]).unwrap().self_signed(&key).unwrap().pem();
        let source = |text: String| Some(Source { place: String::new(), text: text.into_bytes() });
        let options = Options { key: source(key.serialize_pem()), cert: source(cert), ..Options::default() };
        let now = std::time::SystemTime::UNIX_EPOCH;
        Settings::evaluate(&options, None, now).unwrap().settings.server_config().unwrap()
    }

    /// Names with these patterns, numbered from 0.
    fn names(patterns: &[&str]) -> ServerNames {
        let names = ServerNames::new(config());
        for (pattern, number) in patterns.iter().zip(0..) {
            let answer = Answer { config: names.lookup(None).config, domain: Some(DomainId(number)) };
            names.set(&normalize(pattern).unwrap(), &answer);
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
    fn javascript_is_asked_for_unknown_names_once_it_wants_to_be() {
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
