//! `DeclarativeResponse`: its arguments are checked by the calls that set them.

use crate::node::calls::http_response::{Section, check_status};
use crate::node::environment::Call;
use crate::node::error::Misuse;
use crate::node::js::Value;

/// `checkStatus(status)`: throws what `writeStatus` would.
pub(crate) fn status<'c>(call: &Call<'c>) -> Result<Value<'c>, Misuse> {
    let status = call.bytes(0)?;
    check_status(&status)?;
    Ok(Value::UNDEFINED)
}

/// `checkHeader(name, value)`: throws what `writeHeader` would.
pub(crate) fn header<'c>(call: &Call<'c>) -> Result<Value<'c>, Misuse> {
    let (mut name, mut value) = (Vec::new(), Vec::new());
    call.append(0, &mut name)?;
    call.append(1, &mut value)?;
    Section::Head.check_name(&name)?;
    Section::Head.check_value(&name, &value)?;
    Ok(Value::UNDEFINED)
}
