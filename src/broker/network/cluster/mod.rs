//! The connections to the masters of a Redis or Valkey cluster, by sharded channels: a channel belongs to a slot, and a
//! slot to a master, until it is moved.
//!
//! Whatever happens, the state of each channel is compared with what it should be: a channel that is not subscribed
//! where its slot is, is subscribed there; a master that has slots and no connection gets one. A node that is away
//! harms only its own slots.
//!
//! - `slots`: which master serves which slot.
//! - `node`: the two connections to a master; `subscriber` is one of them.
//! - `events`: what follows from what they tell.

mod events;
mod node;
mod slots;
mod subscriber;
#[cfg(test)]
mod tests;

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use rand::RngExt;
use rand::seq::IteratorRandom;
use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, sleep_until};

use self::node::{Node, NodeId, Report, Standing};
use self::slots::{Slots, slot_of};
use self::subscriber::{Batch, MAX_RECEIVED};
use super::dial::Endpoint;
use super::parcel::{Delivery, Outcome, Parcel, Reply};
use super::redis::in_time;
use crate::broker::cause::{BrokerCause, BrokerFailure};
use crate::broker::redis_url::{Address, ClusterUrl, RedisUser};

/// The nodes that are known beside those of the url.
#[derive(Clone, Debug, Default)]
pub(super) struct Known(Arc<Mutex<Vec<Endpoint>>>);

/// The connections to a cluster.
pub(super) struct Connection {
    user: RedisUser,
    /// Who has said which nodes there are.
    guide: Endpoint,
    known: Known,
    slots: Slots,
    nodes: HashMap<Address, Node>,
    /// Masters to which there is no connection, and why.
    away: HashMap<Address, BrokerFailure>,
    connecting: HashSet<Address>,
    tasks: JoinSet<Done>,
    batches: mpsc::UnboundedReceiver<Batch>,
    deliver: mpsc::UnboundedSender<Batch>,
    reports: mpsc::UnboundedReceiver<Report>,
    report: mpsc::UnboundedSender<Report>,
    /// Bytes that may arrive before more is handed on.
    room: Arc<Semaphore>,
    /// What gets free when `ready` is empty.
    weight: usize,
    /// What is to be handed on.
    ready: VecDeque<Delivery>,
    channels: HashMap<Bytes, Standing>,
    /// Channels that are to be subscribed, once there is a way.
    waiting: Vec<Bytes>,
    /// How many channels a master was asked for.
    asked: usize,
    /// Who waits until nothing is asked.
    settled: Vec<oneshot::Sender<()>>,
    /// Whether slots, nodes or channels have changed.
    is_changed: bool,
    look: Look,
    /// When it is looked whether nodes owe answers.
    next_tick: Instant,
    /// Since when messages may be missing, in milliseconds since the epoch, if they may.
    torn: Option<u64>,
    /// Whether it was told that something is away.
    has_told: bool,
    /// When it may be told that everything is in order again.
    next_mend: Instant,
    /// Changes whenever what could not be sent may be tried again.
    epoch: u64,
    latest: NodeId,
    /// Why it has ended.
    end: Option<BrokerFailure>,
}

/// Asking for the slots.
struct Look {
    /// Whether somebody has said that the slots are not where they are thought to be.
    is_stale: bool,
    /// Whether a node is being asked.
    is_asking: bool,
    /// When one may be asked next, and masters that are away may be tried.
    next_try: Instant,
    /// When one is asked, even if nothing has happened.
    next_look: Instant,
    /// Questions since everything was in order.
    tries: u32,
    /// Redirections since everything was in order.
    redirections: u32,
}

/// Something that was under way.
enum Done {
    Connected(Address, Result<Box<Node>, BrokerFailure>),
    Asked(Result<Slots, BrokerFailure>),
}

impl Known {
    /// The nodes of the url, and then those that the cluster has named.
    fn round(&self, url: &ClusterUrl) -> Vec<Endpoint> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let given = url.nodes.iter().map(|address| Endpoint::given(address, url.is_secure));
        let mut round: Vec<Endpoint> = Vec::new();
        for endpoint in given.chain(known.iter().cloned()) {
            if !round.iter().any(|it| it.address == endpoint.address) {
                round.push(endpoint);
            }
        }
        round
    }

    fn note(&self, nodes: Vec<Endpoint>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = nodes;
    }
}

