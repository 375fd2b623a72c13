//! Target `close_payload`: the payloads of a peer's Close frame and of ours.

use std::str;

use super::server_frame::{ServerFrame, read_frames};
use crate::protocol::cause::CloseCause;
use crate::protocol::websocket::close::{self, MAX_REASON_LENGTH, PeerClose, may_be_sent};

/// Asserts of `data`, as the payload of a Close frame:
/// - the result is that of RFC 6455 §5.5.1 and §7.4, whose rules are implemented once more here;
/// - an accepted payload is echoed byte by byte.
///
/// Asserts of its first two bytes and the rest, as code and reason of our own Close frame: exactly one frame is
/// written, whose payload is empty or would be accepted from a peer, and has the code and as much of the reason as
/// fits.
///
/// # Panics
/// If one of them does not hold.
pub fn close_payload(data: &[u8]) {
    let said = close::parse(data);
    assert_eq!(said, judge(data));
    if let Ok(PeerClose::WithCode(code, reason)) = said
        && reason.len() <= MAX_REASON_LENGTH
    {
        assert_eq!(written(code, reason), data, "the echo");
    }
    assert_eq!(close_frame(close::encode_empty), b"");

    let [high, low, reason @ ..] = data else { return };
    let (code, reason) = (u16::from_be_bytes([*high, *low]), String::from_utf8_lossy(reason));
    let payload = written(code, &reason);
    match close::parse(&payload) {
        Ok(PeerClose::WithoutCode) => assert!(!may_be_sent(code)),
        Ok(PeerClose::WithCode(written_code, written_reason)) => {
            assert_eq!(written_code, code);
            assert!(reason.starts_with(written_reason));
            let rest = reason[written_reason.len()..].chars().next();
            assert!(rest.is_none_or(|next| written_reason.len() + next.len_utf8() > MAX_REASON_LENGTH));
        }
        Err(cause) => panic!("{cause:?} in a frame of ours"),
    }
}

/// The rules.
fn judge(payload: &[u8]) -> Result<PeerClose<'_>, CloseCause> {
    if payload.is_empty() {
        return Ok(PeerClose::WithoutCode);
    }
    let Some((code, reason)) = payload.split_first_chunk() else {
        return Err(CloseCause::ClosePayloadTruncated);
    };
    let code = u16::from_be_bytes(*code);
    let is_assigned = (1000..=1014).contains(&code) && ![1004, 1005, 1006].contains(&code);
    if !is_assigned && !(3000..5000).contains(&code) {
        return Err(CloseCause::CloseCodeInvalid);
    }
    match str::from_utf8(reason) {
        Ok(reason) => Ok(PeerClose::WithCode(code, reason)),
        Err(_) => Err(CloseCause::CloseReasonNotUtf8),
    }
}

/// The payload of our Close frame.
fn written(code: u16, reason: &str) -> Vec<u8> {
    close_frame(|out| close::encode(code, reason, out))
}

/// The payload of the one Close frame that is written.
fn close_frame(write: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut out = Vec::new();
    write(&mut out);
    let frames = read_frames(&out);
    let [ServerFrame { first: 0x88, payload }] = &frames[..] else { panic!("{frames:?}") };
    payload.clone()
}
