//! Listening on what is no TCP port of our own: Unix sockets, and sockets that somebody else has bound.

use std::io;
use std::path::PathBuf;

use socket2::Socket;

use crate::io::listener::{Access, Address, Group};
use crate::node::calls::adoption::{descriptor_number, os_code};
use crate::node::environment::Call;
use crate::node::error::Misuse;
use crate::node::js::{Range, Type, Value};

/// `appListenUnix(app, path, mode, group)`: returns the handle of the listening socket.
pub fn listen_unix<'c>(call: &Call<'c>) -> Result<Value<'c>, Misuse> {
    let path = call.text(1)?;
    if path.is_empty() || path.contains('\0') {
        return Err(Misuse::invalid_type("path must be a non-empty string without NUL"));
    }
    let access = access_arguments(call)?;
    let address = Address::Unix(PathBuf::from(path), access);
    let handle = call.environment()?.listen(call.env(), call.number(0), address)?;
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

/// `appListenDescriptor(app, fd)`: accepts on a copy of a socket that somebody else has bound. The caller's descriptor stays
/// the caller's. Returns the handle of the listening socket.
pub fn listen_descriptor<'c>(call: &Call<'c>) -> Result<Value<'c>, Misuse> {
    let number = descriptor_number(call, 1)?;
    let mut environment = call.environment()?;
    environment.app(call.number(0))?;
    let (socket, port) = take(number).map_err(|error| refused(number, &error))?;
    let handle = environment.accept_on(call.env(), call.number(0), socket, port, None)?;
    Ok(call.env().from_number(handle.to_number()))
}

#[cfg(unix)]
fn take(number: u32) -> io::Result<(Socket, u16)> {
    crate::io::listener::inspect(crate::node::system::duplicate(number)?)
}

/// Sockets are no descriptors here.
#[cfg(not(unix))]
fn take(_: u32) -> io::Result<(Socket, u16)> {
    Err(io::ErrorKind::Unsupported.into())
}

fn refused(number: u32, error: &io::Error) -> Misuse {
    if (error.kind(), error.raw_os_error()) == (io::ErrorKind::InvalidInput, None) {
        let text = format!("listen EINVAL: fd {number} must be a TCP or a Unix stream socket");
        return Misuse::system("EINVAL", text);
    }
    let code = os_code(error);
    Misuse::system(code, format!("listen {code}: {error}: fd {number}"))
}

/// Permissions of the file of a Unix socket; by default it is its owner's.
const MODE: Range = Range { min: 0, max: 0o777, default: 0o700 };
/// The largest number stands for none.
const GROUP: Range = Range { min: 0, max: u32::MAX as u64 - 1, default: 0 };
