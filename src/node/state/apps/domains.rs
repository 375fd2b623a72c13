//! The server names of an app (SNI), as Node's thread knows them: their TLS settings, and the routes of those that have
//! their own.

use std::collections::HashMap;

use crate::node::state::routes::router::Router;
use crate::tls::names::DomainId;
use crate::tls::options::Settings;

/// The server names of one app.
#[derive(Debug, Default)]
pub(crate) struct Domains {
    /// The TLS settings of the app itself; `None` for one without TLS.
    pub settings: Option<Settings>,
    /// By pattern, in its normal form.
    by_pattern: HashMap<String, Domain>,
    /// The routers of the names that have routes of their own.
    routers: HashMap<DomainId, Router>,
    /// The name whose routes are edited, as selected by `app.domain()`; `None` for the routes of the app.
    selected: Option<DomainId>,
    /// Names added so far.
    count: u32,
}

/// One server name.
#[derive(Debug)]
struct Domain {
    id: DomainId,
    settings: Settings,
}

impl Domains {
    /// The TLS settings of a pattern.
    #[must_use]
    pub(crate) fn settings_of(&self, pattern: &str) -> Option<&Settings> {
        self.by_pattern.get(pattern).map(|domain| &domain.settings)
    }

    /// Adds a pattern, or replaces its settings. A pattern that exists keeps its routes.
    pub(crate) fn set(&mut self, pattern: String, settings: Settings) -> DomainId {
        if let Some(domain) = self.by_pattern.get_mut(&pattern) {
            domain.settings = settings;
            return domain.id;
        }
        let id = DomainId(self.count);
        self.count += 1;
        self.by_pattern.insert(pattern, Domain { id, settings });
        id
    }

    /// Removes a pattern. Returns its router, which is not used any more.
    pub(crate) fn remove(&mut self, pattern: &str) -> Option<Router> {
        let Domain { id, .. } = self.by_pattern.remove(pattern)?;
        self.selected.take_if(|selected| *selected == id);
        self.routers.remove(&id)
    }

    /// Selects the name whose routes are edited; `None` selects those of the app.
    pub(crate) const fn select(&mut self, domain: Option<DomainId>) {
        self.selected = domain;
    }

    /// The router of this name, if it has routes of its own.
    #[must_use]
    pub(crate) fn router(&self, domain: DomainId) -> Option<&Router> {
        self.routers.get(&domain)
    }

    /// Whether the selected name has no routes of its own yet.
    #[must_use]
    pub(crate) fn lacks_router(&self) -> bool {
        self.selected.is_some_and(|domain| !self.routers.contains_key(&domain))
    }

    /// Gives the name whose routes are edited a router.
    pub(crate) fn add_router(&mut self, router: Router) {
        if let Some(selected) = self.selected {
            self.routers.insert(selected, router);
        }
    }

    /// The router of the selected name; `None` for that of the app. The caller has to give a name that [lacks
    /// one](Self::lacks_router) a router first.
    pub(crate) fn selected_router(&mut self) -> Option<&mut Router> {
        self.routers.get_mut(&self.selected?)
    }
}
