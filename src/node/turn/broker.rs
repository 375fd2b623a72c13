//! Events of brokers.

use super::Step;
use crate::bridge::broker::BrokerEvent;
use crate::node::abi::{Register, step};
use crate::node::environment::Environment;
use crate::node::js::{Env, Value};

/// Turns an event into a step for JavaScript.
pub(crate) fn handle<'c>(environment: &mut Environment, env: Env<'c>, event: BrokerEvent) -> Step<'c> {
    match event {
        BrokerEvent::StateChanged(change) => {
            let text = |text: &str| env.string(text.as_bytes());
            let (code, detail) = match &change.failure {
                Some((code, detail)) => (text(code), text(detail)),
                None => (Value::UNDEFINED, Value::UNDEFINED),
            };
            let (from, to) = match change.gap {
                // Exact up to 2^53.
                Some((from, to)) => (env.from_number(from as f64), env.from_number(to as f64)),
                None => (Value::UNDEFINED, Value::UNDEFINED),
            };
            let head = [text(&change.name), text(change.state), env.from_number(change.since as f64)];
            (step::BROKER_STATE, env.array(head.into_iter().chain([code, detail, from, to])))
        }
        BrokerEvent::Counted { question, count } => {
            environment.registers.set(Register::Question, question as f64);
            environment.registers.set(Register::CountNow, count as f64);
            (step::COUNTED, Value::UNDEFINED)
        }
    }
}
