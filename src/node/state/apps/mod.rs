//! The apps that programs can still use, or that have connections, by number, and their listening sockets. The number
//! of an app that has ended is reused; the next app with it continues counting the epochs, so that it does not get
//! events that were under way for the previous one.

pub(crate) mod app;
pub(crate) mod domains;
pub(crate) mod histogram;
pub(crate) mod patterns;
pub(crate) mod stats;
pub(crate) mod usage;

use std::time::Duration;

use self::app::App;
use self::stats::Stats;
use self::usage::Usage;
use super::workers::Workers;
use crate::bridge::command::Command;
use crate::bridge::id::{AppId, ListenerId, WorkerId};
use crate::bridge::setup::SetupOrder;
use crate::bridge::sync::Arc;
use crate::node::error::Misuse;
use crate::node::js::Env;
use crate::node::state::handles::{JsHandle, Table};
use crate::protocol::http::limits::HttpLimits;

/// All apps of the environment, and their listening sockets.
#[derive(Default)]
pub(crate) struct Apps {
    places: Vec<Place>,
    /// Numbers that are free.
    free: Vec<u32>,
    /// Listening sockets that JavaScript may use.
    listeners: Table<Listener>,
    /// The id of the next listening socket.
    next_listener: u32,
}

/// A listening socket.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Listener {
    /// The id under which the worker knows it.
    pub id: ListenerId,
    /// The app that it listens for.
    pub app: AppId,
    /// The worker that accepts.
    pub worker: WorkerId,
    /// Local port; 0 for a Unix socket.
    pub port: u16,
}

#[derive(Default)]
struct Place {
    /// The first epoch of the next app with this number.
    epoch: u32,
    app: Option<Box<App>>,
}

/// Apps by number.
impl Apps {
    /// Inserts the app that `make` creates, given its first epoch. Returns its number.
    pub(crate) fn insert(&mut self, make: impl FnOnce(u32) -> App) -> u32 {
        let number = self.free.pop().unwrap_or_else(|| {
            self.places.push(Place::default());
            // 2^32 apps would not fit the memory.
            u32::try_from(self.places.len() - 1).unwrap_or(u32::MAX)
        });
        let place = &mut self.places[number as usize];
        place.app = Some(Box::new(make(place.epoch)));
        number
    }

    /// The app of a number that `lib/` passes.
    ///
    /// # Errors
    /// There is none.
    pub(crate) fn app(&mut self, number: f64) -> Result<(u32, &mut App), Misuse> {
        let index = if number >= 0.0 { number as u32 } else { u32::MAX };
        let app = self.get_mut(index).ok_or_else(Misuse::bug)?;
        Ok((index, app))
    }

    /// The app of this number.
    #[must_use]
    pub(crate) fn get(&self, number: u32) -> Option<&App> {
        self.places.get(number as usize)?.app.as_deref()
    }

    /// The app of this number, mutable.
    pub(crate) fn get_mut(&mut self, number: u32) -> Option<&mut App> {
        self.places.get_mut(number as usize)?.app.as_deref_mut()
    }

    /// Removes an app.
    pub(crate) fn remove(&mut self, number: u32) -> Option<Box<App>> {
        let place = self.places.get_mut(number as usize)?;
        let app = place.app.take()?;
        place.epoch = app.epoch.wrapping_add(1);
        self.free.push(number);
        Some(app)
    }

    /// All of them.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &App> {
        self.places.iter().filter_map(|place| place.app.as_deref())
    }

    /// All of them, mutable.
    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = &mut App> {
        self.places.iter_mut().filter_map(|place| place.app.as_deref_mut())
    }

    /// Whether connections that were accepted in this epoch of an app are served.
    #[must_use]
    pub(crate) fn serves(&self, app: AppId) -> bool {
        self.get(app.app).is_some_and(|it| it.serves(app.epoch))
    }

    /// The statistics of an app; `None` if there is no such app.
    pub(crate) fn stats(&mut self, app: AppId) -> Option<&mut Stats> {
        self.get_mut(app.app).map(|app| &mut app.stats)
    }
}

/// Their listening sockets and connections.
impl Apps {
    /// Starts the threads that share the connections of an app, and sends every worker the setup of the app: from here
    /// on each of these threads may get connections.
    ///
    /// # Errors
    /// There is no such app; the system cannot create another thread.
    pub(crate) fn prepare(
        &mut self,
        env: Env<'_>,
        number: f64,
        workers: &mut Workers,
    ) -> Result<(AppId, Vec<WorkerId>), Misuse> {
        let (number, it) = self.app(number)?;
        let app = AppId { app: number, epoch: it.epoch };
        let pool = workers.run(env, it.threads, it.is_inline)?;
        let (count, start) = (pool.workers().len(), pool.starts());
        it.usage.start();
        if it.share.is_empty() {
            // There are at most 64 workers.
            it.share = (0..it.threads.clamp(1, count))
                .map(|number| WorkerId(u8::try_from(number).unwrap_or(0)))
                .collect();
            it.stats.share(it.share.len());
        }
        let share = it.share.clone();
        if it.announced != start {
            it.announced = start;
            self.announce(app, workers);
        }
        Ok((app, share))
    }

