//! The routes of all apps by number, the target of each, and the cached responses of some of them.

pub(crate) mod behavior;
pub(crate) mod cache;
pub(crate) mod declarative;
pub(crate) mod router;

use std::rc::Rc;

use slab::Slab;

use self::behavior::Behavior;
use self::cache::{Cache, CachedRoute, Entry, Expiry, Recording};
use self::declarative::Declarative;
use self::router::HandlerId;
use crate::node::error::Misuse;
use crate::node::state::prepared_head::PreparedHead;
use crate::protocol::time::Timestamp;

/// All routes, and the cache.
#[derive(Default)]
pub(crate) struct Routes {
    by_number: Slab<Route>,
    /// Cached responses.
    pub(in crate::node) cache: Cache,
    /// Number of cached routes so far, which is the serial of the next one.
    cached: u64,
}

/// One registered route.
#[derive(Debug)]
pub(crate) struct Route {
    /// The app that it belongs to.
    pub app: u32,
    /// Its target.
    pub target: Target,
    /// Whether it has been reported that its handler neither answered nor attached an abort handler.
    pub warned: bool,
}

/// What a route leads to.
#[derive(Debug)]
pub(crate) enum Target {
    /// A JavaScript handler `(res, req)`.
    Handler,
    /// The same, with responses that are cached for a while.
    Cached(CachedRoute),
    /// A declarative response, sent without JavaScript.
    Declarative(Box<Declarative>),
    /// `app.ws`.
    WebSocket(Rc<Behavior>),
    /// The response 404 to requests that no other route matches, sent without JavaScript.
    NotFound,
}

impl Routes {
    /// Adds a route of an app.
    ///
    /// # Errors
    /// There are 2^32 already.
    pub(crate) fn add(&mut self, app: u32, target: Target) -> Result<HandlerId, Misuse> {
        let number = self.by_number.insert(Route { app, target, warned: false });
        u32::try_from(number).map(HandlerId).map_err(|_| Misuse::bug())
    }

    /// What a route leads to.
    #[must_use]
    pub(crate) fn target(&self, route: usize) -> Option<&Target> {
        self.by_number.get(route).map(|route| &route.target)
    }

    /// The options of a WebSocket's route.
    #[must_use]
    pub(crate) fn behavior(&self, route: usize) -> Option<&Rc<Behavior>> {
        match self.target(route)? {
            Target::WebSocket(behavior) => Some(behavior),
            Target::Handler | Target::Cached(_) | Target::Declarative(_) | Target::NotFound => None,
        }
    }

    /// Notes that the handler of a route has neither answered nor attached an abort handler. Returns whether to report
    /// that, which is done once per route.
    pub(crate) fn note_unanswered(&mut self, route: usize) -> bool {
        let route = self.by_number.get_mut(route);
        route.is_some_and(|route| !std::mem::replace(&mut route.warned, true))
    }

    /// Removes a replaced route, unless it is a WebSocket route, which upgrades under way still use. Returns whether
    /// its number is free.
    pub(crate) fn drop(&mut self, route: usize) -> bool {
        match self.target(route) {
            Some(Target::WebSocket(_)) | None => return false,
            Some(Target::Cached(cached)) => self.cache.forget(*cached),
            Some(Target::Handler | Target::Declarative(_) | Target::NotFound) => {}
        }
        self.by_number.try_remove(route).is_some()
    }

    /// Removes all routes of an app, and their cached responses.
    pub(crate) fn forget_app(&mut self, app: u32) {
        let cache = &mut self.cache;
        self.by_number.retain(|_, route| {
            let is_kept = route.app != app;
            if let (Target::Cached(cached), false) = (&route.target, is_kept) {
                cache.forget(*cached);
            }
            is_kept
        });
    }

    /// A new cached route.
    pub(crate) const fn new_cached(&mut self, expiry: Expiry) -> CachedRoute {
        self.cached += 1;
        CachedRoute { serial: self.cached, expiry }
    }

    /// Caches a response, unless its route was removed or its number reused since the request arrived. `head` is called
    /// only if it is cached.
    pub(crate) fn keep(
        &mut self,
        route: usize,
        recording: Recording,
        made: Timestamp,
        head: impl FnOnce() -> Option<PreparedHead>,
    ) {
        let Recording { serial, key, body: Some(body) } = recording else { return };
        let is_current = matches!(self.target(route), Some(Target::Cached(route)) if route.serial == serial);
        if is_current && let Some(head) = head() {
            self.cache.insert(key, Entry { head, body, made, successor: None });
        }
    }
}
