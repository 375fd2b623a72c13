//! The routes of an app.

use std::rc::Rc;
use std::time::Duration;

use crate::node::abi::{Register, absent};
use crate::node::environment::{Call, Environment};
use crate::node::error::Misuse;
use crate::node::js::{Env, Type, Value};
use crate::node::state::routes::Target;
use crate::node::state::routes::behavior::Behavior;
use crate::node::state::routes::cache::Expiry;
use crate::node::state::routes::declarative::Declarative;
use crate::node::state::routes::router::{HandlerId, Priority, Router, Verb};
use crate::node::turn::request;

/// `appRoute(app, method, pattern)`: returns the handler's number; the register `REPLACED` holds the number of the
/// handler that it replaces, or `NONE`.
pub(crate) fn route<'c>(call: &Call<'c>) -> Result<Value<'c>, Misuse> {
    let (method, pattern) = (call.text(1)?, call.text(2)?);
    let mut environment = call.environment()?;
    let place = RoutePlace { verb: verb(&method), pattern: &pattern, priority: Priority::Normal };
    let (id, replaced) = insert(&mut environment, call.number(0), place, Target::Handler)?;
    environment.registers.set(Register::Replaced, number_of(replaced));
    Ok(call.env().from_number(id as f64))
}

/// `appCached(app, pattern, lowerExpiry, upperExpiry)`: as `appRoute` for GET, with responses that are cached for a
/// while.
pub(crate) fn cached<'c>(call: &Call<'c>) -> Result<Value<'c>, Misuse> {
    let pattern = call.text(1)?;
    let expiry = expiry_arguments(call)?;
    let mut environment = call.environment()?;
    let target = Target::Cached(environment.routes.new_cached(expiry));
    let place = RoutePlace { verb: Verb::Method("GET"), pattern: &pattern, priority: Priority::Normal };
    let (id, replaced) = insert(&mut environment, call.number(0), place, target)?;
    environment.registers.set(Register::Replaced, number_of(replaced));
    Ok(call.env().from_number(id as f64))
}

/// `appDeclarative(app, method, pattern, response)`: as `appRoute`, for a response that needs no handler.
pub(crate) fn declarative<'c>(call: &Call<'c>) -> Result<Value<'c>, Misuse> {
    let (method, pattern) = (call.text(1)?, call.text(2)?);
    let bytes = call.bytes(3)?;
    let target = Target::Declarative(Box::new(Declarative::parse(&bytes)?));
    let mut environment = call.environment()?;
    let place = RoutePlace { verb: verb(&method), pattern: &pattern, priority: Priority::Normal };
    let (id, replaced) = insert(&mut environment, call.number(0), place, target)?;
    environment.registers.set(Register::Replaced, number_of(replaced));
    Ok(call.env().from_number(id as f64))
}

/// `appUnroute(app, method, pattern)`: returns the number of the handler that this removes, or `NONE`.
pub(crate) fn unroute<'c>(call: &Call<'c>) -> Result<Value<'c>, Misuse> {
    let (method, pattern) = (call.text(1)?, call.text(2)?);
    let mut environment = call.environment()?;
    let (_, app) = environment.apps.app(call.number(0))?;
    if app.domains.lacks_router() {
        return Ok(call.env().from_number(absent::NONE));
    }
    let removed = app.edited_router().remove(verb(&method), &pattern, Priority::Normal);
    let removed = removed.map(|handler| drop_route(&mut environment, handler));
    Ok(call.env().from_number(number_of(removed)))
}

/// The number of a handler, for JavaScript.
fn number_of(handler: Option<usize>) -> f64 {
    handler.map_or(absent::NONE, |id| id as f64)
}

/// `appWebSocket(app, pattern, settings, handlers)`: as `appRoute`, for a WebSocket route.
pub(crate) fn websocket<'c>(call: &Call<'c>) -> Result<Value<'c>, Misuse> {
    let pattern = call.text(1)?;
    let behavior = Behavior::parse(call.env(), call.argument(2), call.argument(3))?;
    let mut environment = call.environment()?;
    let place = RoutePlace { verb: Verb::Method("GET"), pattern: &pattern, priority: Priority::WebSocket };
    let target = Target::WebSocket(Rc::new(behavior));
    let (id, replaced) = insert(&mut environment, call.number(0), place, target)?;
    environment.apps.app(call.number(0))?.1.has_websocket_route = true;
    environment.registers.set(Register::Replaced, number_of(replaced));
    Ok(call.env().from_number(id as f64))
}

fn verb(method: &str) -> Verb<'_> {
    if method.is_empty() { Verb::Any } else { Verb::Method(method) }
}

/// The tree that a route belongs to, and its pattern.
struct RoutePlace<'a> {
    verb: Verb<'a>,
    pattern: &'a str,
    priority: Priority,
}

/// Inserts a route. Returns the number of its handler, and that of the handler that it replaces.
fn insert(
    environment: &mut Environment,
    app: f64,
    at: RoutePlace<'_>,
    target: Target,
) -> Result<(usize, Option<usize>), Misuse> {
    let (number, app) = environment.apps.app(app)?;
    let handler = environment.routes.add(number, target)?;
    if app.domains.lacks_router() {
        let not_found = environment.routes.add(number, Target::NotFound)?;
        app.domains.add_router(Router::with_fallback(not_found));
    }
    let replaced = app.edited_router().insert(at.verb, at.pattern, at.priority, handler);
    Ok((handler.0 as usize, replaced.map(|replaced| drop_route(environment, replaced))))
}

/// Removes a route that no request can reach any more. Returns its number.
pub(crate) fn drop_route(environment: &mut Environment, handler: HandlerId) -> usize {
    let route = handler.0 as usize;
    if environment.routes.drop(route) {
        request::forget_route(environment, route);
    }
    route
}

/// The options `lowerExpiry` and `upperExpiry` of `get`.
fn expiry_arguments(call: &Call<'_>) -> Result<Expiry, Misuse> {
    let lower = seconds(call.env(), call.argument(2), "lowerExpiry", Duration::ZERO)?;
    let upper = seconds(call.env(), call.argument(3), "upperExpiry", lower)?;
    if upper < lower {
        return Err(Misuse::out_of_range("upperExpiry must not be less than lowerExpiry"));
    }
    Ok(Expiry { lower, upper })
}

fn seconds(env: Env<'_>, value: Value<'_>, name: &str, default: Duration) -> Result<Duration, Misuse> {
    if env.type_of(value) == Type::Nothing {
        return Ok(default);
    }
    let Some(number) = env.number(value) else {
        return Err(Misuse::invalid_type(format!("{name} must be a number")));
    };
    if !(0.0..=MAX_SECONDS).contains(&number) {
        let text = format!("{name} must be a number of seconds from 0 to {MAX_SECONDS}, got {number}");
        return Err(Misuse::out_of_range(text));
    }
    Ok(Duration::from_secs_f64(number))
}

/// The longest expiry: a year.
const MAX_SECONDS: f64 = 31_536_000.0;
