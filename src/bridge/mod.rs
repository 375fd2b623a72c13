//! What crosses the thread border, and nothing else: ids, events going up to Node's thread, commands going down to
//! the workers, the two queues and the ledger between them. Data only: no runtime, no sockets of its own, no napi.
//!
//! Contract of the border:
//! - A worker appends to its own [`event::EventBatch`] and hands the whole batch to its [`queue::Uplink`].
//! - Node's thread appends to its own [`command::CommandBatch`] per worker and hands it to that worker's
//!   [`queue::Downlink`]. A worker that hands a fresh connection to another worker uses the same downlink.
//! - Each direction is first in, first out. That is what keeps `send`, `publish`, `ping`, `end` of one socket in
//!   order, and what fixes the recipients of a publish at the moment of the call.
//! - The side that hands a batch over rings the other side's bell, and only when that side sleeps.
//! - Records for the log go up in a queue of their own, which rings the same bell and may lose some.
//! - Beside the queues the two sides share one [`ledger::WebSocketLedger`] per WebSocket, one [`tally::Tally`] per app and worker,
//!   an [`event_interest::EventInterest`], a [`takeover::TakenPlace`], and a [`latch::Latch`] while Node's thread waits.

pub(crate) mod broker;
pub(crate) mod capacity_hint;
pub(crate) mod children;
pub(crate) mod command;
pub(crate) mod connect;
pub(crate) mod event;
pub(crate) mod event_interest;
pub(crate) mod handover;
pub(crate) mod id;
pub(crate) mod latch;
pub(crate) mod ledger;
pub(crate) mod moment;
pub(crate) mod patience;
pub(crate) mod peer;
pub(crate) mod progress;
pub(crate) mod queue;
pub(crate) mod quic;
pub(crate) mod record;
pub(crate) mod record_queue;
pub(crate) mod rules;
pub(crate) mod setup;
pub(crate) mod sync;
pub(crate) mod takeover;
pub(crate) mod tally;
pub(crate) mod tcp;
pub(crate) mod tls_peer;
pub(crate) mod traffic;
