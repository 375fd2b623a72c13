//! The client's unidirectional streams (RFC 9114 §6.2), and what they have said.

use super::stream::Reading;
use super::stream_id::StreamId;

/// Those that are open.
#[derive(Debug, Default)]
pub(super) struct ClientStreams {
    /// Those whose first number has not arrived, and what has.
    pub unnamed: Vec<(StreamId, Vec<u8>)>,
    /// The control stream.
    pub control: Option<ClientStream>,
    /// The encoder stream of QPACK.
    pub encoder: Option<ClientStream>,
    /// The decoder stream of QPACK.
    pub decoder: Option<ClientStream>,
    /// The state of the control stream.
    pub state: ControlState,
}

/// One of those that stay open.
#[derive(Debug)]
pub(super) struct ClientStream {
    pub id: StreamId,
    /// What has arrived and is not complete.
    pub bytes: Vec<u8>,
}

/// What the frames of the control stream have said.
#[derive(Debug, Default)]
pub(super) struct ControlState {
    /// SETTINGS have arrived.
    pub has_settings: bool,
    /// The number of the last GOAWAY.
    pub goaway: Option<u64>,
    /// The number of the last MAX_PUSH_ID.
    pub max_push: Option<u64>,
    /// What its next byte belongs to.
    pub reading: Reading,
}

/// What a stream is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    /// The control stream.
    Control,
    /// The encoder stream of QPACK.
    Encoder,
    /// The decoder stream of QPACK.
    Decoder,
}

impl ClientStreams {
    pub(super) fn slot(&mut self, purpose: Purpose) -> &mut Option<ClientStream> {
        match purpose {
            Purpose::Control => &mut self.control,
            Purpose::Encoder => &mut self.encoder,
            Purpose::Decoder => &mut self.decoder,
        }
    }

    pub(super) fn purpose_of(&mut self, id: StreamId) -> Option<Purpose> {
        [Purpose::Control, Purpose::Encoder, Purpose::Decoder]
            .into_iter()
            .find(|purpose| self.slot(*purpose).as_ref().is_some_and(|stream| stream.id == id))
    }
}
