//! Priorities (RFC 9218 §4): the value of the `priority` field and of PRIORITY_UPDATE frames, a dictionary of structured
//! fields (RFC 8941 §3.2) of which two members matter: `u=0` to `u=7`, and `i`.

/// The priority of a response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::protocol) struct Priority {
    /// 0 is the most urgent, 7 the least.
    pub urgency: u8,
    /// Whether the client makes use of a part of the response: several such ones of equal urgency take turns.
    pub incremental: bool,
}

impl Priority {
    /// That of a request whose client says nothing. Clients that know of priorities are served in the order of their
    /// requests (RFC 9218 §10: `i` is false by default). From one that does not, no order can be inferred: its responses
    /// take turns, so that a large one does not delay the small ones behind it.
    pub(in crate::protocol) const UNSAID: Self = Self { urgency: DEFAULT_URGENCY, incremental: true };

    /// Parses a field value. Members that are not valid are ignored (RFC 9218 §4), and so is a value that is no
    /// dictionary.
    pub(in crate::protocol) fn parse(value: &[u8]) -> Self {
        let mut priority = Self { urgency: DEFAULT_URGENCY, incremental: false };
        for member in value.split(|&byte| byte == b',') {
            // Parameters have no meaning here.
            let member = member.split(|&byte| byte == b';').next().unwrap_or_default().trim_ascii();
            match member {
                [b'u', b'=', digit @ b'0'..=b'7'] => priority.urgency = digit - b'0',
                b"i" | b"i=?1" => priority.incremental = true,
                b"i=?0" => priority.incremental = false,
                _ => {}
            }
        }
        priority
    }
}

/// RFC 9218 §4.1.
const DEFAULT_URGENCY: u8 = 3;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_two_members_are_read_and_all_others_ignored() {
        let cases = [
            ("", 3, false),
            ("u=0", 0, false),
            ("u=7, i", 7, true),
            ("i=?1,u=1", 1, true),
            ("i, i=?0", 3, false),
            ("u=2;x=1;y, i;z", 2, true),
            ("u=8, i=1", 3, false),
            ("u=-1", 3, false),
            ("u=5.0", 3, false),
            ("U=5", 3, false),
            ("x=\"u=1\" , u=4\t", 4, false),
            ("u=1, u=6", 6, false),
        ];
        for (value, urgency, incremental) in cases {
            assert_eq!(Priority::parse(value.as_bytes()), Priority { urgency, incremental }, "{value:?}");
        }
    }
}
