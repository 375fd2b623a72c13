//! `App`: routes, listening sockets, and closing all of it.

use std::io;

use socket2::Socket;

use crate::bridge::children::Children;
use crate::bridge::command::{Command, ListenOrder, SocketFile};
use crate::bridge::id::{AppId, ListenerId, WorkerId};
use crate::bridge::latch::Latch;
use crate::bridge::setup::{AppSetup, ProxySetup, SetupOrder};
use crate::bridge::sync::Arc;
use crate::io::descriptor::Registration;
use crate::io::listener::{Address, bind, identify};
use crate::io::pool::MOST_WORKERS;
use crate::node::abi::{Register, absent};
use crate::node::calls::ending::Usage;
use crate::node::calls::limits;
use crate::node::calls::stats::Stats;
use crate::node::environment::{Call, Environment, Listener};
use crate::node::error::{Misuse, code_of};
use crate::node::js::{Env, Range, Value};
use crate::node::state::apps::domains::Domains;
use crate::node::state::handles::Handle;
use crate::node::state::pending::PendingEvent;
use crate::node::state::routes::behavior::{Behavior, Route, Target};
use crate::node::state::routes::cache::Expiry;
use crate::node::state::routes::router::{HandlerId, Priority, Router, Verb};
use crate::node::turn::cached_route::CachedRoute;
use crate::node::turn::declarative::Declarative;
use crate::protocol::cause::CloseCause;
use crate::protocol::proxy::{Presence, TrustedPeers};
use crate::tls::names::DomainId;

/// One app.
pub struct App {
    /// Its routes.
    pub router: Router,
    /// How often it was closed or shut down.
    pub epoch: u32,
    /// The first epoch whose requests are served: later than those that were closed.
    first_served: u32,
    /// I/O threads that share its connections.
    threads: usize,
    /// What the workers know of it.
    pub setup: AppSetup,
    /// Its server names, and their routes.
    pub domains: Domains,
    /// The workers that share its connections; empty until the first can come.
    share: Vec<WorkerId>,
    /// Which start of the workers has heard of it (`Pool::starts`); 0 for none.
    announced: u64,
    /// Whether it may have to serve somebody.
    pub usage: Usage,
    /// Who takes over what it accepts.
    pub children: Arc<Children>,
    /// Present while it may be the child of another app.
    pub registration: Option<Registration>,
    /// What it has gone through.
    pub stats: Stats,
    /// Sockets that it was given, to spread them over the workers.
    pub adopted: usize,
    /// A WebSocket route was registered at some time: only then does `publish` do anything.
    has_websocket_route: bool,
}

impl Environment {
    /// The app of a number that `lib/` passes.
    ///
    /// # Errors
    /// There is none.
    pub fn app(&mut self, number: f64) -> Result<(u32, &mut App), Misuse> {
        let index = if number >= 0.0 { number as u32 } else { u32::MAX };
        let app = self.apps.get_mut(index).ok_or_else(Misuse::bug)?;
        Ok((index, app))
    }

    /// Routes, and returns the number of the handler that this replaces.
    fn insert_route(
        &mut self,
        app: f64,
        at: RoutePlace<'_>,
        target: Target,
    ) -> Result<(usize, Option<usize>), Misuse> {
        let (number, _) = self.app(app)?;
        let handler = self.add_route(number, target)?;
        let (_, it) = self.app(app)?;
        if it.domains.lacks_router() {
            let not_found = self.add_route(number, Target::NotFound)?;
            self.app(app)?.1.domains.add_router(Router::with_fallback(not_found));
        }
        let (_, app) = self.app(app)?;
        let replaced = app.edited_router().insert(at.verb, at.pattern, at.priority, handler);
        Ok((handler.0 as usize, replaced.map(|replaced| self.drop_route(replaced))))
    }

    fn add_route(&mut self, app: u32, target: Target) -> Result<HandlerId, Misuse> {
        let id = self.routes.insert(Route { app, target, warned: false });
        u32::try_from(id).map(HandlerId).map_err(|_| Misuse::bug())
    }