    /// From now on the responses of an app over TCP say that it can be had over HTTP/3 on this UDP port (RFC 7838).
    ///
    /// # Errors
    /// There is no such app.
    pub(crate) fn offer_http3(
        &mut self,
        number: f64,
        port: u16,
        workers: &mut Workers,
    ) -> Result<(), Misuse> {
        let (number, it) = self.app(number)?;
        let mut limits = HttpLimits::clone(&it.setup.limits);
        limits.alternative = Some(format!("h3=\":{port}\"; ma=86400").into_bytes().into());
        it.setup.limits = Arc::new(limits);
        let app = AppId { app: number, epoch: it.epoch };
        if it.announced != 0 {
            self.announce(app, workers);
        }
        Ok(())
    }

    /// Sends every worker the setup of an app.
    pub(crate) fn announce(&self, app: AppId, workers: &mut Workers) {
        let Some(it) = self.get(app.app) else { return };
        let (setup, tallies) = (&it.setup, it.stats.tallies());
        let order = || {
            let (setup, tallies) = (setup.clone(), Arc::clone(&tallies));
            Command::SetUpApp(Box::new(SetupOrder { app, setup, tallies }))
        };
        workers.push_to_all(order);
    }

    /// Inserts a socket that will listen. The workers of `share` accept in turn, so that several listening sockets do
    /// not all burden the first one.
    ///
    /// # Errors
    /// There are 2^24 already.
    pub(crate) fn add_listener(
        &mut self,
        app: AppId,
        share: &[WorkerId],
        port: u16,
    ) -> Result<(JsHandle, Listener), Misuse> {
        let id = ListenerId(self.next_listener);
        self.next_listener = self.next_listener.wrapping_add(1);
        let listener = Listener { id, app, worker: share[id.0 as usize % share.len()], port };
        let handle = self.listeners.insert(listener);
        let handle = handle.map_err(|_| Misuse::invalid_state("too many sockets are listening"))?;
        Ok((handle, listener))
    }

    /// A listening socket, if it is open.
    #[must_use]
    pub(crate) fn listener(&self, handle: JsHandle) -> Option<&Listener> {
        self.listeners.get(handle)
    }

    /// Removes a listening socket that is being closed. `None` if it was closed before.
    pub(crate) fn remove_listener(&mut self, handle: JsHandle) -> Option<Listener> {
        self.listeners.remove(handle)
    }

    /// Removes the listening sockets of an app: their handles are refused from now on.
    pub(crate) fn forget_listeners(&mut self, app: AppId) {
        let listeners = self.listeners.iter().filter(|(_, it)| app.covers(it.app));
        let listeners: Vec<JsHandle> = listeners.map(|(handle, _)| handle).collect();
        for listener in listeners {
            self.listeners.remove(listener);
        }
    }

    /// Whether connections may arrive: a socket listens, or other apps may hand some over.
    #[must_use]
    pub(crate) fn await_connections(&self) -> bool {
        !self.listeners.is_empty() || self.iter().any(|app| app.registration.is_some())
    }

    /// Removes the apps from the registries, so that other environments hand them no more connections and messages.
    pub(crate) fn unregister(&mut self) {
        for app in self.iter_mut() {
            (app.registration, app.membership) = (None, None);
        }
    }

    /// Waits until brokers have taken what the apps published, at most `patience` for each.
    pub(crate) fn await_sent(&self, patience: Duration) {
        let networks = self.iter().filter_map(|app| app.membership.as_ref()?.network());
        networks.for_each(|network| network.await_sent(patience));
    }

    /// Called after a listening socket was closed or a connection was handed to the app: if no more can arrive, asks
    /// the workers to report when the last one has ended.
    pub(crate) fn await_end(&mut self, number: u32, workers: &mut Workers) {
        let listens = self.listeners.iter().any(|(_, listener)| listener.app.app == number);
        let Some(app) = self.get_mut(number) else { return };
        if !listens && app.registration.is_none() && app.usage.end(workers.all().len()) {
            workers.push_to_all(|| Command::AwaitEnd { app: number });
        }
    }

    /// Counts a worker that has no connection of the app left. Returns whether none is left and none can arrive.
    pub(crate) fn note_ended(&mut self, number: u32, workers: &mut Workers) -> bool {
        let Some(app) = self.get_mut(number) else { return false };
        if !app.usage.note_worker() {
            return false;
        }
        let is_idle = app.usage == Usage::Idle;
        if !is_idle {
            self.await_end(number, workers);
        }
        is_idle
    }
}
