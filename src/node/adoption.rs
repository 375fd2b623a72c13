//! Connections that come from elsewhere: sockets that JavaScript has, and those that an acceptor app hands to its children.

use std::io;
use std::net::{IpAddr, SocketAddr};

use socket2::Socket;

use super::app::{PATIENCE, code_of};
use super::environment::Environment;
use super::error::Misuse;
use super::raw::{Call, Env, Type, Value};
use crate::bridge::command::{Adoption, Command};
use crate::bridge::latch::Latch;
use crate::bridge::sync::Arc;

/// `appAdopt(app, fd, ip)`: serves a copy of a connected socket. The caller's descriptor stays the caller's.
pub fn adopt<'c>(call: &Call<'c>) -> Result<Value<'c>, Misuse> {
    let env = call.env();
    let number = match env.number(call.argument(1)) {
        Some(number) if number.fract() == 0.0 && (0.0..=LARGEST).contains(&number) => number as u32,
        Some(number) => {
            return Err(Misuse::out_of_range(format!(
                "fd must be an integer from 0 to 2^31-1, got {number}"
            )));
        }
        None => return Err(Misuse::invalid_type("fd must be a number")),
    };
    let ip = address_argument(call, 2)?;
    let mut environment = call.environment()?;
    environment.app(call.number(0))?;
    let (socket, port) = take(number).map_err(|error| refused(number, &error))?;
    let address = ip.map(|ip| SocketAddr::new(ip, port));
    environment.adopt(env, call.number(0), socket, address)?;
    Ok(Value::UNDEFINED)
}

#[cfg(unix)]
fn take(number: u32) -> io::Result<(Socket, u16)> {
    crate::io::adoption::inspect(super::raw::duplicate(number)?)
}

/// Sockets are no descriptors here.
#[cfg(not(unix))]
fn take(_: u32) -> io::Result<(Socket, u16)> {
    Err(io::ErrorKind::Unsupported.into())
}

fn refused(number: u32, error: &io::Error) -> Misuse {
    let code = match (error.kind(), error.raw_os_error()) {
        (io::ErrorKind::InvalidInput, None) => {
            return Misuse::invalid_value(format!("fd {number} must be a TCP or a Unix stream socket"));
        }
        (io::ErrorKind::NotConnected, _) => "ENOTCONN",
        (_, Some(9)) => "EBADF",
        (_, Some(NOT_SOCKET)) => "ENOTSOCK",
        _ => code_of(error),
    };
    Misuse::system(code, format!("adoptSocket {code}: {error}: fd {number}"))
}

/// An IP address as text, or its 4 or 16 bytes.
fn address_argument(call: &Call<'_>, index: usize) -> Result<Option<IpAddr>, Misuse> {
    let (env, value, mut bytes) = (call.env(), call.argument(index), Vec::new());
    let kind = env.type_of(value);
    if kind == Type::Nothing {
        return Ok(None);
    }
    env.append_text_or_data(value, &mut bytes)?;
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

impl Environment {
    /// Gives a socket to the next worker of an app, and waits until that counts it: nobody may be listening, and Node
    /// would otherwise take leave.
    fn adopt(
        &mut self,
        env: Env<'_>,
        app: f64,
        socket: Socket,
        address: Option<SocketAddr>,
    ) -> Result<(), Misuse> {
        let (id, share) = self.prepare(app)?;
        let (_, it) = self.app(app)?;
        let worker = share[it.adopted % share.len()];
        it.adopted = it.adopted.wrapping_add(1);
        let done = Arc::new(Latch::new(1));
        let adoption = Adoption { socket, app: id, address, done: Some(Arc::clone(&done)) };
        self.outgoing.push(worker, Command::AdoptConnection(Box::new(adoption)));
        self.flush();
        done.wait(PATIENCE);
        self.update_liveness(env);
        Ok(())
    }
}

/// The largest number that a descriptor may have.
const LARGEST: f64 = 2_147_483_647.0;
/// `ENOTSOCK`, on Linux and on the systems from Berkeley.
const NOT_SOCKET: i32 = if cfg!(target_os = "linux") { 88 } else { 38 };
