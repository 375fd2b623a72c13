//! Connections to scripted masters, on socket pairs.

use futures_util::FutureExt;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::runtime::Builder;

use super::*;
use crate::broker::network::dial::Stream;
use crate::broker::network::redis::Publisher;
use crate::broker::network::status::now;

/// A master, by the servers' ends of its two connections.
struct Master {
    subscriber: DuplexStream,
    publisher: DuplexStream,
    read: Vec<u8>,
}

impl Master {
    /// The commands that the subscriber has got up to its next `PING`, and the number of that.
    async fn ordered(&mut self) -> (Vec<Vec<String>>, String) {
        let mut commands = Vec::new();
        loop {
            while let Some(command) = take_command(&mut self.read) {
                if command[0] == "PING" {
                    return (commands, command[1].clone());
                }
                commands.push(command);
            }
            assert_ne!(self.subscriber.read_buf(&mut self.read).await.unwrap(), 0, "the client has gone");
        }
    }

    async fn send(&mut self, text: &str) {
        self.subscriber.write_all(text.as_bytes()).await.unwrap();
    }

    async fn pong(&mut self, number: &str) {
        self.send(&list(&["pong", number])).await;
    }

    /// Does what it is told.
    async fn obey(&mut self) -> Vec<String> {
        let (commands, number) = self.ordered().await;
        for command in &commands {
            self.send(&event(&command[0].to_lowercase(), &command[1])).await;
        }
        self.pong(&number).await;
        commands.iter().map(|command| command.join(" ")).collect()
    }

    /// Answers what is published; returns the channels of that. Does not say which slots there are.
    async fn answer(&mut self, answer: &str) -> Vec<String> {
        let mut channels = Vec::new();
        while channels.is_empty() {
            let mut read = vec![0; 1 << 16];
            let count = self.publisher.read(&mut read).await.unwrap();
            read.truncate(count);
            while let Some(command) = take_command(&mut read) {
                let is_message = command[0] == "SPUBLISH";
                let answer = if is_message { answer } else { "-LOADING\r\n" };
                self.publisher.write_all(answer.as_bytes()).await.unwrap();
                channels.extend(command.into_iter().nth(1).filter(|_| is_message));
            }
        }
        channels
    }
}

fn take_command(read: &mut Vec<u8>) -> Option<Vec<String>> {
    let text = String::from_utf8(read.clone()).unwrap();
    let mut lines = text.split_inclusive("\r\n");
    let count: usize = lines.next()?.strip_prefix('*')?.trim().parse().unwrap();
    let words: Vec<_> = lines.by_ref().take(2 * count).collect();
    if words.len() < 2 * count || !words[2 * count - 1].ends_with("\r\n") {
        return None;
    }
    *read = lines.collect::<String>().into_bytes();
    Some(words.iter().skip(1).step_by(2).map(|word| word.trim().to_owned()).collect())
}

fn list(words: &[&str]) -> String {
    let words: String = words.iter().map(|word| format!("${}\r\n{word}\r\n", word.len())).collect();
    format!("*{}\r\n{words}", words.matches("\r\n").count() / 2)
}

fn event(kind: &str, channel: &str) -> String {
    format!("*3\r\n${}\r\n{kind}\r\n${}\r\n{channel}\r\n:1\r\n", kind.len(), channel.len())
}

fn run<T>(test: impl Future<Output = T>) -> T {
    Builder::new_current_thread().enable_all().build().unwrap().block_on(test)
}

fn address(number: u16) -> Address {
    // Nobody listens there.
    Address::new("127.0.0.1", number)
}

/// A node with scripted ends.
async fn node(connection: &mut Connection, number: u16) -> Master {
    let ((first, subscriber), (second, mut publisher)) =
        (tokio::io::duplex(1 << 16), tokio::io::duplex(1 << 16));
    let streams: [Box<dyn Stream>; 2] = [Box::new(first), Box::new(second)];
    let [first, second] = streams;
    let user = RedisUser::default();
    let setup = async {
        let mut read = vec![0; 4096];
        let count = publisher.read(&mut read).await.unwrap();
        read.truncate(count);
        while take_command(&mut read).is_some() {
            publisher.write_all(b"+OK\r\n").await.unwrap();
        }
    };
    let (publisher_end, ()) = tokio::join!(Publisher::new(second, &user), setup);
    let introduced = subscriber::introduce(first, &user).await.unwrap();
    let (id, deliver, room) = (u64::from(number), connection.deliver.clone(), Arc::clone(&connection.room));
    let orders = subscriber::start(introduced, id, deliver, room);
    let endpoint = Endpoint { address: address(number), certified: None };
    let node = Node::new(endpoint, id, publisher_end.unwrap(), orders);
    connection.take_done(Done::Connected(address(number), Ok(Box::new(node))));
    Master { subscriber, publisher, read: Vec::new() }
}

