//! Connections that no worker of the app has accepted: sockets that JavaScript owns, and those that an acceptor app
//! hands to its children.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::AtomicUsize;

use socket2::Socket;

use crate::bridge::command::{Adoption, Command};
use crate::bridge::id::Descriptor;
use crate::bridge::latch::Latch;
use crate::bridge::sync::Arc;
use crate::io::descriptor::{Home, Registration, is_known};
use crate::node::environment::{Call, Environment};
use crate::node::error::{Misuse, code_of};
use crate::node::js::{Env, Range, Type, Value};
use crate::node::state::apps::app::PATIENCE;
use crate::node::turn::liveness;

/// `appAdopt(app, fd, ip)`: serves a copy of a connected socket. The caller's descriptor stays the caller's.
pub(crate) fn adopt<'c>(call: &Call<'c>) -> Result<Value<'c>, Misuse> {
    let env = call.env();
    let number = descriptor_number(call, 1)?;
    let ip = address_argument(env, call.argument(2))?;
    let mut environment = call.environment()?;
    environment.apps.app(call.number(0))?.1.check_tcp()?;
    let (socket, port) = take(number).map_err(|error| refused(number, &error))?;
    let address = ip.map(|ip| SocketAddr::new(ip, port));
    hand_to_worker(&mut environment, env, call.number(0), socket, address)?;
    Ok(Value::UNDEFINED)
}

/// The argument `fd`.
pub(crate) fn descriptor_number(call: &Call<'_>, index: usize) -> Result<u32, Misuse> {
    descriptor_of(call.env(), call.argument(index))
}

/// The same of a value.
pub(crate) fn descriptor_of(env: Env<'_>, value: Value<'_>) -> Result<u32, Misuse> {
    // The range fits.
    env.required_integer(value, "fd", FD).map(|number| number as u32)
}

/// A copy of the descriptor of a connected socket, and the peer's port.
#[cfg(unix)]
pub(crate) fn take(number: u32) -> io::Result<(Socket, u16)> {
    crate::io::adoption::inspect(crate::node::system::duplicate(number)?)
}

/// Sockets are no descriptors on this system.
#[cfg(not(unix))]
pub(crate) fn take(_: u32) -> io::Result<(Socket, u16)> {
    Err(io::ErrorKind::Unsupported.into())
}

fn refused(number: u32, error: &io::Error) -> Misuse {
    if (error.kind(), error.raw_os_error()) == (io::ErrorKind::InvalidInput, None) {
        return Misuse::invalid_value(format!("fd {number} must be a TCP or a Unix stream socket"));
    }
    let code = os_code(error);
    Misuse::system(code, format!("adoptSocket {code}: {error}: fd {number}"))
}

/// Node's code for the error that a descriptor is not a usable socket.
pub(crate) fn os_code(error: &io::Error) -> &'static str {
    match (error.kind(), error.raw_os_error()) {
        (io::ErrorKind::NotConnected, _) => "ENOTCONN",
        (_, Some(9)) => "EBADF",
        (_, Some(NOT_SOCKET)) => "ENOTSOCK",
        _ => code_of(error),
    }
}

/// An IP address as text, or its 4 or 16 bytes.
pub(crate) fn address_argument(env: Env<'_>, value: Value<'_>) -> Result<Option<IpAddr>, Misuse> {
    let kind = env.type_of(value);
    if kind == Type::Nothing {
        return Ok(None);
    }
    let bytes = env.bytes(value)?;
    let address = match (kind, &bytes[..]) {
        (Type::String, text) => std::str::from_utf8(text).ok().and_then(|text| text.parse().ok()),
        (_, bytes) => <[u8; 4]>::try_from(bytes)
            .map(IpAddr::from)
            .or_else(|_| <[u8; 16]>::try_from(bytes).map(IpAddr::from))
            .ok(),
    };
    address
        .map(Some)
        .ok_or_else(|| Misuse::invalid_value("ip must be an IP address: text, or the 4 or 16 bytes of one"))
}

