//! TLS options as programs give them. Files are read here, on Node's thread, so that the call that names them throws
//! what is wrong with them.

use std::fs::File;
use std::io::{self, Read};

use crate::node::error::Misuse;
use crate::node::js::{self, Env, OptionName, Value, option_names};
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
    /// The exception. `what` names the operation that has failed.
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

option_names! {
    /// The options that are read here.
    TlsOption {
        KeyFileName "key_file_name",
        Key "key",
        CertFileName "cert_file_name",
        Cert "cert",
        CaFileName "ca_file_name",
        Ca "ca",
        Passphrase "passphrase",
        RequireClientCertificate "requireClientCertificate",
        SslCiphers "ssl_ciphers",
        DhParamsFileName "dh_params_file_name",
        SslPreferLowMemoryUsage "ssl_prefer_low_memory_usage",
    }
}

/// Reads options, and the files that they name. `values` is an array, in the order of [`TlsOption`].
///
/// # Errors
/// See [`Refusal`].
pub(crate) fn read(env: Env<'_>, values: Value<'_>) -> Result<Options, Refusal> {
    use TlsOption as Name;
    let reader = Reader(js::Options::new(env, values));
    Ok(Options {
        key: reader.source(Name::KeyFileName, Name::Key)?,
        cert: reader.source(Name::CertFileName, Name::Cert)?,
        ca: reader.source(Name::CaFileName, Name::Ca)?,
        passphrase: reader.bytes(Name::Passphrase)?,
        require_client_certificate: reader.0.boolean(Name::RequireClientCertificate)?,
        ciphers: reader.text(Name::SslCiphers)?,
        dh_params: reader.file(Name::DhParamsFileName)?,
        prefers_low_memory: reader
            .0
            .is_given(Name::SslPreferLowMemoryUsage)
            .then(|| reader.0.truthy(Name::SslPreferLowMemoryUsage)),
    })
}

/// Reads options of their types.
struct Reader<'c>(js::Options<'c, TlsOption>);

impl Reader<'_> {
    /// Text or data.
    fn bytes(&self, option: TlsOption) -> Result<Option<Vec<u8>>, Misuse> {
        let refusal =
            |_| Misuse::invalid_type(format!("{} must be a string or a buffer", self.0.name(option)));
        self.0.bytes(option).map_err(refusal)
    }

    fn text(&self, option: TlsOption) -> Result<Option<String>, Misuse> {
        let bytes = self.bytes(option)?;
        Ok(bytes.map(|bytes| String::from_utf8_lossy(&bytes).into_owned()))
    }

    /// A document, which one option names and another one holds.
    fn source(&self, file: TlsOption, direct: TlsOption) -> Result<Option<Source>, Refusal> {
        if self.0.is_given(file) && self.0.is_given(direct) {
            let (file, direct) = (self.0.name(file), self.0.name(direct));
            return Err(Misuse::invalid_value(format!("give {file} or {direct}, not both")).into());
        }
        match self.bytes(direct)? {
            Some(text) => Ok(Some(Source { place: self.0.name(direct).to_owned(), text })),
            None => self.file(file),
        }
    }

    /// A document in a file. The empty path names an empty one.
    fn file(&self, option: TlsOption) -> Result<Option<Source>, Refusal> {
        let name = self.0.name(option);
        let Some(path) = self.text(option)? else { return Ok(None) };
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
