//! One app: its routes, its setup for the workers, and its statistics.

use super::domains::Domains;
use super::stats::Stats;
use super::usage::Usage;
use crate::bridge::children::Children;
use crate::bridge::id::{AppId, WorkerId};
use crate::bridge::setup::AppSetup;
use crate::bridge::sync::Arc;
use crate::broker::registry::Membership;
use crate::io::descriptor::Registration;
use crate::node::error::Misuse;
use crate::node::state::routes::router::Router;
use crate::tls::names::DomainId;

/// One app.
pub(crate) struct App {
    /// Its routes.
    pub router: Router,
    /// How often it was closed or shut down.
    pub epoch: u32,
    /// The first epoch whose requests are served; earlier ones were closed.
    pub(super) first_served: u32,
    /// I/O threads that share its connections; 0 if Node's loop serves them all.
    pub(super) threads: usize,
    /// Whether Node's loop may serve connections.
    pub(super) is_inline: bool,
    /// Its setup for the workers.
    pub setup: AppSetup,
    /// Its server names, and their routes.
    pub domains: Domains,
    /// The workers that share its connections; empty until the app is prepared for connections.
    pub(super) share: Vec<WorkerId>,
    /// The start of the workers (`Pool::starts`) at which they got its setup; 0 for none.
    pub(super) announced: u64,
    /// Whether it has, or may get, connections.
    pub usage: Usage,
    /// The apps that get the connections which it accepts.
    pub children: Arc<Children>,
    /// Present while it may be the child of another app.
    pub registration: Option<Registration>,
    /// Present if it has a broker: shares its topics with other apps.
    pub membership: Option<Membership>,
    /// Its statistics.
    pub stats: Stats,
    /// Sockets that it was given, to spread them over the workers.
    pub adopted: usize,
    /// A WebSocket route was registered at some time: only then does `publish` do anything.
    pub has_websocket_route: bool,
    /// The program is warned if its WebSockets are cut after a fixed time of silence.
    pub warns_of_cuts: bool,
}

impl App {
    /// An app without routes, whose connections are shared by `threads` threads and, if it `is_inline`, Node's loop.
    #[must_use]
    pub(crate) fn new(epoch: u32, threads: usize, is_inline: bool, setup: AppSetup) -> Self {
        Self {
            router: Router::default(),
            epoch,
            first_served: epoch,
            threads,
            is_inline,
            setup,
            domains: Domains::default(),
            share: Vec::new(),
            announced: 0,
            usage: Usage::default(),
            children: Arc::default(),
            registration: None,
            membership: None,
            stats: Stats::start(),
            adopted: 0,
            has_websocket_route: false,
            warns_of_cuts: false,
        }
    }

    /// The routes for a request to this server name: its own if it has any, or else those of the app.
    #[must_use]
    pub(crate) fn router_of(&self, domain: Option<DomainId>) -> &Router {
        domain.and_then(|domain| self.domains.router(domain)).unwrap_or(&self.router)
    }

    /// The routes that the methods of the app add and remove (`app.domain()`).
    pub(crate) fn edited_router(&mut self) -> &mut Router {
        self.domains.selected_router().unwrap_or(&mut self.router)
    }

    /// Whether sockets of TCP can be given to it.
    ///
    /// # Errors
    /// `ERR_INVALID_STATE`: it speaks HTTP/3 alone.
    pub(crate) fn check_tcp(&self) -> Result<(), Misuse> {
        if self.setup.speaks_tcp {
            Ok(())
        } else {
            Err(Misuse::invalid_state("an H3App listens on UDP ports only"))
        }
    }

    /// Whether requests of connections that were accepted in this epoch are served.
    #[must_use]
    pub(crate) const fn serves(&self, epoch: u32) -> bool {
        epoch >= self.first_served && epoch <= self.epoch
    }

    /// Starts a new epoch. The `close` or `shutdown` under way applies to the old one, which is returned; later
    /// connections belong to the new one.
    pub(crate) fn end_epoch(&mut self, number: u32) -> AppId {
        // First, so that no other app hands over a connection that would belong to the new epoch.
        self.registration = None;
        let ended = AppId { app: number, epoch: self.epoch };
        self.epoch = self.epoch.wrapping_add(1);
        ended
    }

    /// Stops serving the connections of all epochs before the current one.
    pub(crate) const fn close_epochs(&mut self) {
        self.first_served = self.epoch;
    }
}

/// How long to wait for a worker to close its sockets. A pass takes microseconds; a second means that the machine is
/// stalled.
pub(crate) const PATIENCE: std::time::Duration = std::time::Duration::from_secs(1);
