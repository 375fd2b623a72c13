//! Work on the threads that Node has for files and the like, and the promise of its result.

use napi::Task;
use napi::bindgen_prelude::{JsValue, ToNapiValue, TypeName};

use super::env::Env;
use super::misuse::Misuse;
use super::value::Value;

/// Has `task` done on a thread of Node's pool. Returns the promise of its result.
///
/// # Errors
/// [`Misuse::bug`] if Node takes no work any more.
pub(crate) fn spawn<'c, T: Task + 'c>(env: Env<'c>, task: T) -> Result<Value<'c>, Misuse>
where
    T::JsValue: ToNapiValue + TypeName,
{
    let env = napi::Env::from_raw(env.raw());
    let promise = env.spawn(task).map_err(|_| Misuse::bug())?.promise_object();
    Ok(Value::of(promise.raw()))
}
