//! Target `utf8`: a text, and where it is cut.

use std::str;

use super::scenario::Scenario;
use crate::protocol::websocket::utf8::{Validator, is_valid};

/// Asserts of the text in `data` (the wire of a [`Scenario`], whose steps cut it):
/// - the verdict on the whole is that of the standard library;
/// - a [`Validator`] has the same verdict for every split of the text;
/// - it fails with exactly the first byte that no continuation could make valid.
///
/// # Panics
/// If one of them does not hold.
pub fn utf8(data: &[u8]) {
    let scenario = Scenario::of(data);
    let text = scenario.wire;
    let expected = str::from_utf8(text).is_ok();
    assert_eq!(is_valid(text), expected);
    assert_eq!(is_valid(data), str::from_utf8(data).is_ok());

    assert_eq!(takes(&[text]), expected);
    assert_eq!(takes(&scenario.pieces()), expected, "{:?}", scenario.steps);
    let mut validator = Validator::default();
    let taken = text.iter().take_while(|&&byte| validator.push(&[byte]).is_ok()).count();
    assert_eq!(taken, certainly_wrong_at(text));
    if taken == text.len() {
        assert_eq!(validator.finish().is_ok(), expected);
    }
}

/// Whether the text in these pieces is valid.
fn takes(pieces: &[&[u8]]) -> bool {
    let mut validator = Validator::default();
    pieces.iter().all(|piece| validator.push(piece).is_ok()) && validator.finish().is_ok()
}

/// The position of the first byte with which it is certain that `text` is not valid; its length if there is none.
fn certainly_wrong_at(text: &[u8]) -> usize {
    let valid = str::from_utf8(text).map_or_else(|error| error.valid_up_to(), str::len);
    let is_wrong =
        |end: &usize| str::from_utf8(&text[valid..*end]).is_err_and(|error| error.error_len().is_some());
    (valid..=text.len()).find(is_wrong).map_or(text.len(), |end| end - 1)
}
