//! How much one handler sends to one peer: a loop that sends until there is back-pressure has to end, although worker,
//! kernel and peer may accept everything while the handler runs.

/// What the last handler that sent something has sent.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Burst {
    /// Serial of that handler.
    handler_serial: u64,
    /// Bytes, frame headers at their shortest included.
    sent: u64,
    /// The same, and [`COST`] for every call.
    weight: u64,
}

impl Burst {
    /// Counts a payload that is accepted now. Returns whether the burst has just become a long one.
    pub(crate) fn add(&mut self, length: u64, handler_serial: u64) -> bool {
        if self.handler_serial != handler_serial {
            *self = Self { handler_serial, ..Self::default() };
        }
        let was_long = self.weight >= ALLOWANCE / 2;
        self.sent += length + SHORTEST_HEADER;
        self.weight += length + SHORTEST_HEADER + COST;
        !was_long && self.weight >= ALLOWANCE / 2
    }

    /// Bytes beyond the allowance of one handler; they count as waiting, even if the kernel has accepted them. Never
    /// more than were sent; 0 once the handler has returned.
    #[must_use]
    pub(crate) fn excess(&self, handler_serial: u64) -> u64 {
        if self.handler_serial == handler_serial {
            self.weight.saturating_sub(ALLOWANCE).min(self.sent)
        } else {
            0
        }
    }
}

/// Weight that one handler may send to one peer. More than a kernel takes for a peer that does not read (some 4 MiB of
/// it on Linux, and as much again of the peer's), so that only the loops meet it; and some ten milliseconds of work,
/// for which other connections may wait.
const ALLOWANCE: u64 = 16 * 1024 * 1024;
/// What a call costs beside its bytes, in bytes that could be copied and written in the same time.
const COST: u64 = 512;
/// Bytes of the shortest frame header of a server (RFC 6455 §5.2). Otherwise empty messages would weigh nothing.
const SHORTEST_HEADER: u64 = 2;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_one_handler_sends_counts_from_some_amount_on_and_no_longer_than_it_runs() {
        let mut burst = Burst::default();
        for handler_serial in [1, 2, 3] {
            let mut long = 0;
            let mut sent = 0;
            while burst.excess(handler_serial) == 0 {
                long += u32::from(burst.add(64 * 1024, handler_serial));
                sent += 64 * 1024;
            }
            assert_eq!(long, 1);
            assert!((ALLOWANCE - ALLOWANCE / 50..=ALLOWANCE).contains(&sent), "{sent}");
            assert!(burst.excess(handler_serial) <= 64 * 1024 + SHORTEST_HEADER + COST);
            assert_eq!(burst.excess(handler_serial + 1), 0);
        }
    }

    #[test]
    fn messages_without_payload_come_to_an_end_too() {
        let mut burst = Burst::default();
        let mut count = 0;
        while burst.excess(1) == 0 {
            burst.add(0, 1);
            count += 1;
        }
        assert_eq!(count, ALLOWANCE / (COST + SHORTEST_HEADER) + 1);
    }

    #[test]
    fn never_more_than_was_sent_is_in_excess() {
        let mut burst = Burst::default();
        for count in 1..=100_000 {
            burst.add(1, 1);
            assert!(burst.excess(1) <= count * (1 + SHORTEST_HEADER));
        }
    }
}
