//! The server names of an app (SNI), as Node's thread knows them: what they were set up with, and the routes that some of
//! them have for themselves.

use std::collections::HashMap;

use crate::node::state::routes::router::Router;
use crate::tls::names::DomainId;
use crate::tls::options::Settings;

/// See the top of the file.
#[derive(Debug, Default)]
pub(crate) struct Domains {
    /// What the app itself was set up with; `None` for one that does not speak TLS.
    pub settings: Option<Settings>,
    /// By pattern, in its normal form.
    by_pattern: HashMap<String, Domain>,
    /// The routers of those that have routes of their own.
    routers: HashMap<DomainId, Router>,
    /// Whose routes are edited: after `app.domain()` those of a name, else those of the app.
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
    /// What a pattern was set up with.
    #[must_use]
    pub(crate) fn settings_of(&self, pattern: &str) -> Option<&Settings> {
        self.by_pattern.get(pattern).map(|domain| &domain.settings)
    }

    /// Adds a pattern, or sets it up anew. One that is there already keeps its routes.
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

    /// Removes a pattern. Returns the router that nobody will ask any more.
    pub(crate) fn remove(&mut self, pattern: &str) -> Option<Router> {
        let Domain { id, .. } = self.by_pattern.remove(pattern)?;
        self.selected.take_if(|selected| *selected == id);
        self.routers.remove(&id)
    }

    /// From now on the routes of this name are edited, or those of the app.
    pub(crate) const fn select(&mut self, domain: Option<DomainId>) {
        self.selected = domain;
    }

    /// The router of this name, if it has routes of its own.
    #[must_use]
    pub(crate) fn router(&self, domain: DomainId) -> Option<&Router> {
        self.routers.get(&domain)
    }

    /// Whether routes of a name are edited that has none yet.
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

    /// The router that is edited, unless it is that of the app. A name that [lacks one](Self::lacks_router) is an error of
    /// the caller.
    pub(crate) fn selected_router(&mut self) -> Option<&mut Router> {
        self.routers.get_mut(&self.selected?)
    }
}
