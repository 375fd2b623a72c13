//! A response head that was checked before its request arrived: of a declarative or a cached response.

use crate::bridge::command::HeadBytes;
use crate::bridge::id::WorkerId;
use crate::node::state::workers::Workers;
use crate::protocol::http::response_head::FieldFlags;

/// Status and fields, as [`HeadBytes`] has them, with bytes of their own.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct PreparedHead {
    /// Status code, a space and the reason phrase; empty means `200 OK`.
    pub status: Vec<u8>,
    /// Complete `Name: value\r\n` lines.
    pub fields: Vec<u8>,
    /// Which fields that matter to framing are among them.
    pub flags: FieldFlags,
}

impl PreparedHead {
    /// Copies it for the next command to `worker`.
    pub(crate) fn lay_out(&self, workers: &mut Workers, worker: WorkerId) -> HeadBytes {
        let status = workers.copy(worker, &self.status);
        let fields = workers.copy(worker, &self.fields);
        HeadBytes { status, fields, flags: self.flags }
    }

    /// Bytes it holds.
    #[must_use]
    pub(crate) fn len(&self) -> usize {
        self.status.len() + self.fields.len()
    }

    /// Whether there is neither a status nor a field.
    #[must_use]
    pub(crate) fn is_empty(&self) -> bool {
        self.len() == 0
    }
}
