//! The `tracing` layer that turns events into records.

use std::fmt;

use tracing::field::{Field as TracingField, Visit};
use tracing::level_filters::LevelFilter;
use tracing::span::{Attributes, Id};
use tracing::subscriber::Interest;
use tracing::{Event, Metadata, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;
use tracing_subscriber::registry::LookupSpan;

use super::{journal, threshold};
use crate::bridge::record::{Field, FieldValue, Level, Record};

/// Passes every event, with the fields of its spans, to the journal of its thread.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RecordLayer;

impl<S> Layer<S> for RecordLayer
where
    S: Subscriber + for<'lookup> LookupSpan<'lookup>,
{
    fn register_callsite(&self, metadata: &'static Metadata<'static>) -> Interest {
        // Never `always`: the journals of two threads may accept different levels.
        if *metadata.level() <= threshold::filter() { Interest::sometimes() } else { Interest::never() }
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(threshold::filter())
    }

    fn enabled(&self, metadata: &Metadata<'_>, _: Context<'_, S>) -> bool {
        let level = level_of(metadata);
        journal::with_current(|journal| journal.is_enabled(level)).unwrap_or(false)
    }

    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        if let Some(span) = context.span(id) {
            let mut notes = Notes::default();
            attributes.record(&mut notes);
            span.extensions_mut().insert(SpanFields(notes.fields));
        }
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let mut notes = Notes::default();
        event.record(&mut notes);
        let Notes { message, mut fields } = notes;
        for span in context.event_scope(event).into_iter().flatten() {
            if let Some(SpanFields(of_span)) = span.extensions().get() {
                fields.extend_from_slice(of_span);
            }
        }
        let metadata = event.metadata();
        let record = Record { level: level_of(metadata), target: metadata.target(), message, fields };
        journal::with_current(|journal| journal.write(record));
    }
}

/// The fields of a span, for the records within it.
struct SpanFields(Vec<Field>);

fn level_of(metadata: &Metadata<'_>) -> Level {
    match *metadata.level() {
        tracing::Level::ERROR => Level::Error,
        tracing::Level::WARN => Level::Warn,
        tracing::Level::INFO => Level::Info,
        tracing::Level::DEBUG => Level::Debug,
        tracing::Level::TRACE => Level::Trace,
    }
}

/// Collects fields with the types that JavaScript has for them.
#[derive(Default)]
struct Notes {
    message: String,
    fields: Vec<Field>,
}

impl Notes {
    fn add(&mut self, field: &TracingField, value: FieldValue) {
        self.fields.push(Field { name: field.name(), value });
    }
}

impl Visit for Notes {
    fn record_f64(&mut self, field: &TracingField, value: f64) {
        self.add(field, FieldValue::Number(value));
    }

    fn record_i64(&mut self, field: &TracingField, value: i64) {
        self.add(field, FieldValue::Number(value as f64));
    }

    fn record_u64(&mut self, field: &TracingField, value: u64) {
        self.add(field, FieldValue::Number(value as f64));
    }

    fn record_bool(&mut self, field: &TracingField, value: bool) {
        self.add(field, FieldValue::Boolean(value));
    }

    fn record_str(&mut self, field: &TracingField, value: &str) {
        self.add(field, FieldValue::text(value.to_owned()));
    }

    fn record_debug(&mut self, field: &TracingField, value: &dyn fmt::Debug) {
        let text = format!("{value:?}");
        if field.name() == "message" {
            self.message = text;
        } else {
            self.add(field, FieldValue::text(text));
        }
    }
}