/// Two masters: slots below the half are at the first one.
async fn cluster() -> (Connection, [Master; 2]) {
    let guide = Endpoint { address: Address::new("seed", 1), certified: None };
    let mut connection = Connection::new(RedisUser::default(), guide, Known::default());
    // There is nobody to look for.
    connection.look.next_look += Duration::from_secs(3600);
    connection.take_slots(slots([(0, 8191, 1), (8192, 16_383, 2)]));
    let masters = [node(&mut connection, 1).await, node(&mut connection, 2).await];
    (connection, masters)
}

fn slots<const N: usize>(ranges: [(i64, i64, i64); N]) -> Slots {
    use redis::Value;
    let range = |(first, last, port)| {
        let node = Value::Array(vec![Value::BulkString("127.0.0.1".into()), Value::Int(port)]);
        Value::Array(vec![Value::Int(first), Value::Int(last), node])
    };
    Slots::parse(&Value::Array(ranges.map(range).into()), &Address::new("seed", 1)).unwrap()
}

/// A channel of each of the two.
fn channels() -> [Vec<u8>; 2] {
    let find = |is_first: bool| {
        let mut names = (0..).map(|number| format!("chat:{number}").into_bytes());
        names.find(|name| (slot_of(name) < 8192) == is_first).unwrap()
    };
    [find(true), find(false)]
}

fn text(channel: &[u8]) -> String {
    String::from_utf8(channel.to_vec()).unwrap()
}

fn parcel(channel: &[u8]) -> Parcel {
    Parcel { channel: channel.to_vec(), reply: None, bytes: b"x".to_vec(), question: None, is_message: true }
}

const TAKEN: Outcome = Outcome::Taken { receivers: Some(1) };

/// Runs a connection until something else is done; what it has told meanwhile.
async fn while_running<T>(connection: &mut Connection, other: impl Future<Output = T>) -> (T, Vec<Delivery>) {
    let mut told = Vec::new();
    tokio::pin!(other);
    loop {
        tokio::select! {
            biased;
            result = &mut other => return (result, told),
            delivery = connection.next() => told.push(delivery.expect("it has ended")),
        }
    }
}

/// Waits for something that it tells.
async fn told(connection: &mut Connection) -> Delivery {
    connection.next().await.expect("it has ended")
}

#[test]
fn a_channel_is_subscribed_where_its_slot_is_and_messages_come_from_there() {
    run(async {
        let (mut connection, [mut first, mut second]) = cluster().await;
        let [one, two] = channels();
        let reply = connection.subscribe(vec![one.clone(), two.clone()]);
        let (orders, _) =
            while_running(&mut connection, async { tokio::join!(first.obey(), second.obey()) }).await;
        let subscribe = |channel: &[u8]| vec![format!("SSUBSCRIBE {}", text(channel))];
        assert_eq!(orders, (subscribe(&one), subscribe(&two)));
        while_running(&mut connection, reply).await.0.unwrap();
        assert!(connection.take_trouble().is_none());
        second.send(&list(&["smessage", &text(&two), "hello"])).await;
        let Delivery::Sharded { channel, payload } = told(&mut connection).await else {
            panic!("no message")
        };
        assert_eq!((&channel[..], &payload[..]), (&two[..], &b"hello"[..]));
        connection.unsubscribe(std::slice::from_ref(&two)).await.unwrap();
        let (orders, events) = while_running(&mut connection, second.obey()).await;
        assert_eq!((orders, events.len()), (vec![format!("SUNSUBSCRIBE {}", text(&two))], 0));
        // That it has left is no news.
        assert!(connection.next().now_or_never().is_none());
        assert!(connection.channels.len() == 1 && connection.torn.is_none());
    });
}

#[test]
fn a_slot_that_leaves_takes_its_channel_along_and_a_gap_is_told() {
    run(async {
        let (mut connection, [mut first, mut second]) = cluster().await;
        let [one, _] = channels();
        let reply = connection.subscribe(vec![one.clone()]);
        while_running(&mut connection, async { tokio::join!(first.obey(), reply) }).await.0.1.unwrap();
        let heard = connection.nodes[&address(1)].heard;
        first.send(&event("sunsubscribe", &text(&one))).await;
        // The first one is asked again at first, because nobody has said where the slot is.
        let ((_, number), _) = while_running(&mut connection, first.ordered()).await;
        first.send(&format!("-MOVED {} 127.0.0.1:2\r\n", slot_of(&one))).await;
        first.pong(&number).await;
        let (orders, _) = while_running(&mut connection, second.obey()).await;
        assert_eq!(orders, [format!("SSUBSCRIBE {}", text(&one))]);
        let Delivery::Mended { since: Some(since) } = told(&mut connection).await else { panic!("no gap") };
        assert!((heard..=now()).contains(&since));
        let reply = connection.publish(&[parcel(&one)]);
        let (outcomes, _) =
            while_running(&mut connection, async { tokio::join!(reply, second.answer(":1\r\n")) }).await;
        assert_eq!((outcomes.0.unwrap(), outcomes.1), (vec![TAKEN], vec![text(&one)]));
    });
}

