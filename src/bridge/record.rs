//! One log record.

/// The severity of a record, highest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// A bug in this server, or something that keeps it from serving.
    Error = 1,
    /// A peer broke a rule.
    Warn,
    /// A socket listens, or has stopped.
    Info,
    /// A connection went from one state to another.
    Debug,
    /// Bytes.
    Trace,
}

impl Level {
    /// Every level, highest severity first.
    pub const ALL: [Self; 5] = [Self::Error, Self::Warn, Self::Info, Self::Debug, Self::Trace];

    /// 1 for [`Self::Error`] to 5 for [`Self::Trace`].
    #[must_use]
    pub const fn number(self) -> u8 {
        self as u8
    }

    /// The level of a number; `None` for any other number, 0 above all.
    #[must_use]
    pub fn from_number(number: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|level| level.number() == number)
    }

    /// The name of the level, as programs write it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warn => "warn",
            Self::Info => "info",
            Self::Debug => "debug",
            Self::Trace => "trace",
        }
    }
}

/// The value of a field.
#[derive(Clone, Debug, PartialEq)]
pub enum FieldValue {
    /// A number, as JavaScript has them.
    Number(f64),
    /// A truth value.
    Boolean(bool),
    /// Text. May come from a peer, so it may hold anything; at most [`MAX_TEXT`] characters.
    Text(String),
}

impl FieldValue {
    /// Text, cut where it gets too long.
    #[must_use]
    pub fn text(mut text: String) -> Self {
        if let Some((end, _)) = text.char_indices().nth(MAX_TEXT) {
            text.truncate(end);
            text.pop();
            text.push('…');
        }
        Self::Text(text)
    }
}

/// One detail of a record, or of the connection it belongs to.
#[derive(Clone, Debug, PartialEq)]
pub struct Field {
    /// Its name, unique within the record.
    pub name: &'static str,
    /// Its value.
    pub value: FieldValue,
}

/// Something that happened.
#[derive(Clone, Debug, PartialEq)]
pub struct Record {
    /// How important it is.
    pub level: Level,
    /// The module that logs, as in `tracing`.
    pub target: &'static str,
    /// What happened. A fixed text that contains nothing a peer has sent.
    pub message: String,
    /// Details of the record, then those of its connection.
    pub fields: Vec<Field>,
}

impl Record {
    /// A record of how many others were lost. ERROR level, so that every reader gets it.
    #[must_use]
    pub fn of_loss(target: &'static str, message: &str, count: u64) -> Self {
        let fields = vec![Field { name: "count", value: FieldValue::Number(count as f64) }];
        Self { level: Level::Error, target, message: message.to_owned(), fields }
    }
}

/// Characters of text that a field holds. Reasons of Close frames fit; a request target may have 16 KiB, and thousands
/// of records may wait.
pub(crate) const MAX_TEXT: usize = 256;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_are_numbered_by_importance_and_nothing_else_is_a_level() {
        for (number, level) in (1..).zip(Level::ALL) {
            assert_eq!(level.number(), number);
            assert_eq!(Level::from_number(number), Some(level));
        }
        assert!(Level::Error < Level::Trace);
        assert_eq!([0, 6, 255].map(Level::from_number), [None; 3]);
    }

    #[test]
    fn long_text_is_cut_between_characters() {
        let fitting = "é".repeat(MAX_TEXT);
        assert_eq!(FieldValue::text(fitting.clone()), FieldValue::Text(fitting));
        let cut = format!("{}…", "é".repeat(MAX_TEXT - 1));
        assert_eq!(FieldValue::text("é".repeat(MAX_TEXT + 1)), FieldValue::Text(cut));
    }
}
