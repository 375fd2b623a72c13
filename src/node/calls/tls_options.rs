//! TLS options as programs give them. Files are read here, on Node's thread, so that what is wrong with them is thrown by
//! the call that names them.

use std::fs::File;
use std::io::{self, Read};

use crate::node::error::Misuse;
use crate::node::js::{Env, Type, Value};
use crate::protocol::cause::Cause;
use crate::tls::error::{OptionError, OptionFault};
use crate::tls::options::Options;
use crate::tls::source::Source;

/// Why options are refused.
#[derive(Debug)]
pub(crate) enum Refusal {
    /// An option has the wrong type.
    Misuse(Misuse),
    /// An option of the right type cannot be used.
    Option(OptionError),
}

impl From<Misuse> for Refusal {
    fn from(misuse: Misuse) -> Self {
        Self::Misuse(misuse)
    }
}

impl From<OptionError> for Refusal {
    fn from(error: OptionError) -> Self {
        Self::Option(error)
    }
}

impl Refusal {
    /// The exception. `what` says what has failed thereby.
    #[must_use]
    pub(crate) fn thrown(self, what: &str) -> Misuse {
        match self {
            Self::Misuse(misuse) => {
                Misuse { message: format!("{what} failed: {}", misuse.message).into(), ..misuse }
            }
            Self::Option(error) => Misuse::system(error.code(), format!("{what} failed: {}", error.text())),
        }
    }
}

/// Reads options, and the files that they name. `values` is an array, in the order of `OPTIONS` in `lib/app/tls.js`.
///
/// # Errors
/// See [`Refusal`].
pub(crate) fn read(env: Env<'_>, values: Value<'_>) -> Result<Options, Refusal> {
    let reader = Reader { env, values };
    Ok(Options {
        key: reader.source((0, "key_file_name"), (1, "key"))?,
        cert: reader.source((2, "cert_file_name"), (3, "cert"))?,
        ca: reader.source((4, "ca_file_name"), (5, "ca"))?,
        passphrase: reader.bytes(6, "passphrase")?,
        require_client_certificate: reader.boolean(7, "requireClientCertificate")?,
        ciphers: reader.text(8, "ssl_ciphers")?,
        dh_params: reader.file(9, "dh_params_file_name")?,
        prefers_low_memory: reader.is_given(10).then(|| env.truthy(env.element(values, 10))),
    })
}

/// The options, by position.
struct Reader<'c> {
    env: Env<'c>,
    values: Value<'c>,
}

impl Reader<'_> {
    fn is_given(&self, position: u32) -> bool {
        self.env.type_of(self.env.element(self.values, position)) != Type::Nothing
    }

    /// Text or data.
    fn bytes(&self, position: u32, name: &str) -> Result<Option<Vec<u8>>, Misuse> {
        let value = self.env.element(self.values, position);
        if self.env.type_of(value) == Type::Nothing {
            return Ok(None);
        }
        match self.env.bytes(value) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(_) => Err(Misuse::invalid_type(format!("{name} must be a string or a buffer"))),
        }
    }

    fn text(&self, position: u32, name: &str) -> Result<Option<String>, Misuse> {
        let bytes = self.bytes(position, name)?;
        Ok(bytes.map(|bytes| String::from_utf8_lossy(&bytes).into_owned()))
    }

    fn boolean(&self, position: u32, name: &str) -> Result<Option<bool>, Misuse> {
        self.env.boolean(self.env.element(self.values, position), name)
    }

    /// A document, which one option names and another one holds.
    fn source(&self, file: (u32, &str), direct: (u32, &str)) -> Result<Option<Source>, Refusal> {
        if self.is_given(file.0) && self.is_given(direct.0) {
            return Err(Misuse::invalid_value(format!("give {} or {}, not both", file.1, direct.1)).into());
        }
        match self.bytes(direct.0, direct.1)? {
            Some(text) => Ok(Some(Source { place: direct.1.to_owned(), text })),
            None => self.file(file.0, file.1),
        }
    }

    /// A document in a file. The empty path names an empty one.
    fn file(&self, position: u32, name: &str) -> Result<Option<Source>, Refusal> {
        let Some(path) = self.text(position, name)? else { return Ok(None) };
        if path.is_empty() {
            return Ok(Some(Source { place: name.to_owned(), text: Vec::new() }));
        }
        let place = format!("{name} '{path}'");
        match read_file(&path) {
            Ok(text) => Ok(Some(Source { place, text })),
            Err(error) => Err(OptionError::new(OptionFault::File, place, error.to_string()).into()),
        }
    }
}

fn read_file(path: &str) -> io::Result<Vec<u8>> {
    let mut text = Vec::new();
    File::open(path)?.take(LARGEST_FILE + 1).read_to_end(&mut text)?;
    if text.len() as u64 > LARGEST_FILE {
        return Err(io::ErrorKind::FileTooLarge.into());
    }
    Ok(text)
}

/// In bytes. The certificates of all authorities of the world are about 200 KB; a device file never ends.
const LARGEST_FILE: u64 = 16 * 1024 * 1024;
