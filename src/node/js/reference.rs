//! Strong references of Node-API.

#![expect(unsafe_code, reason = "calls Node-API: the obligations stand in `js/mod.rs`")]

use std::ptr;

use napi_sys as sys;

use super::env::Env;
use super::node_api::node_api;
use super::value::Value;

/// Keeps a value alive until it is dropped, on the thread of its environment.
#[derive(Debug)]
pub(crate) struct Reference {
    env: sys::napi_env,
    raw: sys::napi_ref,
}

impl Reference {
    /// Keeps `value`, which must be an object, alive. It must not refer to anything whose collection this reference
    /// waits for.
    #[must_use]
    pub(crate) fn new(env: Env<'_>, value: Value<'_>) -> Option<Self> {
        let mut raw = ptr::null_mut();
        let status = node_api!(napi_create_reference(env.raw(), value.raw(), 1, &raw mut raw));
        (status == sys::Status::napi_ok).then_some(Self { env: env.raw(), raw })
    }
}

impl Drop for Reference {
    fn drop(&mut self) {
        node_api!(napi_delete_reference(self.env, self.raw));
    }
}
