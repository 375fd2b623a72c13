//! The life of a connection to a broker, and of the next one.

use std::collections::{HashSet, VecDeque};
use std::future::pending;
use std::sync::Weak;
use std::time::Duration;

use rand::RngExt;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep, sleep_until};

use super::census::Census;
use super::channels::{Channels, Source};
use super::connection::{Connection, Connector};
use super::gathered::Message;
use super::held::Held;
use super::outbox::{Outbox, Question};
use super::parcel::{Delivery, Outcome, Parcel, Reply};
use super::status::{Status, add, now};
use crate::bridge::broker::{BrokerEvent, StateChange};
use crate::bridge::sync::Arc;
use crate::broker::cause::{BrokerCause, BrokerFailure};
use crate::broker::group::Group;
use crate::broker::header::{self, Header, Received};
use crate::broker::neighbours::{Neighbours, Published};
use crate::broker::sequences::{Arrival, Arrivals, Numbers};
use crate::broker::url::BrokerUrl;
use crate::protocol::websocket::MessageKind;

/// How a group reaches other processes. The same for all its apps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Options {
    /// Where the broker is.
    pub url: BrokerUrl,
    /// Bytes of messages that wait while there is no connection.
    pub max_pending: usize,
}

/// Sends and receives for a group.
pub(super) struct Session {
    options: Options,
    group: Weak<Group>,
    outbox: Arc<Outbox>,
    status: Arc<Status>,
    connector: Connector,
    channels: Arc<Channels>,
    /// Identifies this process to others.
    process: u64,
    numbers: Numbers,
    arrivals: Arrivals,
    neighbours: Neighbours,
    census: Census,
    /// What was sent and is not confirmed, or is sent next. Sent again over the next connection.
    parcels: Vec<Parcel>,
    /// What of these, and what else, waits because a part of the broker is away.
    held: Held,
    /// Topics that are subscribed at the broker.
    subscribed: HashSet<Box<[u8]>>,
    /// Topics that have got a subscriber in this process, and are to be subscribed at the broker.
    wanted: Vec<Box<[u8]>>,
    /// Topics without a subscriber in this process, and when they are unsubscribed at the broker, unless they get one.
    leaving: VecDeque<(Instant, Box<[u8]>)>,
    /// When the broker was last heard of, in milliseconds since the epoch; 0 before the first connection.
    heard: u64,
    /// Since when messages may be missing, in milliseconds since the epoch, if they may.
    gap: Option<u64>,
    /// Whether there is a connection on which everything was subscribed.
    is_serving: bool,
    /// Whether the server is about to end.
    is_leaving: bool,
    /// Whether it was told that the broker refuses messages over this connection.
    has_told_refusal: bool,
    /// When to give up what is still to be sent: the last app has left.
    end: Option<Instant>,
    /// Why the session before this one has ended, if there was one.
    inherited: Option<BrokerFailure>,
}

/// Something that is under way.
type Task<T> = Option<Reply<T>>;

/// What is under way on a connection.
#[derive(Default)]
struct Tasks {
    sending: Task<Vec<Outcome>>,
    /// Subscribing or unsubscribing.
    changing: Task<()>,
    pinging: Task<()>,
    /// Connecting to another server, because this one is about to end.
    moving: Task<Next>,
    /// Whether that was tried since the last beat.
    has_tried: bool,
    /// The connection to the other server.
    next: Option<Next>,
    /// Waiting until this server has handled everything.
    draining: Task<()>,
}

/// A connection to another server.
struct Next {
    connection: Connection,
    /// What is subscribed there.
    topics: HashSet<Box<[u8]>>,
}

impl Tasks {
    /// Whether nothing is under way that the server has to confirm.
    const fn are_idle(&self) -> bool {
        self.sending.is_none() && self.changing.is_none() && self.pinging.is_none()
    }
}

impl Session {
    pub(super) fn new(
        name: Arc<str>,
        options: Options,
        group: Weak<Group>,
        outbox: Arc<Outbox>,
        status: Arc<Status>,
    ) -> Self {
        let process = rand::rng().random();
        let connector = Connector::new(&name, options.url.clone());
        let channels = Arc::new(Channels::new(&name, connector.scheme()));
        Self {
            options,
            group,
            outbox,
            status,
            census: Census::new(process, Arc::clone(&channels), connector.scheme()),
            connector,
            channels,
            process,
            numbers: Numbers::default(),
            arrivals: Arrivals::default(),
            neighbours: Neighbours::default(),
            parcels: Vec::new(),
            held: Held::default(),
            subscribed: HashSet::new(),
            wanted: Vec::new(),
            leaving: VecDeque::new(),
            heard: 0,
            gap: None,
            is_serving: false,
            is_leaving: false,
            has_told_refusal: false,
            end: None,
            inherited: None,
        }
    }