/// `appDescriptor(app)`: the number by which apps of other environments may hand it connections, until it is closed.
pub(crate) fn descriptor<'c>(call: &Call<'c>) -> Result<Value<'c>, Misuse> {
    let mut environment = call.environment()?;
    let descriptor = register(&mut environment, call.env(), call.number(0))?;
    liveness::update(&mut environment, call.env());
    // It has 53 bits.
    Ok(call.env().from_number(descriptor.0 as f64))
}

/// `appAddChild(app, descriptor)`: hands connections to another app, in turn with its other children.
pub(crate) fn add_child<'c>(call: &Call<'c>) -> Result<Value<'c>, Misuse> {
    let child = descriptor_argument(call, 1)?.filter(|child| is_known(*child));
    let mut environment = call.environment()?;
    let (_, app) = environment.apps.app(call.number(0))?;
    let child = child.ok_or_else(|| {
        Misuse::invalid_state(
            "no app has this descriptor: it is foreign, or its app or thread has been closed",
        )
    })?;
    app.children.add(child);
    Ok(Value::UNDEFINED)
}

/// `appRemoveChild(app, descriptor)`: nothing if that is not one of its children, as after it was closed.
pub(crate) fn remove_child<'c>(call: &Call<'c>) -> Result<Value<'c>, Misuse> {
    let child = descriptor_argument(call, 1)?;
    let mut environment = call.environment()?;
    let (_, app) = environment.apps.app(call.number(0))?;
    if let Some(child) = child {
        app.children.remove(child);
    }
    Ok(Value::UNDEFINED)
}

/// `None` for numbers that are no descriptors.
fn descriptor_argument(call: &Call<'_>, index: usize) -> Result<Option<Descriptor>, Misuse> {
    let number = call.env().number(call.argument(index));
    let number = number.ok_or_else(|| Misuse::invalid_type("descriptor must be a number"))?;
    // The cast saturates and truncates; a number that it changes is no descriptor.
    let bits = number as u64;
    Ok((bits as f64 == number && bits <= MAX_DESCRIPTOR).then_some(Descriptor(bits)))
}

/// Registers an app with the process, unless it is registered.
fn register(environment: &mut Environment, env: Env<'_>, number: f64) -> Result<Descriptor, Misuse> {
    let Environment { apps, workers, .. } = environment;
    apps.app(number)?.1.check_tcp()?;
    if let Some(registration) = &apps.app(number)?.1.registration {
        return Ok(registration.descriptor());
    }
    let (app, share) = apps.prepare(env, number, workers)?;
    let peers = Arc::clone(workers.threads()?.pool.peers());
    let registration = Registration::new(Home { peers, app, share, turn: AtomicUsize::new(0) });
    let descriptor = registration.descriptor();
    apps.app(number)?.1.registration = Some(registration);
    Ok(descriptor)
}

/// Gives a socket to the next worker of an app, and waits until that counts it: if no socket listens, Node would
/// otherwise exit.
fn hand_to_worker(
    environment: &mut Environment,
    env: Env<'_>,
    number: f64,
    socket: Socket,
    address: Option<SocketAddr>,
) -> Result<(), Misuse> {
    let Environment { apps, workers, .. } = environment;
    let (id, share) = apps.prepare(env, number, workers)?;
    let (_, app) = apps.app(number)?;
    let share = workers.preferred(&share);
    let worker = share[app.adopted % share.len()];
    app.adopted = app.adopted.wrapping_add(1);
    let done = Arc::new(Latch::new(1));
    let adoption = Adoption { socket, app: id, address, takeover: None, done: Some(Arc::clone(&done)) };
    workers.push(worker, Command::AdoptConnection(Box::new(adoption)));
    workers.flush();
    workers.wait_for(&done, PATIENCE);
    apps.await_end(id.app, workers);
    liveness::update(environment, env);
    Ok(())
}

/// The numbers that a descriptor may have.
const FD: Range = Range { min: 0, max: 2_147_483_647, default: 0 };
/// The largest descriptor of an app.
const MAX_DESCRIPTOR: u64 = (1 << 53) - 1;
/// `ENOTSOCK`, on Linux and on macOS and the BSDs.
const NOT_SOCKET: i32 = if cfg!(target_os = "linux") { 88 } else { 38 };
