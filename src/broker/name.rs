//! The name that apps share.

/// Longest name, in bytes.
pub(crate) const MAX_LENGTH: usize = 64;

/// Whether a name is allowed: 1 to [`MAX_LENGTH`] letters, digits, hyphens and underscores of ASCII. They stand for
/// themselves in the channels and subjects of every server.
#[must_use]
pub(crate) fn is_valid(name: &[u8]) -> bool {
    let is_allowed = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    (1..=MAX_LENGTH).contains(&name.len()) && name.iter().all(is_allowed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_letters_digits_hyphens_and_underscores() {
        for name in ["a", "chat", "Chat-2_x", &"x".repeat(MAX_LENGTH)] {
            assert!(is_valid(name.as_bytes()), "{name}");
        }
        for name in ["", "a b", "a:b", "a.b", "ä", "a\0", "*", &"x".repeat(MAX_LENGTH + 1)] {
            assert!(!is_valid(name.as_bytes()), "{name}");
        }
    }
}