    /// Forgets a replaced route. One of a WebSocket stays: its sockets, and upgrades under way, go on using it.
    pub fn drop_route(&mut self, handler: HandlerId) -> usize {
        let id = handler.0 as usize;
        if let Some(Route { target: Target::Cached(route), .. }) = self.routes.get(id) {
            self.forget_answers(*route);
        }
        if self.routes.get(id).is_some_and(|route| !matches!(route.target, Target::WebSocket(_))) {
            self.routes.remove(id);
            self.forget_route(id);
        }
        id
    }

    /// Closes every listening socket of an app and every connection that it accepted, and waits until the workers have.
    fn close_app(&mut self, number: u32) {
        let Some(app) = self.apps.get_mut(number) else { return };
        let ended = app.end_epoch(number);
        app.first_served = app.epoch;
        let cause = CloseCause::AppClosed;
        let responses = self.exchanges.iter().filter(|(_, it)| ended.covers(it.app));
        let responses = responses.map(|(exchange, _)| PendingEvent::Abort { exchange, cause });
        let sockets = self.sockets.iter().filter(|(_, it)| ended.covers(it.app));
        let sockets = sockets.map(|(socket, _)| PendingEvent::Close { socket, cause, said: None });
        let connections = self.connections.of(ended).map(PendingEvent::ConnectionClosed);
        let events: Vec<_> = responses.chain(sockets).chain(connections).collect();
        events.into_iter().for_each(|event| self.add_pending(event));
        self.forget_listeners(ended);
        self.workers.ask_all(|done| Command::CloseApp { app: ended, done }, PATIENCE);
        self.await_end(number);
    }

    /// The listening sockets of an app are closed as far as JavaScript is concerned.
    pub fn forget_listeners(&mut self, app: AppId) {
        let listeners = self.listeners.iter().filter(|(_, it)| app.covers(it.app));
        let listeners: Vec<Handle> = listeners.map(|(handle, _)| handle).collect();
        for listener in listeners {
            self.listeners.remove(listener);
        }
    }

    /// Starts the threads that share the connections of an app, and tells every worker how to serve them: from here on
    /// connections may come, to whichever of these.
    pub fn prepare(&mut self, env: Env<'_>, app: f64) -> Result<(AppId, Vec<WorkerId>), Misuse> {
        let (number, it) = self.app(app)?;
        let (app, threads) = (AppId { app: number, epoch: it.epoch }, it.threads);
        let pool = self.workers.run(env, threads)?;
        let (workers, start) = (pool.workers().len(), pool.starts());
        let (_, it) = self.app(f64::from(number))?;
        it.usage.begin();
        if it.share.is_empty() {
            // There are at most 64 workers.
            it.share =
                (0..threads.min(workers)).map(|number| WorkerId(u8::try_from(number).unwrap_or(0))).collect();
            it.stats.share(it.share.len());
        }
        let share = it.share.clone();
        if it.announced != start {
            it.announced = start;
            self.announce(app);
        }
        Ok((app, share))
    }

    /// Tells every worker how to serve the connections of an app.
    pub fn announce(&mut self, app: AppId) {
        let Some(it) = self.apps.get(app.app) else { return };
        let (setup, tallies) = (&it.setup, it.stats.tallies());
        let order = || {
            let (setup, tallies) = (setup.clone(), Arc::clone(&tallies));
            Command::SetUpApp(Box::new(SetupOrder { app, setup, tallies }))
        };
        self.workers.to_all(order);
    }

    /// Binds a socket and accepts on it.
    pub fn listen(&mut self, env: Env<'_>, number: f64, address: Address) -> Result<Handle, Misuse> {
        self.app(number)?;
        let (socket, port) = bind(&address).map_err(|error| refused(&address, &error))?;
        let file = match address {
            Address::Tcp { .. } => None,
            Address::Unix(path, _) => Some(SocketFile { identity: identify(&path), path }),
        };
        self.accept_on(env, number, socket, port, file)
    }

