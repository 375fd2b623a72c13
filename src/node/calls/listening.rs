//! Listening sockets: TCP ports, Unix sockets, and sockets that another program has bound.

use std::io;
use std::path::PathBuf;

use socket2::Socket;

use crate::bridge::command::{Command, ListenOrder, SocketFile};
use crate::bridge::latch::Latch;
use crate::bridge::quic::{PortShare, QuicOrder};
use crate::bridge::sync::Arc;
use crate::io::listener::{Access, Address, Group, bind, bind_udp, identify};
use crate::node::abi::listen_option;
use crate::node::calls::adoption::{descriptor_number, os_code};
use crate::node::environment::{Call, Environment};
use crate::node::error::{Misuse, code_of};
use crate::node::js::{Env, Range, Type, Value};
use crate::node::state::apps::app::PATIENCE;
use crate::node::state::handles::JsHandle;
use crate::node::turn::liveness;

/// `appListen(app, host, port, options)`: returns the handle of the listening socket.
pub(crate) fn listen<'c>(call: &Call<'c>) -> Result<Value<'c>, Misuse> {
    let env = call.env();
    let host = call.optional_text(1)?.filter(|host| !host.is_empty());
    let port = call.port(2)?;
    let exclusive = env
        .number(call.argument(3))
        .is_some_and(|options| options as u32 & listen_option::EXCLUSIVE_PORT as u32 != 0);
    let mut environment = call.environment()?;
    let setup = &environment.apps.app(call.number(0))?.1.setup;
    let handle = match (setup.http3.is_some(), setup.speaks_tcp) {
        (false, _) => {
            let address = Address::Tcp { host, port, exclusive };
            listen_on(&mut environment, env, call.number(0), address)?
        }
        (true, has_tcp) => {
            let host = host.as_deref();
            listen_on_both(&mut environment, env, call.number(0), (host, port, exclusive), has_tcp)?
        }
    };
    Ok(env.from_number(handle.to_number()))
}

/// Binds a UDP socket for HTTP/3 and, if the app `has_tcp`, a TCP socket to the same port.
fn listen_on_both(
    environment: &mut Environment,
    env: Env<'_>,
    number: f64,
    (host, port, exclusive): (Option<&str>, u16, bool),
    has_tcp: bool,
) -> Result<JsHandle, Misuse> {
    let address = |port| Address::Tcp { host: host.map(str::to_owned), port, exclusive };
    let mut attempts = if port == 0 { ATTEMPTS } else { 1 };
    let (tcp, udp, port) = loop {
        attempts -= 1;
        let tcp = has_tcp.then(|| bind(&address(port))).transpose();
        let tcp = tcp.map_err(|error| refused(&address(port), &error))?;
        // The port that the system chose for TCP may be in use by UDP.
        let wanted = tcp.as_ref().map_or(port, |(_, port)| *port);
        match bind_udp(host, wanted, exclusive) {
            Ok((udp, port)) => break (tcp.map(|(socket, _)| socket), udp, port),
            Err(error) if attempts == 0 || error.kind() != io::ErrorKind::AddrInUse => {
                return Err(refused(&address(wanted), &error));
            }
            Err(_) => {}
        }
    };
    if has_tcp {
        // Before any connection is accepted.
        environment.apps.offer_http3(number, port, &mut environment.workers)?;
    }
    let (app, share) = environment.apps.prepare(env, number, &mut environment.workers)?;
    let (handle, listener) =
        environment.apps.add_listener(app, environment.workers.preferred(&share), port)?;
    let ports = Arc::new(PortShare::new(share.clone(), listener.worker));
    for worker in &share {
        let failure = |error: io::Error| refused(&address(port), &error);
        let socket = udp.try_clone().map_err(failure)?;
        let order = QuicOrder { socket, listener: listener.id, app, share: Arc::clone(&ports) };
        environment.workers.push(*worker, Command::ListenQuic(Box::new(order)));
    }
    if let Some(socket) = tcp {
        let children = Arc::clone(&environment.apps.app(number)?.1.children);
        let order = ListenOrder { socket, listener: listener.id, app, share, children, file: None };
        environment.workers.push(listener.worker, Command::Listen(Box::new(order)));
    }
    environment.workers.settle();
    liveness::update(environment, env);
    Ok(handle)
}

/// `listenerClose(listener)`: the port is free on return. Does nothing if it is closed already, so that closing twice
/// is no error.
pub(crate) fn close<'c>(call: &Call<'c>) -> Result<Value<'c>, Misuse> {
    let mut guard = call.environment()?;
    let environment = &mut *guard;
    let handle = call.handle::<JsHandle>(0);
    let Some(listener) = handle.and_then(|handle| environment.apps.remove_listener(handle)) else {
        return Ok(Value::UNDEFINED);
    };
    // A socket that listens keeps the threads running, so its worker releases the latch.
    let done = Arc::new(Latch::new(1));
    let command = Command::StopListening { listener: listener.id, done: Arc::clone(&done) };
    environment.workers.push(listener.worker, command);
    environment.workers.flush();
    environment.workers.wait_for(&done, PATIENCE);
    environment.apps.await_end(listener.app.app, &mut environment.workers);
    liveness::update(environment, call.env());
    Ok(Value::UNDEFINED)
}