/// Connects to the masters that one of the nodes names; at least to one of them.
///
/// # Errors
/// The most telling reason of all nodes.
pub(super) async fn connect(
    url: &ClusterUrl,
    user: &RedisUser,
    known: &Known,
) -> Result<Connection, BrokerFailure> {
    let mut worst = None;
    for guide in known.round(url) {
        match in_time(node::consult(&guide, user)).await {
            Ok(slots) if slots.masters().is_empty() => {
                let failure = BrokerFailure::new(BrokerCause::Master, "it knows no master");
                BrokerFailure::keep_worst(&mut worst, failure.of(&guide.address));
            }
            Ok(slots) => {
                let mut connection = Connection::new(user.clone(), guide, known.clone());
                connection.take_slots(slots);
                match connection.connect_all().await {
                    Ok(()) => return Ok(connection),
                    Err(failure) => BrokerFailure::keep_worst(&mut worst, failure),
                }
            }
            Err(failure) => BrokerFailure::keep_worst(&mut worst, failure.of(&guide.address)),
        }
    }
    Err(worst.unwrap_or_else(|| BrokerFailure::new(BrokerCause::Connect, "there is no node")))
}

impl Connection {
    fn new(user: RedisUser, guide: Endpoint, known: Known) -> Self {
        let (deliver, batches) = mpsc::unbounded_channel();
        let (report, reports) = mpsc::unbounded_channel();
        let soon = sleep(Duration::ZERO).deadline();
        Self {
            user,
            guide,
            known,
            slots: Slots::default(),
            nodes: HashMap::new(),
            away: HashMap::new(),
            connecting: HashSet::new(),
            tasks: JoinSet::new(),
            batches,
            deliver,
            reports,
            report,
            room: Arc::new(Semaphore::new(MAX_RECEIVED)),
            weight: 0,
            ready: VecDeque::new(),
            channels: HashMap::new(),
            waiting: Vec::new(),
            asked: 0,
            settled: Vec::new(),
            is_changed: true,
            look: Look {
                is_stale: false,
                is_asking: false,
                next_try: soon,
                next_look: soon + LOOK_INTERVAL,
                tries: 0,
                redirections: 0,
            },
            next_tick: soon + TICK,
            torn: None,
            has_told: false,
            next_mend: soon,
            epoch: 0,
            latest: 0,
            end: None,
        }
    }

    /// Connects to all masters, and waits for the outcome of each.
    async fn connect_all(&mut self) -> Result<(), BrokerFailure> {
        self.connect_missing(true);
        while let Some(Ok(done)) = self.tasks.join_next().await {
            self.take_done(done);
        }
        if !self.nodes.is_empty() {
            return Ok(());
        }
        let mut worst = None;
        for (address, failure) in &self.away {
            BrokerFailure::keep_worst(&mut worst, failure.clone().of(address));
        }
        Err(worst.unwrap_or_else(|| BrokerFailure::new(BrokerCause::Connect, "there is no master")))
    }

    /// What is not in order. From now on [`Self::next`] says when that changes.
    pub(super) fn take_trouble(&mut self) -> Option<BrokerFailure> {
        let trouble = self.trouble();
        self.has_told = trouble.is_some();
        trouble
    }

    /// What is not in order; `None` if each slot has a master, and each channel is subscribed there.
    fn trouble(&self) -> Option<BrokerFailure> {
        if let Some((address, failure)) = self.away.iter().next() {
            return Some(failure.clone().of(address));
        }
        let slot = self.slots.uncovered();
        let uncovered = slot.map(|slot| format!("slot {slot} has no master"));
        let is_moving = !self.waiting.is_empty() || self.asked > 0 || !self.connecting.is_empty();
        let moving = || is_moving.then(|| "slots are on their way to other masters".to_owned());
        uncovered.or_else(moving).map(|detail| BrokerFailure::new(BrokerCause::Master, detail))
    }

    /// Whether there is a connection to the master of a channel.
    pub(super) fn takes(&self, channel: &[u8]) -> bool {
        self.slots.owner(slot_of(channel)).is_some_and(|master| self.nodes.contains_key(&master.address))
    }

    /// Changes whenever what was deferred may be published again.
    pub(super) const fn epoch(&self) -> u64 {
        self.epoch
    }

    /// Why it has ended.
    pub(super) fn failure(&self) -> BrokerFailure {
        let ended = || BrokerFailure::new(BrokerCause::Closed, "all masters are away");
        self.end.clone().unwrap_or_else(ended)
    }