    /// Accepts on a socket that listens. `file` is to be removed when it closes.
    pub fn accept_on(
        &mut self,
        env: Env<'_>,
        number: f64,
        socket: Socket,
        port: u16,
        file: Option<SocketFile>,
    ) -> Result<Handle, Misuse> {
        let (app, share) = self.prepare(env, number)?;
        let id = ListenerId(self.next_listener);
        self.next_listener = self.next_listener.wrapping_add(1);
        // Accepting goes round, so that several listening sockets do not all burden the first worker.
        let worker = share[id.0 as usize % share.len()];
        let handle = self
            .listeners
            .insert(Listener { id, app, worker, port })
            .map_err(|_| Misuse::invalid_state("too many sockets are listening"))?;
        let children = Arc::clone(&self.app(number)?.1.children);
        let order = ListenOrder { socket, listener: id, app, share, children, file };
        self.workers.push(worker, Command::Listen(Box::new(order)));
        self.workers.settle();
        self.update_liveness(env);
        Ok(handle)
    }
}

/// Where a route goes.
struct RoutePlace<'a> {
    verb: Verb<'a>,
    pattern: &'a str,
    priority: Priority,
}

/// `appNew(threads, limits, maxBufferedOutput)`: returns the app's number.
pub fn new<'c>(call: &Call<'c>) -> Result<Value<'c>, Misuse> {
    let env = call.env();
    let range = Range { min: 1, max: MOST_WORKERS as u64, default: default_threads() as u64 };
    // The range fits.
    let threads = call.integer(0, "threads", range)? as usize;
    let limits = Arc::new(limits::parse(env, call.argument(1))?);
    let max_buffered_output = limits::max_buffered_output(env, call.argument(2))?;
    let mut environment = call.environment()?;
    let number = environment.apps.insert(|epoch| App {
        router: Router::default(),
        epoch,
        first_served: epoch,
        threads,
        setup: AppSetup { limits, max_buffered_output, ..AppSetup::default() },
        domains: Domains::default(),
        share: Vec::new(),
        announced: 0,
        usage: Usage::default(),
        children: Arc::default(),
        registration: None,
        stats: Stats::start(),
        adopted: 0,
        has_websocket_route: false,
    });
    let not_found = environment.add_route(number, Target::NotFound)?;
    let app = f64::from(number);
    environment.app(app)?.1.router = Router::with_fallback(not_found);
    Ok(env.from_number(app))
}

/// One thread for a machine of one or two cores, at most four: Node's thread needs a core, too.
pub fn default_threads() -> usize {
    std::thread::available_parallelism().map_or(1, |cores| (cores.get() - 1).clamp(1, 4))
}

/// `appRoute(app, method, pattern)`: returns the handler's number; the register `REPLACED` holds the number of the handler
/// that it replaces, or `NONE`.
pub fn route<'c>(call: &Call<'c>) -> Result<Value<'c>, Misuse> {
    let (method, pattern) = (call.text(1)?, call.text(2)?);
    let mut environment = call.environment()?;
    let place = RoutePlace { verb: verb(&method), pattern: &pattern, priority: Priority::Normal };
    let (id, replaced) = environment.insert_route(call.number(0), place, Target::Handler)?;
    environment.registers.set(Register::Replaced, number_of(replaced));
    Ok(call.env().from_number(id as f64))
}

/// `appCached(app, pattern, lowerExpiry, upperExpiry)`: as `appRoute` for GET, but what is answered is kept for a while.
pub fn cached<'c>(call: &Call<'c>) -> Result<Value<'c>, Misuse> {
    let pattern = call.text(1)?;
    let expiry = Expiry::parse(call.env(), call.argument(2), call.argument(3))?;
    let mut environment = call.environment()?;
    environment.cached_routes += 1;
    let target = Target::Cached(CachedRoute { serial: environment.cached_routes, expiry });
    let place = RoutePlace { verb: Verb::Method("GET"), pattern: &pattern, priority: Priority::Normal };
    let (id, replaced) = environment.insert_route(call.number(0), place, target)?;
    environment.registers.set(Register::Replaced, number_of(replaced));
    Ok(call.env().from_number(id as f64))
}

