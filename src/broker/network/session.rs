//! The life of a connection to a broker, and of the next one.

use std::collections::{HashSet, VecDeque};
use std::future::{Future, pending};
use std::pin::Pin;
use std::sync::Weak;
use std::time::Duration;

use futures_util::{FutureExt, StreamExt};
use rand::RngExt;
use redis::{Msg, RedisError, RedisResult, Value};
use tokio::time::{Instant, MissedTickBehavior, interval, sleep, sleep_until, timeout};

use super::outbox::{Message, Outbox, Question};
use super::questions::Questions;
use super::redis::{Connections, RESPONSE_TIMEOUT, connect, failure_of};
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
    /// The channels of the group.
    channels: Channels,
    /// Identifies this process to others.
    process: u64,
    numbers: Numbers,
    arrivals: Arrivals,
    neighbours: Neighbours,
    questions: Questions,
    /// What was sent and is not confirmed, or is sent next. Sent again over the next connection.
    parcels: Vec<Parcel>,
    /// Questions and answers that are sent next.
    letters: Vec<Parcel>,
    /// Topics that are subscribed at the broker.
    subscribed: HashSet<Box<[u8]>>,
    /// Topics that have got a subscriber in this process, and are to be subscribed at the broker.
    wanted: Vec<Box<[u8]>>,
    /// Topics without a subscriber in this process, and when they are unsubscribed at the broker, unless they get one.
    leaving: VecDeque<(Instant, Box<[u8]>)>,
    /// When the broker was last heard of, in milliseconds since the epoch; 0 before the first connection.
    heard: u64,
    /// When to give up what is still to be sent: the last app has left.
    end: Option<Instant>,
}

/// The names of channels.
struct Channels {
    /// In front of each topic.
    prefix: Vec<u8>,
    /// Where questions go to.
    questions: Vec<u8>,
    /// Where answers to this process go to.
    answers: Vec<u8>,
}

/// Something to publish.
struct Parcel {
    channel: Vec<u8>,
    bytes: Vec<u8>,
    /// The question that this asks.
    question: Option<u64>,
    /// Whether it is a message of the application.
    is_message: bool,
}

type Task<T> = Option<Pin<Box<dyn Future<Output = T> + Send>>>;

/// The result of something that the broker was asked for; an error if it did not answer in time.
type Reply<T> = Result<RedisResult<T>, tokio::time::error::Elapsed>;

impl Channels {
    fn new(name: &str, process: u64) -> Self {
        Self {
            prefix: format!("{name}:").into(),
            questions: format!("{name}#ask").into(),
            answers: answers_to(name.as_bytes(), process),
        }
    }

    fn of(&self, topic: &[u8]) -> Vec<u8> {
        [&self.prefix, topic].concat()
    }

    /// The name of the group.
    fn name(&self) -> &[u8] {
        &self.prefix[..self.prefix.len() - 1]
    }
}

