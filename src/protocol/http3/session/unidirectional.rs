//! The client's unidirectional streams (RFC 9114 §6.2): the first number on each says what it is for.

use super::{
    Action, CONTROL_STREAM, DECODER_STREAM, ENCODER_STREAM, Http3Session, Http3Sink, Input, PUSH_STREAM,
};
use crate::protocol::http3::client_streams::{ClientStream, Purpose};
use crate::protocol::http3::error::{ErrorCode, Http3Error};
use crate::protocol::http3::held::Held;
use crate::protocol::http3::stream::WaitsFor;
use crate::protocol::http3::stream_id::StreamId;
use crate::protocol::http3::varint;

impl Http3Session {
    /// Bytes of a unidirectional stream.
    pub(super) fn take_client_bytes(
        &mut self,
        id: StreamId,
        input: &[u8],
        is_fin: bool,
        context: &mut Input<'_, impl Http3Sink>,
    ) -> Result<(), Http3Error> {
        let purpose = match self.client_streams.purpose_of(id) {
            Some(purpose) => purpose,
            None => match self.name_stream(id, input, is_fin, context)? {
                Some((purpose, bytes)) => {
                    *self.client_streams.slot(purpose) = Some(ClientStream { id, bytes });
                    return self.follow_stream(purpose, b"", is_fin, context);
                }
                None => return Ok(()),
            },
        };
        self.follow_stream(purpose, input, is_fin, context)
    }

    /// Takes the first number of a stream. Returns what it is for and what follows the number; `None` if it is not there
    /// yet, or if the stream is ignored.
    fn name_stream(
        &mut self,
        id: StreamId,
        input: &[u8],
        is_fin: bool,
        context: &Input<'_, impl Http3Sink>,
    ) -> Result<Option<(Purpose, Vec<u8>)>, Http3Error> {
        let unnamed = &mut self.client_streams.unnamed;
        let position = unnamed.iter().position(|(unnamed, _)| *unnamed == id);
        let mut bytes = position.map_or_else(Vec::new, |position| unnamed.swap_remove(position).1);
        bytes.extend_from_slice(input);
        let mut rest = &bytes[..];
        let Some(kind) = varint::decode(&mut rest) else {
            // RFC 9114 §6.2: a stream may end before it has said what it is for.
            if is_fin {
                self.finished.push(id);
                self.note_idle_frame(context.moment.now)?;
            } else {
                unnamed.push((id, bytes));
            }
            return Ok(None);
        };
        let purpose = match kind {
            CONTROL_STREAM => Purpose::Control,
            ENCODER_STREAM => Purpose::Encoder,
            DECODER_STREAM => Purpose::Decoder,
            PUSH_STREAM => return Err(Http3Error::PushStream),
            // RFC 9114 §6.2.3, §9: unknown ones are not read.
            _ => {
                if !is_fin {
                    let code = ErrorCode::STREAM_CREATION_ERROR;
                    self.actions.push_back(Action::StopSending { stream: id, code });
                }
                self.finished.push(id);
                self.note_idle_frame(context.moment.now)?;
                return Ok(None);
            }
        };
        if self.client_streams.slot(purpose).is_some() {
            return Err(Http3Error::RepeatedStream);
        }
        Ok(Some((purpose, rest.to_vec())))
    }

    fn follow_stream(
        &mut self,
        purpose: Purpose,
        input: &[u8],
        is_fin: bool,
        context: &mut Input<'_, impl Http3Sink>,
    ) -> Result<(), Http3Error> {
        let Some(stream) = self.client_streams.slot(purpose) else { return Ok(()) };
        let held = Held::new(std::mem::take(&mut stream.bytes), input);
        let consumed = match purpose {
            Purpose::Control => self.read_control(held.bytes(), context.moment.now)?,
            Purpose::Encoder => self.read_encoder_stream(held.bytes(), context)?,
            Purpose::Decoder => self.read_decoder_stream(held.bytes(), context)?,
        };
        let rest = held.rest(consumed);
        if let Some(stream) = self.client_streams.slot(purpose) {
            stream.bytes = rest;
        }
        if is_fin { Err(Http3Error::ClosedCriticalStream) } else { Ok(()) }
    }

    /// The encoder stream: insertions, for which streams may have waited.
    fn read_encoder_stream(
        &mut self,
        input: &[u8],
        context: &mut Input<'_, impl Http3Sink>,
    ) -> Result<usize, Http3Error> {
        let mut consumed = 0;
        loop {
            let result = self.decoder.handle_instruction(&input[consumed..]);
            let Some((length, is_idle)) = result.map_err(|_| Http3Error::InvalidEncoderInstruction)? else {
                break;
            };
            consumed += length;
            if is_idle {
                self.note_idle_frame(context.moment.now)?;
            }
            // At once: what a section needs may go with the next insertion.
            let inserted = self.decoder.inserted();
            let is_ready =
                |waits_for| matches!(waits_for, WaitsFor::Insertions(required) if required <= inserted);
            self.resume_streams(is_ready, context)?;
        }
        self.decoder.acknowledge_insertions(&mut self.decoder_stream.bytes);
        self.check_own_output()?;
        Ok(consumed)
    }

    /// The decoder stream. RFC 9204 §4.4: nothing of this side refers to the dynamic table, so there is nothing that the
    /// client could acknowledge.
    fn read_decoder_stream(
        &mut self,
        input: &[u8],
        context: &Input<'_, impl Http3Sink>,
    ) -> Result<usize, Http3Error> {
        let mut rest = input;
        while let Some(&first) = rest.first() {
            if first & 0xc0 != 0x40 {
                return Err(Http3Error::InvalidDecoderInstruction);
            }
            // The number of the stream does not matter: bytes up to the first one without the highest bit.
            let length = if first & 0x3f < 0x3f {
                1
            } else {
                match rest[1..].iter().position(|byte| byte & 0x80 == 0) {
                    Some(position) => position + 2,
                    None if rest.len() > MAX_NUMBER => return Err(Http3Error::InvalidDecoderInstruction),
                    None => break,
                }
            };
            rest = &rest[length..];
            self.note_idle_frame(context.moment.now)?;
        }
        Ok(input.len() - rest.len())
    }

    /// The client has ended a unidirectional stream.
    pub(super) fn end_client_stream(&mut self, id: StreamId) -> Result<(), Http3Error> {
        if self.client_streams.purpose_of(id).is_some() {
            return Err(Http3Error::ClosedCriticalStream);
        }
        let unnamed = &mut self.client_streams.unnamed;
        if let Some(position) = unnamed.iter().position(|(unnamed, _)| *unnamed == id) {
            unnamed.swap_remove(position);
            self.finished.push(id);
        }
        Ok(())
    }

    /// What this side says of its own accord is short. A client that does not read it, and gives cause for more, would
    /// have this side keep it.
    pub(super) fn check_own_output(&self) -> Result<(), Http3Error> {
        let waiting = self.control.bytes.len() + self.decoder_stream.bytes.len();
        if waiting > MAX_OWN_OUTPUT { Err(Http3Error::UnreadStream) } else { Ok(()) }
    }
}

/// Bytes of the longest number of 62 bits (RFC 9204 §4.1.1).
const MAX_NUMBER: usize = 11;
/// Bytes that may wait for the streams that this side has opened.
const MAX_OWN_OUTPUT: usize = 16 * 1024;