/// `appDeclarative(app, method, pattern, response)`: as `appRoute`, for a response that needs no handler.
pub fn declarative<'c>(call: &Call<'c>) -> Result<Value<'c>, Misuse> {
    let (method, pattern) = (call.text(1)?, call.text(2)?);
    let bytes = call.bytes(3)?;
    let target = Target::Declarative(Box::new(Declarative::parse(&bytes)?));
    let mut environment = call.environment()?;
    let place = RoutePlace { verb: verb(&method), pattern: &pattern, priority: Priority::Normal };
    let (id, replaced) = environment.insert_route(call.number(0), place, target)?;
    environment.registers.set(Register::Replaced, number_of(replaced));
    Ok(call.env().from_number(id as f64))
}

/// `appUnroute(app, method, pattern)`: returns the number of the handler that this removes, or `NONE`.
pub fn unroute<'c>(call: &Call<'c>) -> Result<Value<'c>, Misuse> {
    let (method, pattern) = (call.text(1)?, call.text(2)?);
    let mut environment = call.environment()?;
    let (_, app) = environment.app(call.number(0))?;
    if app.domains.lacks_router() {
        return Ok(call.env().from_number(absent::NONE));
    }
    let removed = app.edited_router().remove(verb(&method), &pattern, Priority::Normal);
    let removed = removed.map(|handler| environment.drop_route(handler));
    Ok(call.env().from_number(number_of(removed)))
}

/// The number of a handler, for JavaScript.
fn number_of(handler: Option<usize>) -> f64 {
    handler.map_or(absent::NONE, |id| id as f64)
}

/// `appWebSocket(app, pattern, settings, handlers)`: as `appRoute`, for a WebSocket route.
pub fn websocket<'c>(call: &Call<'c>) -> Result<Value<'c>, Misuse> {
    let pattern = call.text(1)?;
    let behavior = Behavior::parse(call.env(), call.argument(2), call.argument(3))?;
    let mut environment = call.environment()?;
    let place = RoutePlace { verb: Verb::Method("GET"), pattern: &pattern, priority: Priority::WebSocket };
    let target = Target::WebSocket(Box::new(behavior));
    let (id, replaced) = environment.insert_route(call.number(0), place, target)?;
    environment.app(call.number(0))?.1.has_websocket_route = true;
    environment.registers.set(Register::Replaced, number_of(replaced));
    Ok(call.env().from_number(id as f64))
}

/// `appProxy(app, required, entries)`: reads headers of the PROXY protocol from the peers that these entries, separated
/// by commas, name.
pub fn trust_proxies<'c>(call: &Call<'c>) -> Result<Value<'c>, Misuse> {
    let presence = if call.truthy(1) { Presence::Required } else { Presence::Optional };
    let (entries, mut trust) = (call.text(2)?, TrustedPeers::default());
    for entry in entries.split(',') {
        if !trust.add(entry) {
            let text = format!(
                "proxyProtocol.trust must hold addresses, networks in CIDR notation, or 'unix'; it holds {entry:?}"
            );
            return Err(Misuse::invalid_value(text));
        }
    }
    let mut environment = call.environment()?;
    environment.app(call.number(0))?.1.setup.proxy = Some(ProxySetup { trust, presence });
    Ok(Value::UNDEFINED)
}

fn verb(method: &str) -> Verb<'_> {
    if method.is_empty() { Verb::Any } else { Verb::Method(method) }
}

/// `appListen(app, host, port, options)`: returns the handle of the listening socket.
pub fn listen<'c>(call: &Call<'c>) -> Result<Value<'c>, Misuse> {
    let env = call.env();
    let host = call.optional_text(1)?.filter(|host| !host.is_empty());
    let port = call.port(2)?;
    let exclusive = env.number(call.argument(3)).is_some_and(|options| options as u32 & EXCLUSIVE_PORT != 0);
    let address = Address::Tcp { host, port, exclusive };
    let handle = call.environment()?.listen(env, call.number(0), address)?;
    Ok(env.from_number(handle.to_number()))
}

