//! The routes of all apps by number, what each leads to, and the answers that are kept for some of them.

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

/// See the top of the file.
#[derive(Default)]
pub(crate) struct Routes {
    by_number: Slab<Route>,
    /// Answers that are kept.
    pub(in crate::node) cache: Cache,
    /// Cached routes that there have been.
    cached: u64,
}

/// One registered route.
#[derive(Debug)]
pub(crate) struct Route {
    /// The app that it goes with.
    pub app: u32,
    /// What it leads to.
    pub target: Target,
    /// Whether it has been reported that its handler neither answered nor attached an abort handler.
    pub warned: bool,
}

/// What a route leads to.
#[derive(Debug)]
pub(crate) enum Target {
    /// A JavaScript handler `(res, req)`.
    Handler,
    /// The same, but what it answers is kept for a while.
    Cached(CachedRoute),
    /// A response that is known beforehand. Needs no JavaScript.
    Declarative(Box<Declarative>),
    /// `app.ws`.
    WebSocket(Rc<Behavior>),
    /// The answer 404 to what no other route takes. Needs no JavaScript.
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

    /// The handler of a route has neither answered nor attached an abort handler. Returns whether that is to be reported,
    /// which it is once.
    pub(crate) fn note_unanswered(&mut self, route: usize) -> bool {
        let route = self.by_number.get_mut(route);
        route.is_some_and(|route| !std::mem::replace(&mut route.warned, true))
    }

    /// Forgets a replaced route, unless it is one of a WebSocket, which upgrades under way go on using.
    /// Returns whether its number is free.
    pub(crate) fn drop(&mut self, route: usize) -> bool {
        match self.target(route) {
            Some(Target::WebSocket(_)) | None => return false,
            Some(Target::Cached(cached)) => self.cache.forget(*cached),
            Some(Target::Handler | Target::Declarative(_) | Target::NotFound) => {}
        }
        self.by_number.try_remove(route).is_some()
    }

    /// Forgets all routes of an app, and what is kept for them.
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

    /// A new route whose answers are kept.
    pub(crate) const fn new_cached(&mut self, expiry: Expiry) -> CachedRoute {
        self.cached += 1;
        CachedRoute { serial: self.cached, expiry }
    }

    /// Keeps an answer, if the number that its route had is still that of its route: the handler may have taken its time.
    /// `head` is not made before that is known.
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
