//! Names of system errors, and whether the process has run out of descriptors.

use std::io;

use socket2::{Domain, Socket, Type};

/// The system's name of an error, as in the property `code` of Node's errors.
pub(super) fn system_code(error: &io::Error) -> Option<&'static str> {
    use io::ErrorKind as Kind;
    Some(match error.kind() {
        Kind::ConnectionRefused => "ECONNREFUSED",
        Kind::HostUnreachable => "EHOSTUNREACH",
        Kind::NetworkUnreachable => "ENETUNREACH",
        Kind::NetworkDown => "ENETDOWN",
        Kind::TimedOut => "ETIMEDOUT",
        Kind::ConnectionReset => "ECONNRESET",
        Kind::ConnectionAborted => "ECONNABORTED",
        Kind::BrokenPipe => "EPIPE",
        Kind::AddrNotAvailable => "EADDRNOTAVAIL",
        Kind::PermissionDenied => "EACCES",
        _ => match error.raw_os_error() {
            Some(number) if number == TOO_MANY_OPEN_FILES => "EMFILE",
            Some(number) if number == FILE_TABLE_OVERFLOW => "ENFILE",
            _ => return None,
        },
    })
}

/// The error with which the system refuses a new descriptor at this moment; `None` if it does not. For calls that fail
/// because of missing descriptors but report another error.
pub(crate) fn exhaustion() -> Option<io::Error> {
    let error = Socket::new(Domain::IPV4, Type::DGRAM, None).err()?;
    is_exhaustion(&error).then_some(error)
}

/// Whether an error means that the process, or the system, has no descriptors left.
pub(crate) fn is_exhaustion(error: &io::Error) -> bool {
    matches!(system_code(error), Some("EMFILE" | "ENFILE"))
}

/// `EMFILE`: the process has reached its limit of descriptors.
#[cfg(not(windows))]
pub(super) const TOO_MANY_OPEN_FILES: i32 = 24;
#[cfg(windows)]
pub(super) const TOO_MANY_OPEN_FILES: i32 = 10024;
/// `ENFILE`: the system has reached its limit of descriptors.
#[cfg(not(windows))]
pub(super) const FILE_TABLE_OVERFLOW: i32 = 23;
#[cfg(windows)]
pub(super) const FILE_TABLE_OVERFLOW: i32 = i32::MIN;