    /// The session behind this one, which a bug has ended. What was sent and not confirmed is lost, and counted: it may be
    /// what the bug is about.
    pub(super) fn succeed(self) -> Self {
        let sent = self.parcels.iter().filter(|parcel| parcel.is_message).count();
        add(&self.status.counts.refused, (sent + self.held.messages()) as u64);
        self.outbox.note_sent(0);
        let name = Arc::clone(&self.status.current().name);
        let failure = BrokerFailure::new(BrokerCause::Internal, "this is a bug in ferrows");
        Self {
            heard: self.heard,
            gap: self.gap,
            end: self.end,
            inherited: Some(failure),
            ..Self::new(name, self.options, self.group, self.outbox, self.status)
        }
    }

    /// Runs until the last app has left, and what it published is sent, or a second has passed.
    pub(super) async fn run(&mut self) {
        let mut attempts = 0;
        loop {
            let failure = match self.inherited.take() {
                Some(failure) => failure,
                None => match self.connector.connect().await {
                    Err(failure) => failure,
                    Ok(connection) => {
                        let before = self.status.current();
                        let Some(failure) = self.serve(connection).await else { return };
                        if !Arc::ptr_eq(&before, &self.status.current()) {
                            attempts = 0;
                        }
                        failure
                    }
                },
            };
            self.note_failure(&failure);
            if self.rest(attempts).await {
                return;
            }
            attempts += 1;
        }
    }

    /// Pauses before the next attempt, longer after each one, and randomly, so that the processes of a cluster do not
    /// all come back at once. Returns whether to give up.
    async fn rest(&mut self, attempts: u32) -> bool {
        let longest = FIRST_PAUSE.saturating_mul(1 << attempts.min(10)).min(self.connector.longest_pause());
        let pause = longest.mul_f64(rand::rng().random_range(0.5..1.0));
        let until = sleep(pause).deadline();
        loop {
            let work = self.outbox.take(false);
            work.questions.into_iter().for_each(|question| self.ask(question));
            if work.is_ended {
                self.note_end();
            }
            if self.is_over() {
                return true;
            }
            let until = self.end.map_or(until, |end| end.min(until));
            tokio::select! {
                () = sleep_until(until) => return self.is_over(),
                () = self.outbox.changed() => {}
            }
        }
    }

    fn note_end(&mut self) {
        self.end.get_or_insert_with(|| sleep(LAST_PATIENCE).deadline());
    }

    /// Whether the last app has left, and there is nothing more to do, or no time.
    fn is_over(&self) -> bool {
        let is_late = |end: Instant| sleep(Duration::ZERO).deadline() >= end;
        self.end.is_some_and(|end| is_late(end) || (self.parcels.is_empty() && self.outbox.is_empty()))
    }

    fn note_failure(&mut self, failure: &BrokerFailure) {
        self.subscribed.clear();
        self.wanted.clear();
        self.leaving.clear();
        self.parcels.retain(|parcel| parcel.is_message);
        self.census.note_disconnected();
        (self.is_leaving, self.has_told_refusal) = (false, false);
        self.is_serving = false;
        self.held.note_disconnected();
        if self.heard != 0 {
            self.gap.get_or_insert(self.heard);
        }
        self.status.counts.subscribed.store(0, std::sync::atomic::Ordering::Relaxed);
        self.outbox.set_limit(self.options.max_pending);
        self.tell_failure(failure, "there is no connection to the broker");
    }

    fn tell_failure(&self, failure: &BrokerFailure, what: &str) {
        if let Some(change) = self.status.note_disconnected(failure) {
            let (name, code) = (&*change.name, failure.cause.code());
            let (place, detail) = (self.connector.place(), &*failure.detail);
            tracing::warn!(name, code, place, detail, "{what}");
            self.tell(change);
        }
    }

    /// A part of the broker is away, and others are there.
    fn note_torn(&self, failure: &BrokerFailure) {
        if self.is_serving {
            self.tell_failure(failure, "a part of the broker is away");
        }
    }

