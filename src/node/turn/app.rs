//! Events of an app as a whole.

use crate::bridge::id::AppId;
use crate::node::abi::{Register, step};
use crate::node::environment::Environment;
use crate::node::js::Value;
use crate::node::turn::Step;

/// A worker reports, as it was asked to, that it has no connection of the app.
pub(crate) fn ended<'c>(environment: &mut Environment, number: u32) -> Option<Step<'c>> {
    if !environment.apps.note_ended(number, &mut environment.workers) {
        return None;
    }
    environment.registers.set(Register::App, f64::from(number));
    Some((step::ENDED, Value::UNDEFINED))
}

/// A worker has no connection left of an app that is shutting down; it has dropped `forced` of them.
pub(crate) fn shut_down<'c>(environment: &mut Environment, app: AppId, forced: u32) -> Option<Step<'c>> {
    let (shutdown, forced) = environment.shutdowns.note_worker(app, forced)?;
    environment.registers.set(Register::Shutdown, shutdown);
    environment.registers.set(Register::Forced, f64::from(forced));
    Some((step::SHUT_DOWN, Value::UNDEFINED))
}