    /// Publishes; the result has an outcome for each parcel. Those of slots that are away are deferred.
    pub(super) fn publish(&self, parcels: &[Parcel]) -> Reply<Vec<Outcome>> {
        let mut outcomes = vec![Outcome::Deferred; parcels.len()];
        let mut loads: HashMap<&Address, Vec<usize>> = HashMap::new();
        for (number, parcel) in parcels.iter().enumerate() {
            if let Some(master) = self.slots.owner(slot_of(&parcel.channel)) {
                loads.entry(&master.address).or_default().push(number);
            }
        }
        let mut sending = JoinSet::new();
        for (address, numbers) in loads {
            let Some(node) = self.nodes.get(address) else { continue };
            let (sent, id) = (node.publish(numbers.iter().map(|number| &parcels[*number])), node.id);
            let asked = address.clone();
            sending.spawn(async move { (numbers, id, asked, sent.await) });
        }
        let report = self.report.clone();
        Box::pin(async move {
            // An error means that a task has panicked; what it had is deferred.
            while let Some(sent) = sending.join_next().await {
                let Ok((numbers, id, asked, sent)) = sent else { continue };
                match sent {
                    // Nobody hears it at the end.
                    Err(failure) => drop(report.send(Report::Failed(id, failure))),
                    Ok(answers) => {
                        for (number, answer) in numbers.into_iter().zip(answers) {
                            outcomes[number] = answer.unwrap_or_else(|obstacle| {
                                drop(report.send(obstacle.report(&asked)));
                                Outcome::Deferred
                            });
                        }
                    }
                }
            }
            Ok(outcomes)
        })
    }

    /// Subscribes. The result is there when it is clear which of the channels are subscribed, and which have to wait.
    pub(super) fn subscribe(&mut self, channels: Vec<Vec<u8>>) -> Reply<()> {
        for channel in channels {
            let channel = Bytes::from(channel);
            if !self.channels.contains_key(&channel) {
                self.channels.insert(channel.clone(), Standing::Waiting);
                self.waiting.push(channel);
            }
        }
        self.place();
        let (settle, settled) = oneshot::channel();
        self.settled.push(settle);
        self.settle();
        // If it ends before that, the end says why.
        Box::pin(async move { settled.await.or(Ok(())) })
    }

    /// Ends subscriptions.
    pub(super) fn unsubscribe(&mut self, channels: &[Vec<u8>]) -> Reply<()> {
        let mut left: HashMap<NodeId, Vec<Bytes>> = HashMap::new();
        for channel in channels {
            let Some((channel, standing)) = self.channels.remove_entry(&channel[..]) else { continue };
            self.asked -= usize::from(matches!(standing, Standing::Asked { .. }));
            for node in standing.nodes() {
                left.entry(node).or_default().push(channel.clone());
            }
        }
        for (id, channels) in left {
            if let Some(node) = self.nodes.values_mut().find(|node| node.id == id) {
                node.unsubscribe(channels);
            }
        }
        self.is_changed = true;
        self.settle();
        Box::pin(async { Ok(()) })
    }

    /// Asks all masters whether they are there. What comes of it is told by [`Self::next`].
    pub(super) fn ping(&mut self) -> Reply<()> {
        for node in self.nodes.values_mut() {
            node.ask(Vec::new());
            let (pong, id, report) = (node.ping(), node.id, self.report.clone());
            tokio::spawn(async move {
                if let Err(failure) = pong.await {
                    drop(report.send(Report::Failed(id, failure)));
                }
            });
        }
        Box::pin(async { Ok(()) })
    }

    /// Waits for the next message, or something to tell; `None` at the end. May be dropped while it waits.
    pub(super) async fn next(&mut self) -> Option<Delivery> {
        loop {
            if let Some(delivery) = self.ready.pop_front() {
                return Some(delivery);
            }
            self.room.add_permits(std::mem::take(&mut self.weight));
            if self.end.is_some() {
                self.settled.clear();
                return None;
            }
            self.advance();
            if !self.ready.is_empty() || self.end.is_some() {
                continue;
            }
            let due = self.due();
            tokio::select! {
                Some(batch) = self.batches.recv() => self.take_batch(batch),
                Some(report) = self.reports.recv() => self.take_report(report),
                Some(Ok(done)) = self.tasks.join_next() => self.take_done(done),
                () = sleep_until(due) => {}
            }
        }
    }

