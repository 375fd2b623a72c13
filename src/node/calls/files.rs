//! Files for `serveFiles`: opened and read on the threads that Node has for files, so that a slow disk blocks neither
//! its own thread nor an I/O thread. JavaScript refers to them by handles.

use std::cell::RefCell;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::Arc;

use napi::bindgen_prelude::{Buffer, Either};
use napi::{Result as NapiResult, Task};

use crate::files::open_file::{FileMetadata, Kind, Links, OpenFile};
use crate::node::abi::file;
use crate::node::environment::Call;
use crate::node::error::Misuse;
use crate::node::js::{Value, spawn};
use crate::node::state::handles::JsHandle;
use crate::node::state::open_files::Files;

thread_local! {
    static FILES: RefCell<Files> = RefCell::default();
}

/// `fileOpen(folder, relative, anywhere)`: a promise of an array (handle, one of `file`, size in bytes, time of
/// modification in seconds since 1970, and nanoseconds), or of a text, which starts with the code of the system error.
pub(crate) fn open<'c>(call: &Call<'c>) -> Result<Value<'c>, Misuse> {
    let (folder, relative) = (call.text(0)?.into(), call.text(1)?.into());
    let links = if call.truthy(2) { Links::Anywhere } else { Links::Beneath };
    spawn(call.env(), Opening { folder, relative, links })
}

/// `fileRead(file, position, length)`: a promise of a Buffer, which is shorter only at the end of the file, or of a
/// text as above.
pub(crate) fn read<'c>(call: &Call<'c>) -> Result<Value<'c>, Misuse> {
    let handle = call.handle::<JsHandle>(0);
    let file = FILES.with_borrow(|files| handle.and_then(|handle| files.get(handle)));
    let file = file.ok_or_else(Misuse::bug)?;
    // The numbers are those of lib/static/transfer.js; the casts saturate.
    let (position, length) = (call.number(1) as u64, (call.number(2) as usize).min(LONGEST_READ));
    spawn(call.env(), Reading { file, position, length })
}

/// `fileClose(file)`: a read that is under way ends first.
pub(crate) fn close<'c>(call: &Call<'c>) -> Result<Value<'c>, Misuse> {
    if let Some(handle) = call.handle::<JsHandle>(0) {
        FILES.with_borrow_mut(|files| files.close(handle));
    }
    Ok(Value::UNDEFINED)
}

/// Runs `act`, which may block, on another thread. An error or a panic becomes a text for JavaScript.
fn attempt<T>(act: impl FnOnce() -> io::Result<T>) -> Result<T, String> {
    match catch_unwind(AssertUnwindSafe(act)) {
        Ok(Ok(done)) => Ok(done),
        Ok(Err(error)) => Err(format!("{}: {error}", code_of(&error))),
        Err(_) => Err("ERR_INTERNAL: this is a bug in ferrows".to_owned()),
    }
}

struct Opening {
    folder: PathBuf,
    relative: PathBuf,
    links: Links,
}

impl Task for Opening {
    type Output = Result<OpenFile, String>;
    type JsValue = Either<Vec<f64>, String>;

    fn compute(&mut self) -> NapiResult<Self::Output> {
        Ok(attempt(|| OpenFile::open(&self.folder, &self.relative, self.links)))
    }

    fn resolve(&mut self, _: napi::Env, opened: Self::Output) -> NapiResult<Self::JsValue> {
        let open = match opened {
            Ok(open) => open,
            Err(error) => return Ok(Either::B(error)),
        };
        let FileMetadata { kind, size, modified, .. } = open.metadata;
        let kind = match kind {
            Kind::File => file::FILE,
            Kind::Folder => file::FOLDER,
            Kind::Other => file::OTHER,
        };
        let Some(handle) = FILES.with_borrow_mut(|files| files.enter(open)) else {
            return Ok(Either::B("EMFILE: too many files are open".to_owned()));
        };
        let nanos = f64::from(modified.subsec_nanos());
        Ok(Either::A(vec![handle.to_number(), kind, size as f64, modified.as_secs() as f64, nanos]))
    }
}

struct Reading {
    file: Arc<OpenFile>,
    position: u64,
    length: usize,
}

impl Task for Reading {
    type Output = Result<Vec<u8>, String>;
    type JsValue = Either<Buffer, String>;

    fn compute(&mut self) -> NapiResult<Self::Output> {
        Ok(attempt(|| self.file.read(self.position, self.length)))
    }

    fn resolve(&mut self, _: napi::Env, read: Self::Output) -> NapiResult<Self::JsValue> {
        Ok(match read {
            Ok(bytes) => Either::A(bytes.into()),
            Err(error) => Either::B(error),
        })
    }
}

/// The code that Node uses for the same error.
#[cfg(unix)]
fn code_of(error: &io::Error) -> String {
    error.raw_os_error().map_or_else(
        || crate::node::error::code_of(error).to_owned(),
        |number| format!("{:?}", nix::errno::Errno::from_raw(number)),
    )
}

#[cfg(not(unix))]
fn code_of(error: &io::Error) -> &'static str {
    crate::node::error::code_of(error)
}

/// More than is ever read at once.
const LONGEST_READ: usize = 1 << 20;
