//! The one place where Node-API is called.

/// Calls one Node-API function with the environment of the running callback.
macro_rules! node_api {
    ($name:ident($($argument:expr),* $(,)?)) => {{
        // SAFETY: see the obligations at the top of `js/mod.rs`; pointers among the arguments point to live locals or
        // to memory that the caller of the macro holds for the duration of the call.
        unsafe { sys::$name($($argument),*) }
    }};
}

pub(super) use node_api;