#[test]
fn a_gap_is_told_although_the_old_master_still_has_the_channel_when_the_new_one_gets_it() {
    run(async {
        let (mut connection, [mut first, mut second]) = cluster().await;
        let [one, _] = channels();
        let reply = connection.subscribe(vec![one.clone()]);
        while_running(&mut connection, async { tokio::join!(first.obey(), reply) }).await.0.1.unwrap();
        let heard = connection.nodes[&address(1)].heard;
        connection.take_slots(slots([(0, 16_383, 2)]));
        let (orders, _) = while_running(&mut connection, second.obey()).await;
        assert_eq!(orders, [format!("SSUBSCRIBE {}", text(&one))]);
        let (orders, events) = while_running(&mut connection, first.obey()).await;
        assert_eq!(orders, [format!("SUNSUBSCRIBE {}", text(&one))]);
        let [Delivery::Mended { since: Some(since) }] = &events[..] else { panic!("not one gap") };
        assert!((heard..=now()).contains(since));
        // The first one has nothing more to do.
        while connection.nodes.len() > 1 {
            connection.next().now_or_never();
            tokio::task::yield_now().await;
        }
        assert!(connection.torn.is_none() && connection.take_trouble().is_none());
    });
}

#[test]
fn a_master_that_is_away_harms_only_its_slots() {
    run(async {
        let (mut connection, [first, mut second]) = cluster().await;
        let [one, two] = channels();
        drop(first);
        let Delivery::Torn { failure } = told(&mut connection).await else { panic!("not told") };
        assert!(failure.detail.starts_with("127.0.0.1:1: "), "{}", failure.detail);
        assert_eq!([connection.takes(&one), connection.takes(&two)], [false, true]);
        let reply = connection.publish(&[parcel(&one), parcel(&two), parcel(&one)]);
        let (outcomes, _) =
            while_running(&mut connection, async { tokio::join!(reply, second.answer(":1\r\n")) }).await;
        assert_eq!(outcomes.0.unwrap(), [Outcome::Deferred, TAKEN, Outcome::Deferred]);
        // A channel for which there is no way is nothing to wait for.
        let reply = connection.subscribe(vec![one.clone(), two.clone()]);
        while_running(&mut connection, async { tokio::join!(second.obey(), reply) }).await.0.1.unwrap();
        let before = connection.epoch();
        let mut again = node(&mut connection, 1).await;
        let (orders, _) = while_running(&mut connection, again.obey()).await;
        assert_eq!(orders, [format!("SSUBSCRIBE {}", text(&one))]);
        assert!(matches!(told(&mut connection).await, Delivery::Mended { .. }));
        assert!(connection.epoch() > before);
    });
}

#[test]
fn what_a_master_cannot_take_now_is_deferred_and_what_it_refuses_is_not() {
    run(async {
        let (mut connection, [mut first, _second]) = cluster().await;
        let [one, _] = channels();
        for (answer, outcome) in [
            ("-CLUSTERDOWN Hash slot not served\r\n", Some(BrokerCause::Connect)),
            ("-LOADING Redis is loading\r\n", Some(BrokerCause::Connect)),
            ("-NOPERM no\r\n", Some(BrokerCause::Auth)),
            ("-ERR unknown command 'SPUBLISH'\r\n", Some(BrokerCause::Refused)),
            (":0\r\n", None),
        ] {
            let reply = connection.publish(&[parcel(&one)]);
            let (sent, _) = tokio::join!(reply, first.answer(answer));
            let found = match &sent.unwrap()[0] {
                Outcome::Deferred => Some(BrokerCause::Connect),
                Outcome::Refused(failure) => Some(failure.cause),
                Outcome::Taken { .. } => None,
            };
            assert_eq!(found, outcome, "{answer}");
        }
        assert!(connection.next().now_or_never().is_none());
        assert!(connection.look.is_stale);
    });
}

#[test]
fn rights_that_are_missing_end_it() {
    run(async {
        let (mut connection, [mut first, _second]) = cluster().await;
        let [one, _] = channels();
        let reply = connection.subscribe(vec![one]);
        let refusal = async {
            let (_, number) = first.ordered().await;
            first.send("-NOPERM no access to the channel\r\n").await;
            first.pong(&number).await;
            std::future::pending::<()>().await;
        };
        tokio::select! {
            () = refusal => {}
            end = connection.next() => assert!(end.is_none()),
        }
        assert_eq!(connection.failure().cause, BrokerCause::Auth);
        reply.await.unwrap();
    });
}

#[test]
fn it_ends_when_all_masters_are_away() {
    run(async {
        let (mut connection, masters) = cluster().await;
        drop(masters);
        while connection.next().await.is_some() {}
        let cause = connection.failure().cause;
        assert!(matches!(cause, BrokerCause::Closed | BrokerCause::Connect), "{cause:?}");
    });
}