    /// All parts of the broker are there again, or channels have found their way to another part of it.
    fn note_mended(&mut self, since: Option<u64>) {
        if let Some(since) = since {
            self.gap = Some(self.gap.map_or(since, |gap| gap.min(since)));
        }
        if self.is_serving {
            add(&self.status.counts.reconnects, u64::from(!self.status.is_connected()));
            self.tell_connected(&self.connector.place());
        }
    }

    fn tell(&self, change: Arc<StateChange>) {
        if let Some(group) = self.group.upgrade() {
            group.tell(&BrokerEvent::StateChanged(change));
        }
    }

    /// Subscribes all topics, and then sends and receives until the connection fails. `None` if the last app has left.
    async fn serve(&mut self, mut connection: Connection) -> Option<BrokerFailure> {
        if let Err(failure) = self.subscribe_all(&mut connection).await {
            return Some(failure);
        }
        self.note_connected(&mut connection);
        let mut tasks = Tasks::default();
        let mut beat = interval(BEAT);
        beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            self.start(&mut connection, &mut tasks);
            if self.is_over() {
                return None;
            }
            let leave = self.leaving.front().map(|(at, _)| *at).filter(|_| tasks.changing.is_none());
            let end = self.end.unwrap_or_else(|| sleep(BEAT).deadline());
            let due = self.census.deadline();
            let result = tokio::select! {
                delivery = connection.next() => match delivery {
                    Some(delivery) => { self.receive_all(delivery, &mut connection); Ok(()) }
                    None => Err(connection.failure()),
                },
                outcomes = finish(&mut tasks.sending) => outcomes.and_then(|it| self.note_outcomes(&it)),
                reply = finish(&mut tasks.changing) => reply,
                reply = finish(&mut tasks.pinging) => reply.map(|()| self.heard = now()),
                next = finish(&mut tasks.moving) => { tasks.next = next.ok(); Ok(()) }
                reply = finish(&mut tasks.draining) => match reply {
                    Ok(()) => { self.move_on(&mut connection, &mut tasks).await; Ok(()) }
                    Err(failure) => Err(failure),
                },
                _ = beat.tick() => {
                    self.census.expire();
                    // Another server may be there by now.
                    tasks.has_tried = tasks.moving.is_some() || tasks.next.is_some();
                    if tasks.pinging.is_none() && tasks.next.is_none() {
                        tasks.pinging = Some(connection.ping());
                    }
                    Ok(())
                }
                () = sleep_until(due.unwrap_or(end)), if due.is_some() => {
                    if let Some(group) = self.group.upgrade() {
                        self.census.check(&group);
                    }
                    Ok(())
                }
                () = sleep_until(leave.unwrap_or(end)), if leave.is_some() => Ok(()),
                () = sleep_until(end) => Ok(()),
                () = self.outbox.changed() => Ok(()),
            };
            if let Err(failure) = result {
                return Some(failure);
            }
        }
    }

    async fn subscribe_all(&mut self, connection: &mut Connection) -> Result<(), BrokerFailure> {
        let topics = self.topics();
        for sources in self.sources(&topics) {
            let mut reply = connection.subscribe(&self.channels, sources);
            loop {
                // What is subscribed may bring more than waits for it.
                let delivery = tokio::select! {
                    reply = &mut reply => break reply?,
                    delivery = connection.next() => delivery,
                };
                let Some(delivery) = delivery else { return Err(connection.failure()) };
                self.receive_all(delivery, connection);
            }
        }
        self.subscribed = topics;
        self.note_subscribed();
        Ok(())
    }

    /// The topics that have a subscriber.
    fn topics(&self) -> HashSet<Box<[u8]>> {
        let names = self.group.upgrade().map_or_else(Vec::new, |group| group.topic_names());
        names.iter().map(|topic| (**topic).into()).collect()
    }

    /// All that is subscribed, in portions.
    fn sources(&self, topics: &HashSet<Box<[u8]>>) -> Vec<Vec<Source>> {
        let own = [Source::Everybody, Source::Process(self.process), Source::Answers(self.process)];
        let own = own.into_iter().filter(|source| self.connector.scheme().has(source));
        let all: Vec<_> = own.chain(topics.iter().cloned().map(Source::Topic)).collect();
        all.chunks(MAX_CHANNELS).map(<[_]>::to_vec).collect()
    }

    /// Connects to another server, and subscribes everything there, while the one of `connection` is about to end.
    fn connect_elsewhere(&mut self, connection: &Connection) -> Reply<Next> {
        self.connector.avoid(connection);
        let (mut connector, channels) = (self.connector.clone(), Arc::clone(&self.channels));
        let (from, topics) = (connection.place(&self.connector), self.topics());
        let sources = self.sources(&topics);
        Box::pin(async move {
            let mut connection = connector.connect().await?;
            if connection.place(&connector) == from {
                return Err(connection.failure());
            }
            for sources in sources {
                connection.subscribe(&channels, sources).await?;
            }
            Ok(Next { connection, topics })
        })
    }

    /// The server that is about to end has handled everything. What it still had for this process comes first: then
    /// what the next one has brought too is known by its number.
    async fn move_on(&mut self, connection: &mut Connection, tasks: &mut Tasks) {
        let Some(Next { connection: next, topics }) = tasks.next.take() else { return };
        let mut last = std::mem::replace(connection, next);
        last.close();
        while let Some(delivery) = last.next().await {
            self.receive_all(delivery, &mut last);
        }
        (self.is_leaving, tasks.has_tried) = (false, false);
        self.connector.learn(connection);
        let before = std::mem::replace(&mut self.subscribed, topics);
        let now_wanted = self.topics();
        self.wanted = now_wanted.difference(&self.subscribed).cloned().collect();
        let until = sleep(LINGER).deadline();
        self.leaving = self.subscribed.difference(&now_wanted).map(|topic| (until, topic.clone())).collect();
        for topic in before.difference(&self.subscribed).filter(|topic| !now_wanted.contains(*topic)) {
            self.arrivals.forget(topic);
        }
        self.note_subscribed();
        add(&self.status.counts.reconnects, 1);
        let (name, place) = (&*self.status.current().name, connection.place(&self.connector));
        tracing::info!(
            name,
            place,
            "moved to another server of the broker, because the last one is about to end"
        );
    }

    fn note_connected(&mut self, connection: &mut Connection) {
        let is_first = self.heard == 0;
        self.heard = now();
        self.outbox.set_limit(MAX_QUEUED);
        if !is_first {
            add(&self.status.counts.reconnects, 1);
        }
        self.census.note_connected();
        self.is_serving = true;
        match connection.take_trouble() {
            Some(failure) => self.note_torn(&failure),
            None => self.tell_connected(&connection.place(&self.connector)),
        }
    }

    fn tell_connected(&mut self, place: &str) {
        let change = self.status.note_connected(self.gap.take().map(|since| (since, now())));
        let name = &*change.name;
        tracing::info!(name, place, "connected to the broker");
        self.tell(change);
    }

    fn note_subscribed(&self) {
        let count = self.subscribed.len() as u64;
        self.status.counts.subscribed.store(count, std::sync::atomic::Ordering::Relaxed);
    }

    /// Starts what waits and is not under way.
    fn start(&mut self, connection: &mut Connection, tasks: &mut Tasks) {
        self.connector.learn(connection);
        if self.is_leaving && !tasks.has_tried && self.connector.has_others(connection) {
            tasks.has_tried = true;
            tasks.moving = Some(self.connect_elsewhere(connection));
        }
        // What is under way ends where it began; the rest goes to the next server.
        let is_moving = tasks.next.is_some();
        if is_moving && tasks.draining.is_none() && tasks.are_idle() {
            tasks.draining = Some(connection.ping());
        }
        let is_free = tasks.sending.is_none() && !is_moving;
        let has_room = self.parcels.len() == self.held.parcels() && self.held.parcels_weight() < MAX_QUEUED;
        let work = self.outbox.take(is_free && has_room);
        work.questions.into_iter().for_each(|question| self.ask(question));
        if work.is_ended {
            self.note_end();
        }
        self.note_changes(work.changed);
        if is_free {
            tasks.sending = self.send(work.messages, has_room, connection);
        }
        if tasks.changing.is_none() && !is_moving {
            tasks.changing = self.change(connection);
        }
    }

    /// Sends what waits, and `messages`, as far as the connection takes them.
    fn send(
        &mut self,
        messages: Vec<Message>,
        has_room: bool,
        connection: &mut Connection,
    ) -> Task<Vec<Outcome>> {
        let is_worth_it = self.held.note_epoch(connection.epoch());
        let held = if has_room { self.held.take_due() } else { VecDeque::new() };
        let has_taken = !messages.is_empty();
        for message in held.into_iter().chain(messages) {
            let channel = self.channels.topic(&message.topic);
            if connection.takes(&channel) && !self.held.has_parcel(&channel) {
                let parcel = self.pack(message, channel);
                self.parcels.push(parcel);
            } else {
                add(&self.status.counts.refused, self.held.hold(message, self.options.max_pending));
            }
        }
        let has_news = self.parcels.len() > self.held.parcels() || self.census.has_letters();
        if has_news || is_worth_it {
            self.parcels.append(&mut self.census.take_letters());
            return Some(connection.publish(&self.parcels));
        }
        if has_taken {
            // All of it has to wait.
            self.outbox.note_sent(self.held.weight());
        }
        None
    }

    fn note_changes(&mut self, changed: HashSet<Box<[u8]>>) {
        let Some(group) = self.group.upgrade() else { return };
        let until = sleep(LINGER).deadline();
        for topic in changed {
            match (group.has_topic(&topic), self.subscribed.contains(&topic)) {
                (true, false) => self.wanted.push(topic),
                (false, true) => self.leaving.push_back((until, topic)),
                (true, true) | (false, false) => {}
            }
        }
    }

    /// Subscribes topics that have got a subscriber in this process, or unsubscribes some that have had none for a
    /// while.
    fn change(&mut self, connection: &mut Connection) -> Task<()> {
        let group = self.group.upgrade()?;
        let some = self.wanted.len().min(MAX_CHANNELS);
        let wanted: Vec<_> = self.wanted.drain(..some).filter(|topic| group.has_topic(topic)).collect();
        if !wanted.is_empty() {
            self.subscribed.extend(wanted.iter().cloned());
            self.note_subscribed();
            return Some(
                connection.subscribe(&self.channels, wanted.into_iter().map(Source::Topic).collect()),
            );
        }
        let now = sleep(Duration::ZERO).deadline();
        let mut left = Vec::new();
        while left.len() < MAX_CHANNELS
            && self.leaving.front().is_some_and(|(at, _)| *at <= now)
            && let Some((_, topic)) = self.leaving.pop_front()
        {
            if !group.has_topic(&topic) && self.subscribed.remove(&topic) {
                self.arrivals.forget(&topic);
                left.push(Source::Topic(topic));
            }
        }
        self.note_subscribed();
        (!left.is_empty()).then(|| connection.unsubscribe(&self.channels, &left))
    }

    /// Writes the header of a message.
    fn pack(&mut self, message: Message, channel: Vec<u8>) -> Parcel {
        let Message { topic, mut bytes, is_binary, compress } = message;
        let (number, is_first) = self.numbers.next(&topic);
        let header = Header { is_binary, compress, is_first, process: self.process, number };
        bytes[..header::LENGTH].copy_from_slice(&header.encode());
        Parcel { channel, reply: None, bytes, question: None, is_message: true }
    }

    fn ask(&mut self, question: Question) {
        let here = self.group.upgrade().map_or(0, |group| group.count(&question.topic));
        self.census.ask(question, here);
    }

    fn note_outcomes(&mut self, outcomes: &[Outcome]) -> Result<(), BrokerFailure> {
        let counts = &self.status.counts;
        let mut refusal = None;
        let mut deferred = Vec::new();
        for (parcel, outcome) in self.parcels.drain(..).zip(outcomes) {
            match outcome {
                Outcome::Deferred if parcel.is_message => deferred.push(parcel),
                // Whoever asks gives up after a while.
                Outcome::Deferred => {}
                Outcome::Refused(failure) => {
                    add(&counts.refused, u64::from(parcel.is_message));
                    refusal = Some(failure);
                }
                Outcome::Taken { receivers } => {
                    if parcel.is_message {
                        add(&counts.sent, 1);
                        add(&counts.bytes_sent, (parcel.bytes.len() - header::LENGTH) as u64);
                    }
                    if let (Some(number), Some(receivers)) = (parcel.question, receivers) {
                        self.census.note_receivers(number, *receivers);
                    }
                }
            }
        }
        self.heard = now();
        self.held.note_parcels(&deferred);
        self.parcels = deferred;
        self.outbox.note_sent(self.held.weight());
        match refusal {
            // The broker may take other messages.
            Some(failure) if matches!(failure.cause, BrokerCause::Auth | BrokerCause::TooLarge) => {
                if !std::mem::replace(&mut self.has_told_refusal, true) {
                    let (code, detail) = (failure.cause.code(), &*failure.detail);
                    tracing::warn!(code, detail, "the broker has refused messages");
                }
                Ok(())
            }
            Some(failure) => Err(failure.clone()),
            None => Ok(()),
        }
    }

    /// Handles something that has arrived, and what has arrived with it.
    fn receive_all(&mut self, delivery: Delivery, connection: &mut Connection) {
        let Some(group) = self.group.upgrade() else { return };
        self.heard = now();
        self.receive(delivery, &group);
        for _ in 0..MAX_RECEIVED {
            let Some(delivery) = connection.next_now() else { break };
            self.receive(delivery, &group);
        }
        self.neighbours.flush();
    }

    fn receive(&mut self, delivery: Delivery, group: &Group) {
        match delivery {
            Delivery::Leaving => self.is_leaving = true,
            Delivery::Torn { failure } => self.note_torn(&failure),
            Delivery::Mended { since } => self.note_mended(since),
            Delivery::Sharded { channel, payload } => self.receive_channel(&channel, &payload, group),
            Delivery::Nats(arrival) => match &*arrival.source {
                Source::Topic(topic) => self.receive_published(topic, &arrival.payload, group),
                Source::Everybody => self.census.note_announcement(&arrival, group),
                Source::Process(_) => self.census.note_nats_question(&arrival, group),
                Source::Answers(_) => self.census.note_nats_answer(&arrival, group),
            },
            Delivery::Redis(message) => {
                let Ok(channel) = message.get_channel::<Vec<u8>>() else { return };
                self.receive_channel(&channel, message.get_payload_bytes(), group);
            }
        }
    }

    /// A message of Redis.
    fn receive_channel(&mut self, channel: &[u8], bytes: &[u8], group: &Group) {
        let channels = Arc::clone(&self.channels);
        if let Some(topic) = channels.topic_of(channel) {
            self.receive_published(topic, bytes, group);
        } else if channel == channels.everybody() {
            self.census.note_question(bytes, group);
        } else {
            self.census.note_answer(bytes);
        }
    }

    fn receive_published(&mut self, topic: &[u8], bytes: &[u8], group: &Group) {
        let counts = &self.status.counts;
        let (payload, is_binary, compress) = match header::decode(bytes) {
            Received::Own(header, _) if header.process == self.process => return,
            Received::Own(header, payload) => {
                let Header { process, number, is_first, .. } = header;
                match self.arrivals.note(topic, process, number, is_first) {
                    Arrival::Again => return,
                    Arrival::New { lost } => add(&counts.missed, lost),
                }
                (payload, header.is_binary, header.compress)
            }
            Received::Foreign => (bytes, false, false),
            Received::Unknown(version) => {
                tracing::debug!(version, "a message of a later version of the format was dropped");
                add(&counts.missed, 1);
                return;
            }
        };
        add(&counts.received, 1);
        add(&counts.bytes_received, payload.len() as u64);
        let is_text = !is_binary && simdutf8::basic::from_utf8(payload).is_ok();
        let kind = if is_text { MessageKind::Text } else { MessageKind::Binary };
        let (message, mut is_delivered) = (Published { kind, payload, compress }, true);
        group.for_each_audience(topic, |audience| {
            for worker in audience.workers() {
                let peers = audience.member().peers();
                is_delivered &= self.neighbours.offer(peers, worker, audience.topic(), message);
            }
        });
        add(&counts.missed, u64::from(!is_delivered));
    }
}

/// Waits for the end of a task; for ever if there is none.
async fn finish<T>(task: &mut Task<T>) -> Result<T, BrokerFailure> {
    let Some(running) = task else { return pending().await };
    let result = running.await;
    *task = None;
    result
}

/// Pause after the first attempt; it doubles with each one.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
/// How often the broker is asked whether it is there.
const BEAT: Duration = Duration::from_secs(5);
/// How long a topic stays subscribed after its last subscriber.
const LINGER: Duration = Duration::from_secs(5);
/// Time to send what was published before the end.
const LAST_PATIENCE: Duration = Duration::from_secs(1);
/// Bytes that may wait while there is a connection.
const MAX_QUEUED: usize = 16 * 1024 * 1024;
/// Channels in one command.
const MAX_CHANNELS: usize = 1000;
/// Messages that are handled before anything else is looked at.
const MAX_RECEIVED: usize = 256;