    /// Does what is due, and tells what has changed.
    fn advance(&mut self) {
        let now = sleep(Duration::ZERO).deadline();
        if self.look.next_look <= now {
            self.look.is_stale = true;
        }
        if self.next_tick <= now {
            self.check_silence();
        }
        let may_try = self.look.next_try <= now && (self.look.is_stale || !self.away.is_empty());
        if may_try {
            self.look_up();
        }
        if std::mem::take(&mut self.is_changed) || may_try {
            self.connect_missing(may_try);
            self.place();
            self.drop_idle();
        }
        self.settle();
        if self.nodes.is_empty() && self.connecting.is_empty() {
            let failure = self.trouble();
            self.end = failure.or_else(|| Some(self.failure()));
            return;
        }
        match self.trouble() {
            None => {
                (self.look.tries, self.look.redirections) = (0, 0);
                if (self.has_told || self.torn.is_some()) && self.next_mend <= now {
                    self.next_mend = now + MEND_INTERVAL;
                    self.has_told = false;
                    let since = self.torn.take();
                    self.ready.push_back(Delivery::Mended { since });
                }
            }
            // That something moves is told if it lasts.
            Some(failure) if !self.has_told && (!self.away.is_empty() || self.look.tries > PATIENT_TRIES) => {
                self.has_told = true;
                self.ready.push_back(Delivery::Torn { failure });
            }
            Some(_) => {}
        }
    }

    /// Asks one of the nodes for the slots.
    fn look_up(&mut self) {
        let now = sleep(Duration::ZERO).deadline();
        let longest = FIRST_PAUSE.saturating_mul(1 << self.look.tries.min(10)).min(LONGEST_PAUSE);
        self.look.tries = self.look.tries.saturating_add(1);
        self.look.next_try = now + longest.mul_f64(rand::rng().random_range(0.5..1.0));
        self.look.next_look = now + LOOK_INTERVAL;
        let Some(node) = self.nodes.values().choose(&mut rand::rng()) else { return };
        if !std::mem::replace(&mut self.look.is_asking, true) {
            let (answer, asked) = (node.slots(), node.endpoint.address.clone());
            self.tasks.spawn(async move {
                Done::Asked(answer.await.and_then(|answer| Slots::parse(&answer, &asked)))
            });
        }
    }

    /// Connects to masters to which there is no connection; those that are away among them or not.
    fn connect_missing(&mut self, with_away: bool) {
        let missing: Vec<_> = self.slots.masters().into_iter().cloned().collect();
        for master in missing {
            let address = master.address;
            let is_due = with_away || !self.away.contains_key(&address);
            if self.nodes.contains_key(&address) || !is_due || !self.connecting.insert(address.clone()) {
                continue;
            }
            self.latest += 1;
            let endpoint = self.endpoint(address.clone(), master.alias);
            let (id, user, deliver) = (self.latest, self.user.clone(), self.deliver.clone());
            let room = Arc::clone(&self.room);
            self.tasks.spawn(async move {
                let node = in_time(Node::connect(endpoint, id, &user, deliver, room)).await;
                Done::Connected(address, node.map(Box::new))
            });
        }
    }

    fn endpoint(&self, address: Address, alias: Option<String>) -> Endpoint {
        let mut endpoint = Endpoint::named(address, &self.guide);
        if let (Some(certified), Some(alias)) = (&mut endpoint.certified, alias) {
            certified.insert(0, alias);
        }
        endpoint
    }
}

/// First pause between two questions for the slots; it doubles with each one.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
/// Longest pause.
const LONGEST_PAUSE: Duration = Duration::from_secs(2);
/// How often a node is asked although nothing has happened.
const LOOK_INTERVAL: Duration = Duration::from_secs(15);
/// Questions for the slots after which it is told that they move.
const PATIENT_TRIES: u32 = 4;
/// As how many of these the last ones count when one has shown that slots do move.
const MOVING_TRIES: u32 = 1;
/// Redirections that are followed at once; further ones wait until a node was asked for all slots.
const MAX_REDIRECTIONS: u32 = 8;
/// How often it is told that everything is in order again: slots may be moved one after the other.
const MEND_INTERVAL: Duration = Duration::from_secs(1);
/// How often it is looked whether nodes owe answers.
const TICK: Duration = Duration::from_secs(1);