fn answers_to(name: &[u8], process: u64) -> Vec<u8> {
    [name, format!("#{process:016x}").as_bytes()].concat()
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
        Self {
            options,
            group,
            outbox,
            status,
            channels: Channels::new(&name, process),
            process,
            numbers: Numbers::default(),
            arrivals: Arrivals::default(),
            neighbours: Neighbours::default(),
            questions: Questions::default(),
            parcels: Vec::new(),
            letters: Vec::new(),
            subscribed: HashSet::new(),
            wanted: Vec::new(),
            leaving: VecDeque::new(),
            heard: 0,
            end: None,
        }
    }

    /// Runs until the last app has left, and what it published is sent, or a second has passed.
    pub(super) async fn run(mut self) {
        let mut attempts = 0;
        loop {
            let failure = match connect(&self.options.url).await {
                Err(failure) => failure,
                Ok(connections) => {
                    let before = self.status.current();
                    let Some(failure) = self.serve(connections).await else { return };
                    if !Arc::ptr_eq(&before, &self.status.current()) {
                        attempts = 0;
                    }
                    failure
                }
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
        let longest = FIRST_PAUSE.saturating_mul(1 << attempts.min(10)).min(LONGEST_PAUSE);
        let pause = longest.mul_f64(rand::rng().random_range(0.5..1.0));
        let until = sleep(pause).deadline();
        loop {
            let work = self.outbox.take(false);
            work.questions.iter().for_each(|question| self.ask(question));
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
        self.letters.clear();
        self.status.counts.subscribed.store(0, std::sync::atomic::Ordering::Relaxed);
        self.outbox.set_limit(self.options.max_pending);
        if let Some(change) = self.status.note_disconnected(failure) {
            let (name, code) = (&*change.name, failure.cause.code());
            let (place, detail) = (self.options.url.place.to_string(), &*failure.detail);
            tracing::warn!(name, code, place, detail, "there is no connection to the broker");
            self.tell(change);
        }
    }

    fn tell(&self, change: Arc<StateChange>) {
        if let Some(group) = self.group.upgrade() {
            group.tell(&BrokerEvent::StateChanged(change));
        }
    }

    /// Subscribes all topics, and then sends and receives until the connection fails. `None` if the last app has left.
    async fn serve(&mut self, mut connections: Connections) -> Option<BrokerFailure> {
        if let Err(failure) = self.subscribe_all(&mut connections).await {
            return Some(failure);
        }
        self.note_connected();
        let (mut sending, mut changing, mut pinging) = (None, None, None);
        let mut beat = interval(BEAT);
        beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            self.start(&connections, &mut sending, &mut changing);
            if self.is_over() {
                return None;
            }
            let leave = self.leaving.front().map(|(at, _)| *at).filter(|_| changing.is_none());
            let end = self.end.unwrap_or_else(|| sleep(BEAT).deadline());
            let result = tokio::select! {
                message = connections.stream.next() => match message {
                    Some(message) => { self.receive_all(&message, &mut connections); Ok(()) }
                    None => Err(closed(&connections)),
                },
                replies = finish(&mut sending) => self.note_replies(replies, &connections),
                reply = finish(&mut changing) => check(reply, &connections),
                reply = finish(&mut pinging) => check(reply, &connections).map(|()| self.heard = now()),
                _ = beat.tick() => {
                    self.questions.expire();
                    if pinging.is_none() {
                        pinging = Some(ping(&connections));
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

    async fn subscribe_all(&mut self, connections: &mut Connections) -> Result<(), BrokerFailure> {
        let topics = self.group.upgrade().map_or_else(Vec::new, |group| group.topic_names());
        let mut channels = vec![self.channels.questions.clone(), self.channels.answers.clone()];
        channels.extend(topics.iter().map(|topic| self.channels.of(topic)));
        for some in channels.chunks(MAX_CHANNELS) {
            let reply = timeout(RESPONSE_TIMEOUT, connections.sink.subscribe(some)).await;
            check(reply, connections)?;
        }
        self.subscribed = topics.iter().map(|topic| (**topic).into()).collect();
        self.note_subscribed();
        Ok(())
    }

    fn note_connected(&mut self) {
        let is_first = self.heard == 0;
        let gap = (!is_first).then(|| (self.heard, now()));
        self.heard = now();
        self.outbox.set_limit(MAX_QUEUED);
        if !is_first {
            add(&self.status.counts.reconnects, 1);
        }
        let change = self.status.note_connected(gap);
        let (name, place) = (&*change.name, self.options.url.place.to_string());
        tracing::info!(name, place, "connected to the broker");
        self.tell(change);
    }

    fn note_subscribed(&self) {
        let count = self.subscribed.len() as u64;
        self.status.counts.subscribed.store(count, std::sync::atomic::Ordering::Relaxed);
    }

    /// Starts what waits and is not under way.
    fn start(
        &mut self,
        connections: &Connections,
        sending: &mut Task<Reply<Vec<Value>>>,
        changing: &mut Task<Reply<()>>,
    ) {
        let is_free = sending.is_none();
        let work = self.outbox.take(is_free && self.parcels.is_empty());
        work.questions.iter().for_each(|question| self.ask(question));
        if work.is_ended {
            self.note_end();
        }
        for message in work.messages {
            let parcel = self.pack(message);
            self.parcels.push(parcel);
        }
        self.note_changes(work.changed);
        if is_free && !(self.parcels.is_empty() && self.letters.is_empty()) {
            self.parcels.append(&mut self.letters);
            *sending = Some(self.send(connections));
        }
        if changing.is_none() {
            *changing = self.change(connections);
        }
    }

    fn send(&self, connections: &Connections) -> Pin<Box<dyn Future<Output = Reply<Vec<Value>>> + Send>> {
        let mut pipeline = redis::pipe();
        for parcel in &self.parcels {
            pipeline.cmd("PUBLISH").arg(&parcel.channel).arg(&parcel.bytes);
        }
        let (mut publisher, count) = (connections.publisher.clone(), self.parcels.len());
        Box::pin(async move {
            timeout(RESPONSE_TIMEOUT, publisher.send_packed_commands(&pipeline, 0, count)).await
        })
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
    fn change(&mut self, connections: &Connections) -> Task<Reply<()>> {
        let group = self.group.upgrade()?;
        let mut sink = connections.sink.clone();
        let some = self.wanted.len().min(MAX_CHANNELS);
        let wanted: Vec<_> = self.wanted.drain(..some).filter(|topic| group.has_topic(topic)).collect();
        if !wanted.is_empty() {
            let channels: Vec<_> = wanted.iter().map(|topic| self.channels.of(topic)).collect();
            self.subscribed.extend(wanted);
            self.note_subscribed();
            return Some(Box::pin(timeout(RESPONSE_TIMEOUT, async move { sink.subscribe(channels).await })));
        }
        let now = sleep(Duration::ZERO).deadline();
        let mut channels = Vec::new();
        while channels.len() < MAX_CHANNELS
            && self.leaving.front().is_some_and(|(at, _)| *at <= now)
            && let Some((_, topic)) = self.leaving.pop_front()
        {
            if !group.has_topic(&topic) && self.subscribed.remove(&topic) {
                self.arrivals.forget(&topic);
                channels.push(self.channels.of(&topic));
            }
        }
        self.note_subscribed();
        if channels.is_empty() {
            return None;
        }
        Some(Box::pin(timeout(RESPONSE_TIMEOUT, async move { sink.unsubscribe(channels).await })))
    }

    /// Writes the header of a message.
    fn pack(&mut self, message: Message) -> Parcel {
        let Message { topic, mut bytes, is_binary, compress } = message;
        let (number, is_first) = self.numbers.next(&topic);
        let header = Header { is_binary, compress, is_first, process: self.process, number };
        bytes[..header::LENGTH].copy_from_slice(&header.encode());
        Parcel { channel: self.channels.of(&topic), bytes, question: None, is_message: true }
    }

    /// A question or an answer: `number` is that of the question.
    fn letter(&self, number: u64, content: &[u8]) -> Vec<u8> {
        let [is_binary, compress, is_first] = [true, false, false];
        let header = Header { is_binary, compress, is_first, process: self.process, number };
        [&header.encode()[..], content].concat()
    }

    fn ask(&mut self, question: &Question) {
        if self.letters.len() >= MAX_LETTERS {
            return;
        }
        let here = self.group.upgrade().map_or(0, |group| group.count(&question.topic));
        self.questions.open(question, here);
        let bytes = self.letter(question.number, &question.topic);
        let channel = self.channels.questions.clone();
        self.letters.push(Parcel { channel, bytes, question: Some(question.number), is_message: false });
    }

    fn note_replies(
        &mut self,
        replies: Reply<Vec<Value>>,
        connections: &Connections,
    ) -> Result<(), BrokerFailure> {
        let replies = match replies {
            Ok(Ok(replies)) => replies,
            Ok(Err(error)) => return Err(failure_of(&error, &connections.verdict)),
            Err(_) => return Err(unanswered()),
        };
        let counts = &self.status.counts;
        let mut refusal = None;
        for (parcel, reply) in self.parcels.drain(..).zip(replies) {
            match reply {
                Value::ServerError(error) => {
                    add(&counts.refused, u64::from(parcel.is_message));
                    refusal = Some(RedisError::from(error));
                }
                reply => {
                    if parcel.is_message {
                        add(&counts.sent, 1);
                        add(&counts.bytes_sent, (parcel.bytes.len() - header::LENGTH) as u64);
                    }
                    if let (Some(number), Value::Int(receivers)) = (parcel.question, reply) {
                        // This process is one of them.
                        self.questions.expect(number, u64::try_from(receivers - 1).unwrap_or(0));
                    }
                }
            }
        }
        self.heard = now();
        self.outbox.note_sent();
        match refusal.map(|error| failure_of(&error, &connections.verdict)) {
            // Other messages may be allowed.
            Some(failure) if failure.cause == BrokerCause::Auth => {
                let (code, detail) = (failure.cause.code(), &*failure.detail);
                tracing::warn!(code, detail, "the broker has refused messages");
                Ok(())
            }
            Some(failure) => Err(failure),
            None => Ok(()),
        }
    }

    /// Handles a message, and others that have arrived with it.
    fn receive_all(&mut self, message: &Msg, connections: &mut Connections) {
        let Some(group) = self.group.upgrade() else { return };
        self.heard = now();
        self.receive(message, &group);
        for _ in 0..MAX_RECEIVED {
            let Some(Some(message)) = connections.stream.next().now_or_never() else { break };
            self.receive(&message, &group);
        }
        self.neighbours.flush();
    }

    fn receive(&mut self, message: &Msg, group: &Group) {
        let Ok(channel) = message.get_channel::<Vec<u8>>() else { return };
        let bytes = message.get_payload_bytes();
        if channel == self.channels.questions {
            if let Received::Own(Header { process, number, .. }, topic) = header::decode(bytes)
                && process != self.process
                && self.letters.len() < MAX_LETTERS
            {
                let bytes = self.letter(number, &group.count(topic).to_be_bytes());
                let channel = answers_to(self.channels.name(), process);
                self.letters.push(Parcel { channel, bytes, question: None, is_message: false });
            }
        } else if channel == self.channels.answers {
            if let Received::Own(Header { number, .. }, count) = header::decode(bytes)
                && let Ok(count) = <[u8; 8]>::try_from(count)
            {
                self.questions.note_answer(number, u64::from_be_bytes(count));
            }
        } else if let Some(topic) = channel.strip_prefix(&self.channels.prefix[..]) {
            self.receive_published(topic, bytes, group);
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

fn ping(connections: &Connections) -> Pin<Box<dyn Future<Output = Reply<()>> + Send>> {
    let (mut sink, mut publisher) = (connections.sink.clone(), connections.publisher.clone());
    Box::pin(timeout(RESPONSE_TIMEOUT, async move {
        sink.ping::<Value>().await?;
        redis::cmd("PING").exec_async(&mut publisher).await
    }))
}

/// Waits for the end of a task; for ever if there is none.
async fn finish<T>(task: &mut Task<T>) -> T {
    let Some(running) = task else { return pending().await };
    let result = running.await;
    *task = None;
    result
}

fn check<T>(reply: Reply<T>, connections: &Connections) -> Result<(), BrokerFailure> {
    match reply {
        Ok(Ok(_)) => Ok(()),
        Ok(Err(error)) => Err(failure_of(&error, &connections.verdict)),
        Err(_) => Err(unanswered()),
    }
}

fn unanswered() -> BrokerFailure {
    BrokerFailure::new(BrokerCause::Timeout, "the broker does not answer")
}

fn closed(connections: &Connections) -> BrokerFailure {
    let closed = || BrokerFailure::new(BrokerCause::Closed, "the broker has closed the connection");
    connections.verdict.get().cloned().unwrap_or_else(closed)
}

/// Pause after the first attempt; it doubles with each one.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
/// Longest pause.
const LONGEST_PAUSE: Duration = Duration::from_secs(10);
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
/// Questions and answers that may wait; further ones are dropped, and whoever asks gives up after a while.
const MAX_LETTERS: usize = 10_000;
/// Messages that are handled before anything else is looked at.
const MAX_RECEIVED: usize = 256;
