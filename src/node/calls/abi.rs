//! The constants of the interface for JavaScript: numbers by name, and names by number.

use crate::bridge::record::Level;
use crate::node::abi::GROUPS;
use crate::node::calls::client::ClientTlsOption;
use crate::node::calls::http2::Http2Option;
use crate::node::calls::http3::Http3Option;
use crate::node::calls::limits;
use crate::node::calls::tcp::TcpOption;
use crate::node::calls::tls_options::TlsOption;
use crate::node::calls::ws_handover::WsOption;
use crate::node::calls::ws_handshake::DeflateOption;
use crate::node::environment::Call;
use crate::node::error::Misuse;
use crate::node::js::{Env, OptionName, Value};
use crate::node::state::live::listing::Column;
use crate::node::state::live::request_body;
use crate::node::state::routes::behavior::WebSocketOption;
use crate::node::state::routes::declarative;

/// `abi()`: an object of groups, each of them an object of numbers by name, and of lists; all frozen.
pub(crate) fn abi<'c>(call: &Call<'c>) -> Result<Value<'c>, Misuse> {
    let env = call.env();
    let number = |number| env.from_number(number);
    let groups = GROUPS
        .iter()
        .map(|(name, numbers)| (*name, env.frozen(numbers.iter().map(|(name, it)| (*name, number(*it))))));
    let beginning = declarative::MAGIC.iter().map(|byte| number(f64::from(*byte)));
    let others = [
        // By number: 0 is that of `off`.
        ("levels", names(env, ["off"].into_iter().chain(Level::ALL.map(Level::name)))),
        ("options", options(env)),
        ("columns", names(env, Column::NAMES.iter().copied())),
        ("declarativeBeginning", env.freeze(env.array(beginning))),
        ("unknownLength", env.from_u64(request_body::UNKNOWN)),
    ];
    Ok(env.frozen(groups.chain(others)))
}

/// The lists of options, in the order in which the addon reads their values.
fn options(env: Env<'_>) -> Value<'_> {
    let list = |list: &[&'static str]| names(env, list.iter().copied());
    env.frozen([
        ("webSocket", list(WebSocketOption::NAMES)),
        ("limits", names(env, limits::names())),
        ("tcp", list(TcpOption::NAMES)),
        ("http2", list(Http2Option::NAMES)),
        ("http3", list(Http3Option::NAMES)),
        ("tls", list(TlsOption::NAMES)),
        ("clientTls", list(ClientTlsOption::NAMES)),
        ("ws", list(WsOption::NAMES)),
        ("perMessageDeflate", list(DeflateOption::NAMES)),
    ])
}

fn names<'c>(env: Env<'c>, names: impl IntoIterator<Item = &'static str>) -> Value<'c> {
    env.freeze(env.array(names.into_iter().map(|name| env.string(name.as_bytes()))))
}
