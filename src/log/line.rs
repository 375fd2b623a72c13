//! One record as one line, of text or of JSON.
//!
//! ```text
//! 2025-11-21T03:39:00.123Z DEBUG ferrows::io::connection connection ended cause=ERR_CONNECTION_RESET conn=0.1.0 …
//! {"time":"2025-11-21T03:39:00.123Z","level":"debug","target":"ferrows::io::connection","message":"connection ended","fields":{"cause":…}}
//! ```

use std::fmt::Write;
use std::time::Duration;

use crate::bridge::record::{FieldValue, Level, Record};

/// The line of a record made `since_1970`, in UTC, with its line feed. The line has no other line feed and no control
/// character, so text from a peer can neither forge a record nor control a terminal.
#[must_use]
pub(crate) fn format(record: &Record, since_1970: Duration) -> String {
    let Record { level, target, message, fields } = record;
    let mut line = timestamp(since_1970);
    // Writing to a string does not fail.
    let _ = write!(line, " {:<5} {target} ", upper_case(*level));
    push_escaped(&mut line, message);
    for field in fields {
        let _ = write!(line, " {}=", field.name);
        match &field.value {
            FieldValue::Number(number) => {
                let _ = write!(line, "{number}");
            }
            FieldValue::Boolean(truth) => {
                let _ = write!(line, "{truth}");
            }
            FieldValue::Text(text) if is_plain(text) => line.push_str(text),
            FieldValue::Text(text) => {
                line.push('"');
                push_escaped(&mut line, text);
                line.push('"');
            }
        }
    }
    line.push('\n');
    line
}