/// `listenerClose(listener)`: the port is free on return. Nothing if it is closed already: who ends a program twice means no
/// harm.
pub fn close_listener<'c>(call: &Call<'c>) -> Result<Value<'c>, Misuse> {
    let mut guard = call.environment()?;
    let environment = &mut *guard;
    let handle = call.handle::<Handle>(0);
    let Some(listener) = handle.and_then(|handle| environment.listeners.remove(handle)) else {
        return Ok(Value::UNDEFINED);
    };
    // A socket that listens keeps the threads running, so somebody releases this.
    let done = Arc::new(Latch::new(1));
    let command = Command::StopListening { listener: listener.id, done: Arc::clone(&done) };
    environment.workers.push(listener.worker, command);
    environment.workers.flush();
    done.wait(PATIENCE);
    environment.await_end(listener.app.app);
    environment.update_liveness(call.env());
    Ok(Value::UNDEFINED)
}

/// `listenerPort(listener)`: −1 if it is closed, and for a Unix socket.
pub fn listener_port<'c>(call: &Call<'c>) -> Result<Value<'c>, Misuse> {
    let environment = call.environment()?;
    let listener = call.handle::<Handle>(0).and_then(|handle| environment.listeners.get(handle).copied());
    let port = listener.map(|listener| listener.port).filter(|port| *port != 0);
    Ok(call.env().from_number(port.map_or(-1.0, f64::from)))
}

/// `appClose(app)`: closes; returns the place of the first event for `told`.
pub fn close<'c>(call: &Call<'c>) -> Result<Value<'c>, Misuse> {
    let mut environment = call.environment()?;
    let (number, _) = environment.app(call.number(0))?;
    let mark = environment.pending.len();
    environment.close_app(number);
    environment.update_liveness(call.env());
    Ok(call.env().from_number(mark as f64))
}

impl App {
    /// The routes for a request to this server name: its own if it has any, or else those of the app.
    #[must_use]
    pub fn router_of(&self, domain: Option<DomainId>) -> &Router {
        domain.and_then(|domain| self.domains.router(domain)).unwrap_or(&self.router)
    }

    /// The routes that the methods of the app add and remove (`app.domain()`).
    fn edited_router(&mut self) -> &mut Router {
        self.domains.selected_router().unwrap_or(&mut self.router)
    }

    /// Whether requests of connections that were accepted in this epoch are served.
    #[must_use]
    pub const fn serves(&self, epoch: u32) -> bool {
        epoch >= self.first_served && epoch <= self.epoch
    }

    /// What is accepted from now on is not the business of the `close` or `shutdown` under way, which is about what is
    /// returned.
    pub fn end_epoch(&mut self, number: u32) -> AppId {
        // First: nobody hands it connections any more that would not end with this epoch.
        self.registration = None;
        let ended = AppId { app: number, epoch: self.epoch };
        self.epoch = self.epoch.wrapping_add(1);
        ended
    }
}

/// `appPublish(app, topic, message, isBinary, compress)`
pub fn publish<'c>(call: &Call<'c>) -> Result<Value<'c>, Misuse> {
    if call.count() < 3 {
        return Err(Misuse::missing_args(2));
    }
    let mut environment = call.environment()?;
    let (number, app) = environment.app(call.number(0))?;
    let published = app.has_websocket_route && environment.publish(call, number, None, 1)?;
    Ok(call.env().from_bool(published))
}

/// `appSubscribers(app, topic)`
pub fn subscribers<'c>(call: &Call<'c>) -> Result<Value<'c>, Misuse> {
    let topic = call.bytes(1)?;
    let mut environment = call.environment()?;
    let (number, _) = environment.app(call.number(0))?;
    let count = environment.pubsub.count(number, &topic);
    Ok(call.env().from_number(f64::from(count)))
}

fn refused(address: &Address, error: &io::Error) -> Misuse {
    let place = match address {
        Address::Tcp { host, port, .. } => format!("{}:{port}", host.as_deref().unwrap_or("*")),
        Address::Unix(path, _) => path.display().to_string(),
    };
    let code = code_of(error);
    Misuse::system(code, format!("listen {code}: {error}: {place}"))
}

/// `LIBUS_LISTEN_EXCLUSIVE_PORT`
const EXCLUSIVE_PORT: u32 = 1;
/// How long to wait for a worker to close its sockets. A pass takes microseconds; a second means that the machine hangs.
pub const PATIENCE: std::time::Duration = std::time::Duration::from_secs(1);
