//! The names under which a group publishes and listens (docs/broker-format.md).

use super::nats::subject;

/// The channels of Redis, or the subjects of NATS.
pub(super) struct Channels {
    name: Box<str>,
    scheme: Scheme,
    /// In front of each topic.
    prefix: Vec<u8>,
}

/// How names are made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scheme {
    /// `chat:news`, `chat#ask`
    Redis,
    /// `chat.news`, `chat#.here`
    Nats,
}

/// Where a message was published.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Source {
    /// The channel of a topic.
    Topic(Box<[u8]>),
    /// That for all processes: questions with Redis, announcements with NATS.
    Everybody,
    /// That of this process: answers with Redis, questions with NATS.
    Process(u64),
    /// Those of this process for answers (NATS).
    Answers(u64),
}

impl Scheme {
    /// Whether something is subscribed.
    pub(super) const fn has(self, source: &Source) -> bool {
        !matches!((self, source), (Self::Redis, Source::Answers(_)))
    }
}

impl Channels {
    pub(super) fn new(name: &str, scheme: Scheme) -> Self {
        let separator = match scheme {
            Scheme::Redis => ':',
            Scheme::Nats => '.',
        };
        Self { name: name.into(), scheme, prefix: format!("{name}{separator}").into() }
    }

    /// The channel of a topic.
    pub(super) fn topic(&self, topic: &[u8]) -> Vec<u8> {
        match self.scheme {
            Scheme::Redis => [&self.prefix, topic].concat(),
            Scheme::Nats => {
                let mut subject = Vec::with_capacity(self.prefix.len() + topic.len());
                subject.extend_from_slice(&self.prefix);
                subject::append(&mut subject, topic);
                subject
            }
        }
    }

    /// The topic of a channel of Redis. (With NATS the subscription says which it is.)
    pub(super) fn topic_of<'a>(&self, channel: &'a [u8]) -> Option<&'a [u8]> {
        channel.strip_prefix(&self.prefix[..])
    }

    /// The channel for all processes.
    pub(super) fn everybody(&self) -> Vec<u8> {
        let (name, own) = (&self.name, if self.scheme == Scheme::Redis { "ask" } else { ".here" });
        format!("{name}#{own}").into()
    }

    /// The channel of one process.
    pub(super) fn process(&self, process: u64) -> Vec<u8> {
        let (name, dot) = (&self.name, if self.scheme == Scheme::Redis { "" } else { "." });
        format!("{name}#{dot}{process:016x}").into()
    }

    /// Where one process gets what another one answers to a question (NATS).
    pub(super) fn answer(&self, process: u64, question: u64, other: u64) -> Vec<u8> {
        format!("{}#.{process:016x}.{question:x}.{other:x}", self.name).into()
    }

    /// What to subscribe.
    pub(super) fn of(&self, source: &Source) -> Vec<u8> {
        match source {
            Source::Topic(topic) => self.topic(topic),
            Source::Everybody => self.everybody(),
            Source::Process(process) => self.process(*process),
            Source::Answers(process) => format!("{}#.{process:016x}.*.*", self.name).into(),
        }
    }
}

/// The question and the other process of a subject made by [`Channels::answer`].
pub(super) fn answered(subject: &[u8]) -> Option<(u64, u64)> {
    let mut tokens = std::str::from_utf8(subject).ok()?.rsplit('.');
    let mut number = || u64::from_str_radix(tokens.next()?, 16).ok();
    let (other, question) = (number()?, number()?);
    Some((question, other))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_the_page() {
        let text = |name: Vec<u8>| String::from_utf8(name).unwrap();
        let (redis, nats) = (Channels::new("chat", Scheme::Redis), Channels::new("chat", Scheme::Nats));
        assert_eq!(
            (text(redis.topic(b"a b")), text(nats.topic(b"a b"))),
            ("chat:a b".into(), "chat.a%20b".into())
        );
        assert_eq!(redis.topic_of(b"chat:a b"), Some(&b"a b"[..]));
        assert_eq!(
            (text(redis.everybody()), text(nats.everybody())),
            ("chat#ask".into(), "chat#.here".into())
        );
        assert_eq!(text(redis.process(1)), "chat#0000000000000001");
        assert_eq!(text(nats.of(&Source::Process(1))), "chat#.0000000000000001");
        assert_eq!(text(nats.of(&Source::Answers(1))), "chat#.0000000000000001.*.*");
        assert_eq!(answered(&nats.answer(1, 20, u64::MAX)), Some((20, u64::MAX)));
        assert_eq!(answered(b"chat#.x"), None);
    }
}