/// The same as a line of JSON. Nothing in it but the line feed controls a terminal either, so text is escaped beyond what
/// JSON requires.
#[must_use]
pub(crate) fn format_json(record: &Record, since_1970: Duration) -> String {
    let Record { level, target, message, fields } = record;
    let mut line = format!(r#"{{"time":"{}","level":"{}","target":"#, timestamp(since_1970), level.name());
    push_json(&mut line, target);
    line.push_str(r#","message":"#);
    push_json(&mut line, message);
    line.push_str(r#","fields":{"#);
    for (position, field) in fields.iter().enumerate() {
        if position > 0 {
            line.push(',');
        }
        push_json(&mut line, field.name);
        line.push(':');
        match &field.value {
            FieldValue::Number(number) if number.is_finite() => {
                // Writing to a string does not fail.
                let _ = write!(line, "{number}");
            }
            FieldValue::Number(_) => line.push_str("null"),
            FieldValue::Boolean(truth) => line.push_str(if *truth { "true" } else { "false" }),
            FieldValue::Text(text) => push_json(&mut line, text),
        }
    }
    line.push_str("}}\n");
    line
}

/// Appends text as a string of JSON (RFC 8259 §7). All that is not printable is escaped.
fn push_json(line: &mut String, text: &str) {
    line.push('"');
    for character in text.chars() {
        match character {
            '"' | '\\' => line.extend(['\\', character]),
            '\'' => line.push('\''),
            // The standard library knows what is printable.
            _ if character.escape_debug().len() == 1 => line.push(character),
            _ => {
                for unit in character.encode_utf16(&mut [0; 2]) {
                    let _ = write!(line, "\\u{unit:04x}");
                }
            }
        }
    }
    line.push('"');
}

const fn upper_case(level: Level) -> &'static str {
    match level {
        Level::Error => "ERROR",
        Level::Warn => "WARN",
        Level::Info => "INFO",
        Level::Debug => "DEBUG",
        Level::Trace => "TRACE",
    }
}

/// Whether text needs no quotes.
fn is_plain(text: &str) -> bool {
    !text.is_empty()
        && text.bytes().all(|byte| byte.is_ascii_graphic() && !matches!(byte, b'"' | b'\\' | b'='))
}

/// Appends text with double quotes and non-printable characters escaped.
fn push_escaped(line: &mut String, text: &str) {
    for (position, part) in text.split('\'').enumerate() {
        // An apostrophe needs no escape between double quotes; the standard library would escape it.
        if position > 0 {
            line.push('\'');
        }
        line.extend(part.escape_debug());
    }
}

/// A moment in the format of RFC 3339, in UTC, with milliseconds.
fn timestamp(since_1970: Duration) -> String {
    let (days, second) = (since_1970.as_secs() / DAY, since_1970.as_secs() % DAY);
    let (year, month, day) = date(days);
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    let milli = since_1970.subsec_millis();
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{milli:03}Z")
}

/// Year, month and day of the Gregorian calendar.
fn date(days_since_1970: u64) -> (u64, u64, u64) {
    let (mut year, mut day) =
        (1970 + days_since_1970 / DAYS_OF_400_YEARS * 400, days_since_1970 % DAYS_OF_400_YEARS);
    while day >= 365 + u64::from(is_leap(year)) {
        day -= 365 + u64::from(is_leap(year));
        year += 1;
    }
    let february = 28 + u64::from(is_leap(year));
    let mut month = 1;
    for length in [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31] {
        if day < length {
            break;
        }
        day -= length;
        month += 1;
    }
    (year, month, day + 1)
}

const fn is_leap(year: u64) -> bool {
    year.is_multiple_of(4) && !year.is_multiple_of(100) || year.is_multiple_of(400)
}

/// Seconds of a day.
const DAY: u64 = 24 * 60 * 60;
/// After 400 years the calendar repeats: 97 of them are leap years.
const DAYS_OF_400_YEARS: u64 = 400 * 365 + 97;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bridge::record::Field;

    fn line(fields: &[(&'static str, FieldValue)]) -> String {
        let fields = fields.iter().map(|(name, value)| Field { name, value: value.clone() }).collect();
        let record =
            Record { level: Level::Warn, target: "ferrows::io", message: "it happened".into(), fields };
        format(&record, Duration::from_millis(1_763_696_340_123))
    }

    fn text(text: &str) -> FieldValue {
        FieldValue::Text(text.into())
    }

    #[test]
    fn a_line_has_moment_level_target_message_and_fields() {
        let fields = [
            ("code", FieldValue::Number(1006.0)),
            ("clean", FieldValue::Boolean(false)),
            ("peer", text("[::1]:4242")),
        ];
        assert_eq!(
            line(&fields),
            "2025-11-21T03:39:00.123Z WARN  ferrows::io it happened code=1006 clean=false peer=[::1]:4242\n"
        );
    }

    #[test]
    fn text_of_peers_stays_on_its_line_and_within_its_quotes() {
        let hostile = "a\r\nb\u{1b}[2J\u{9b}31m\u{7f}\0\u{202e}\u{2028}\"x=1\\";
        let line = line(&[("reason", text(hostile))]);
        let (_, field) = line.trim_end_matches('\n').split_once("reason=").unwrap();
        assert_eq!(field, r#""a\r\nb\u{1b}[2J\u{9b}31m\u{7f}\0\u{202e}\u{2028}\"x=1\\""#);
    }

    #[test]
    fn text_that_could_be_misread_is_quoted() {
        for (value, shown) in [
            ("", "\"\""),
            ("two words", "\"two words\""),
            ("a=b", "\"a=b\""),
            ("can't help", "\"can't help\""),
            ("grüße", "\"grüße\""),
        ] {
            assert!(line(&[("reason", text(value))]).ends_with(&format!(" reason={shown}\n")), "{value}");
        }
    }

    #[test]
    fn moments_follow_the_calendar() {
        for (seconds, shown) in [
            (0, "1970-01-01T00:00:00.000Z"),
            (951_782_399, "2000-02-28T23:59:59.000Z"),
            (951_782_400, "2000-02-29T00:00:00.000Z"),
            (978_220_800, "2000-12-31T00:00:00.000Z"),
            (1_709_251_199, "2024-02-29T23:59:59.000Z"),
            (4_107_542_400, "2100-03-01T00:00:00.000Z"),
            (253_402_300_799, "9999-12-31T23:59:59.000Z"),
        ] {
            assert_eq!(timestamp(Duration::from_secs(seconds)), shown);
        }
    }

    #[test]
    fn a_line_of_json_has_the_same_and_no_character_that_is_not_printable() {
        let field = |name, value| Field { name, value };
        let fields = vec![
            field("code", FieldValue::Number(1006.0)),
            field("share", FieldValue::Number(0.5)),
            field("none", FieldValue::Number(f64::NAN)),
            field("resumed", FieldValue::Boolean(true)),
            field(
                "reason",
                text("a\r\n\"b\"\\ \u{1b}[2J\u{7f}\0 \u{202e} gr\u{fc}\u{df}e, it's \u{1f600}\u{e0001}"),
            ),
        ];
        let record =
            Record { level: Level::Warn, target: "ferrows::io", message: "it happened".into(), fields };
        assert_eq!(
            format_json(&record, Duration::from_millis(1_763_696_340_123)),
            concat!(
                r#"{"time":"2025-11-21T03:39:00.123Z","level":"warn","target":"ferrows::io","message":"it happened","#,
                r#""fields":{"code":1006,"share":0.5,"none":null,"resumed":true,"#,
                r#""reason":"a\u000d\u000a\"b\"\\ \u001b[2J\u007f\u0000 \u202e grüße, it's 😀\udb40\udc01"}}"#,
                "\n"
            )
        );
    }

    #[test]
    fn a_line_of_json_without_fields_is_json_too() {
        let record = Record { level: Level::Info, target: "t", message: "m".into(), fields: Vec::new() };
        let line = format_json(&record, Duration::ZERO);
        assert!(line.ends_with("\"message\":\"m\",\"fields\":{}}\n"), "{line}");
    }
}