/// `listenerPort(listener)`: −1 if it is closed, and for a Unix socket.
pub(crate) fn port<'c>(call: &Call<'c>) -> Result<Value<'c>, Misuse> {
    let environment = call.environment()?;
    let listener = call.handle::<JsHandle>(0).and_then(|handle| environment.apps.listener(handle).copied());
    let port = listener.map(|listener| listener.port).filter(|port| *port != 0);
    Ok(call.env().from_number(port.map_or(-1.0, f64::from)))
}

/// Binds a socket and accepts on it.
fn listen_on(
    environment: &mut Environment,
    env: Env<'_>,
    number: f64,
    address: Address,
) -> Result<JsHandle, Misuse> {
    environment.apps.app(number)?.1.check_tcp()?;
    let (socket, port) = bind(&address).map_err(|error| refused(&address, &error))?;
    let file = match address {
        Address::Tcp { .. } => None,
        Address::Unix(path, _) => Some(SocketFile { identity: identify(&path), path }),
    };
    accept_on(environment, env, number, socket, port, file)
}

/// Accepts on a socket that listens. `file` is removed when it closes.
fn accept_on(
    environment: &mut Environment,
    env: Env<'_>,
    number: f64,
    socket: Socket,
    port: u16,
    file: Option<SocketFile>,
) -> Result<JsHandle, Misuse> {
    let (app, share) = environment.apps.prepare(env, number, &mut environment.workers)?;
    let (handle, listener) =
        environment.apps.add_listener(app, environment.workers.preferred(&share), port)?;
    let children = Arc::clone(&environment.apps.app(number)?.1.children);
    let order = ListenOrder { socket, listener: listener.id, app, share, children, file };
    environment.workers.push(listener.worker, Command::Listen(Box::new(order)));
    environment.workers.settle();
    liveness::update(environment, env);
    Ok(handle)
}

fn refused(address: &Address, error: &io::Error) -> Misuse {
    let place = match address {
        Address::Tcp { host, port, .. } => format!("{}:{port}", host.as_deref().unwrap_or("*")),
        Address::Unix(path, _) => path.display().to_string(),
    };
    let code = code_of(error);
    Misuse::system(code, format!("listen {code}: {error}: {place}"))
}

/// `appListenUnix(app, path, mode, group)`: returns the handle of the listening socket.
pub(crate) fn listen_unix<'c>(call: &Call<'c>) -> Result<Value<'c>, Misuse> {
    let path = call.text(1)?;
    if path.is_empty() || path.contains('\0') {
        return Err(Misuse::invalid_type("path must be a non-empty string without NUL"));
    }
    let access = access_arguments(call)?;
    let address = Address::Unix(PathBuf::from(path), access);
    let handle = listen_on(&mut *call.environment()?, call.env(), call.number(0), address)?;
    Ok(call.env().from_number(handle.to_number()))
}

fn access_arguments(call: &Call<'_>) -> Result<Access, Misuse> {
    let (env, group) = (call.env(), call.argument(3));
    // The range fits.
    let mode = call.integer(2, "mode", MODE)? as u32;
    let group = match env.type_of(group) {
        Type::Nothing => None,
        Type::Number => Some(Group::Number(call.integer(3, "group", GROUP)? as u32)),
        Type::String => Some(Group::Name(call.text(3)?)),
        Type::Boolean | Type::Other => {
            return Err(Misuse::invalid_type("group must be a string or a number"));
        }
    };
    Ok(Access { mode, group })
}

/// `appListenDescriptor(app, fd)`: accepts on a copy of a socket that another program has bound. The caller's
/// descriptor stays the caller's. Returns the handle of the listening socket.
pub(crate) fn listen_descriptor<'c>(call: &Call<'c>) -> Result<Value<'c>, Misuse> {
    let number = descriptor_number(call, 1)?;
    let mut environment = call.environment()?;
    environment.apps.app(call.number(0))?.1.check_tcp()?;
    let (socket, port) = take(number).map_err(|error| descriptor_refused(number, &error))?;
    let handle = accept_on(&mut environment, call.env(), call.number(0), socket, port, None)?;
    Ok(call.env().from_number(handle.to_number()))
}

#[cfg(unix)]
fn take(number: u32) -> io::Result<(Socket, u16)> {
    crate::io::listener::inspect(crate::node::system::duplicate(number)?)
}

/// Sockets are no descriptors on this system.
#[cfg(not(unix))]
fn take(_: u32) -> io::Result<(Socket, u16)> {
    Err(io::ErrorKind::Unsupported.into())
}

fn descriptor_refused(number: u32, error: &io::Error) -> Misuse {
    if (error.kind(), error.raw_os_error()) == (io::ErrorKind::InvalidInput, None) {
        let text = format!("listen EINVAL: fd {number} must be a TCP or a Unix stream socket");
        return Misuse::system("EINVAL", text);
    }
    let code = os_code(error);
    Misuse::system(code, format!("listen {code}: {error}: fd {number}"))
}

/// How often to try to get a port that is free for TCP and for UDP.
const ATTEMPTS: u32 = 16;
/// Permissions of the file of a Unix socket; by default its owner's only.
const MODE: Range = Range { min: 0, max: 0o777, default: 0o700 };
/// A group id; the largest number means none.
const GROUP: Range = Range { min: 0, max: u32::MAX as u64 - 1, default: 0 };
