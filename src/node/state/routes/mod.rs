//! The routes of all apps, and what each leads to.

pub mod behavior;
pub mod cache;
pub mod router;
