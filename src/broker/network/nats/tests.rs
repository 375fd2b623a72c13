//! A connection against a scripted server, on a socket pair.

use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::runtime::Builder;

use super::*;
use crate::broker::network::channels::Scheme;

const INFO: &str = "INFO {\"server_id\":\"x\",\"max_payload\":100,\"headers\":true}\r\n";

/// The server's end.
struct Server {
    stream: DuplexStream,
    read: Vec<u8>,
}

impl Server {
    async fn send(&mut self, text: &str) {
        self.stream.write_all(text.as_bytes()).await.unwrap();
    }

    /// What the client sends up to its next `PING`.
    async fn up_to_ping(&mut self) -> String {
        loop {
            if let Some(at) = self.read.windows(PING.len()).position(|bytes| bytes == PING) {
                let rest = self.read.split_off(at + PING.len());
                let mut text = std::mem::replace(&mut self.read, rest);
                text.truncate(at);
                return String::from_utf8(text).unwrap();
            }
            let count = self.stream.read_buf(&mut self.read).await.unwrap();
            assert_ne!(count, 0, "the client has gone");
        }
    }

    /// Answers what the client sends next; returns that.
    async fn answer(&mut self, text: &str) -> String {
        let asked = self.up_to_ping().await;
        self.send(text).await;
        self.send("PONG\r\n").await;
        asked
    }
}

const PING: &[u8] = b"PING\r\n";

fn run<T>(test: impl Future<Output = T>) -> T {
    Builder::new_current_thread().enable_all().build().unwrap().block_on(test)
}

fn pair() -> (Box<dyn Stream>, Server) {
    let (client, stream) = tokio::io::duplex(1 << 16);
    (Box::new(client), Server { stream, read: Vec::new() })
}

fn host(credentials: Option<Credentials>) -> NatsServer {
    NatsServer { host: "a".to_owned(), port: 4222, credentials }
}

/// The outcome of a connect to a server that sends `first` and answers the CONNECT with `second`, and the CONNECT.
async fn attempt(
    first: &str,
    second: &str,
    credentials: Option<Credentials>,
) -> (Result<Connection, BrokerFailure>, String) {
    let (stream, mut server) = pair();
    let client = async {
        let introduced = introduce(stream).await?;
        authenticate("chat", &host(credentials), introduced, false).await
    };
    let script = async {
        server.send(first).await;
        if second.is_empty() {
            drop(server);
            return String::new();
        }
        let asked = server.up_to_ping().await;
        server.send(second).await;
        asked
    };
    tokio::join!(client, script)
}

/// A connection and its server.
async fn connected() -> (Connection, Server) {
    let (stream, mut server) = pair();
    server.send(INFO).await;
    let introduced = introduce(stream).await.unwrap();
    let server_side = async {
        server.answer("").await;
        server
    };
    let host = host(None);
    let (connection, server) = tokio::join!(authenticate("chat", &host, introduced, false), server_side);
    (connection.unwrap(), server)
}

fn channels() -> Channels {
    Channels::new("chat", Scheme::Nats)
}

fn topic(name: &str) -> Source {
    Source::Topic(name.as_bytes().into())
}

fn parcel(name: &str, payload: &[u8]) -> Parcel {
    let channel = channels().topic(name.as_bytes());
    Parcel { channel, reply: None, bytes: payload.to_vec(), question: None, is_message: true }
}

const TAKEN: Outcome = Outcome::Taken { receivers: None };

fn cause(outcome: &Outcome) -> Option<BrokerCause> {
    match outcome {
        Outcome::Taken { .. } | Outcome::Deferred => None,
        Outcome::Refused(failure) => Some(failure.cause),
    }
}

#[test]
fn a_connection_says_who_asks_and_waits_until_that_is_accepted() {
    run(async {
        let user = Credentials::User { name: "ann".to_owned(), password: "secret".to_owned() };
        let (connection, asked) = attempt(INFO, "PONG\r\n", Some(user)).await;
        assert_eq!(connection.unwrap().info.max_payload, 100);
        assert!(asked.starts_with("CONNECT {") && asked.contains("\"user\":\"ann\""), "{asked}");
    });
}

#[test]
fn servers_that_do_not_take_it_have_a_cause() {
    run(async {
        for (first, second, cause) in [
            (INFO, "-ERR 'Authorization Violation'\r\n", BrokerCause::Auth),
            (INFO, "-ERR 'maximum connections exceeded'\r\n", BrokerCause::Refused),
            (INFO, "HTTP/1.1 400 Bad Request\r\n", BrokerCause::Protocol),
            (INFO, "", BrokerCause::Closed),
            ("", "", BrokerCause::Closed),
            ("-ERR 'maximum connections exceeded'\r\n", "", BrokerCause::Refused),
            ("+OK\r\n", "", BrokerCause::Protocol),
            ("-NOAUTH\r\n", "", BrokerCause::Protocol),
            ("\u{15}\u{3}\u{1}", "", BrokerCause::Protocol),
        ] {
            let (connection, _) = attempt(first, second, None).await;
            assert_eq!(connection.err().map(|failure| failure.cause), Some(cause), "{first}{second}");
        }
    });
}

#[test]
fn tls_is_next_if_either_side_wants_it_and_the_server_can() {
    let decide = |requires_tls, offers_tls, security| {
        let info = Info { requires_tls, offers_tls, ..Info::default() };
        must_secure(&info, security).map_err(|failure| failure.cause)
    };
    for offers_tls in [false, true] {
        assert_eq!(decide(false, offers_tls, Security::Optional), Ok(false));
        assert_eq!(decide(true, offers_tls, Security::Optional), Ok(true));
        assert_eq!(decide(true, offers_tls, Security::Required), Ok(true));
    }
    assert_eq!(decide(false, true, Security::Required), Ok(true));
    assert_eq!(decide(false, false, Security::Required), Err(BrokerCause::Tls), "no password goes there");
}

#[test]
fn what_is_published_is_taken_when_the_server_has_handled_it() {
    run(async {
        let (connection, mut server) = connected().await;
        let mut reply = connection.publish(&[parcel("news", b"a"), parcel("a b", b"")]);
        let asked = tokio::select! {
            _ = &mut reply => panic!("nothing is confirmed"),
            asked = server.up_to_ping() => asked,
        };
        assert_eq!(asked, "PUB chat.news 1\r\na\r\nPUB chat.a%20b 0\r\n\r\n");
        server.send("PONG\r\n").await;
        assert_eq!(reply.await.unwrap(), [TAKEN, TAKEN]);
    });
}

#[test]
fn what_the_server_does_not_take_is_refused_and_the_connection_goes_on() {
    run(async {
        let (connection, mut server) = connected().await;
        let parcels = [parcel("a\"b", b"a"), parcel("news", &[b'x'; 101]), parcel("news", &[b'x'; 100])];
        let reply = connection.publish(&parcels);
        let answer = "-ERR 'Permissions Violation for Publish to \"chat.a\\\"b\"'\r\n";
        let (outcomes, asked) = tokio::join!(reply, server.answer(answer));
        let causes: Vec<_> = outcomes.unwrap().iter().map(cause).collect();
        assert_eq!(causes, [Some(BrokerCause::Auth), Some(BrokerCause::TooLarge), None]);
        assert!(!asked.contains("101"), "it would end the connection");
        let (reply, _) = tokio::join!(connection.ping(), server.answer(""));
        assert_eq!(reply, Ok(()));
    });
}

#[test]
fn a_limit_that_the_server_changes_holds_from_then_on() {
    run(async {
        let (mut connection, mut server) = connected().await;
        let subscribed = connection.subscribe(&channels(), vec![topic("news")]);
        let answer = "INFO {\"max_payload\":10}\r\nMSG chat.news 1 0\r\n\r\n";
        let (subscribed, _) = tokio::join!(subscribed, server.answer(answer));
        subscribed.unwrap();
        assert!(connection.next().await.is_some());
        let (outcomes, _) =
            tokio::join!(connection.publish(&[parcel("news", &[b'x'; 11])]), server.answer(""));
        assert_eq!(cause(&outcomes.unwrap()[0]), Some(BrokerCause::TooLarge));
    });
}

#[test]
fn messages_have_the_topic_of_their_subscription_until_it_ends() {
    run(async {
        let (mut connection, mut server) = connected().await;
        let subscribed = connection.subscribe(&channels(), vec![topic("a b"), topic("news"), topic("news")]);
        let (subscribed, asked) = tokio::join!(subscribed, server.answer(""));
        subscribed.unwrap();
        assert_eq!(asked, "SUB chat.a%20b 1\r\nSUB chat.news 2\r\n");
        let ended = connection.unsubscribe(&[topic("news"), topic("other")]);
        let answer = "MSG chat.news 2 1\r\nx\r\nHMSG chat.a%20b 1 r 12 14\r\nNATS/1.0\r\n\r\nhi\r\n";
        let (ended, asked) = tokio::join!(ended, server.answer(answer));
        ended.unwrap();
        assert_eq!(asked, "UNSUB 2\r\n");
        let Some(Delivery::Nats(arrival)) = connection.next().await else { panic!("nothing has arrived") };
        assert_eq!((&*arrival.source, &arrival.payload[..]), (&topic("a b"), &b"hi"[..]));
        assert!(arrival.is_question);
    });
}

#[test]
fn a_subscription_that_is_not_allowed_is_an_error() {
    run(async {
        let (mut connection, mut server) = connected().await;
        let subscribed = connection.subscribe(&channels(), vec![topic("news")]);
        let answer = "-ERR 'Permissions Violation for Subscription to \"chat.news\"'\r\n";
        let (subscribed, _) = tokio::join!(subscribed, server.answer(answer));
        assert_eq!(subscribed.unwrap_err().cause, BrokerCause::Auth);
    });
}

#[test]
fn a_ping_of_the_server_is_answered() {
    run(async {
        let (_connection, mut server) = connected().await;
        server.send("PING\r\n").await;
        let mut pong = [0; 6];
        server.stream.read_exact(&mut pong).await.unwrap();
        assert_eq!(&pong, b"PONG\r\n");
    });
}

#[test]
fn an_error_ends_the_connection_and_what_came_before_it_counts() {
    run(async {
        let (mut connection, mut server) = connected().await;
        let subscribed = connection.subscribe(&channels(), vec![topic("news")]);
        let (subscribed, _) = tokio::join!(subscribed, server.answer(""));
        subscribed.unwrap();
        let reply = connection.publish(&[parcel("news", b"a")]);
        server.up_to_ping().await;
        server.send("MSG chat.news 1 1\r\nx\r\n-ERR 'Stale Connection'\r\n").await;
        assert_eq!(reply.await.unwrap_err().cause, BrokerCause::Timeout);
        assert!(matches!(connection.next().await, Some(Delivery::Nats(_))));
        assert!(connection.next().await.is_none());
        assert_eq!(connection.failure().cause, BrokerCause::Timeout);
        assert_eq!(connection.ping().await.unwrap_err().cause, BrokerCause::Timeout);
    });
}

#[test]
fn a_server_that_is_about_to_end_is_told_once_with_those_that_go_on() {
    run(async {
        let (mut connection, mut server) = connected().await;
        let info = "INFO {\"ldm\":true,\"connect_urls\":[\"b:4222\"]}\r\n";
        server.send(info).await;
        server.send(info).await;
        assert!(matches!(connection.next().await, Some(Delivery::Leaving)));
        let mut servers = Servers::default();
        connection.teach(&mut servers);
        let url = NatsUrl::parse("nats://a").unwrap();
        assert_eq!(servers.round(&url).len(), 2);
        connection.close();
        assert!(connection.next().await.is_none());
    });
}

#[test]
fn a_client_that_does_not_take_its_messages_stops_reading_and_loses_none() {
    run(async {
        let (mut connection, mut server) = connected().await;
        let subscribed = connection.subscribe(&channels(), vec![topic("news")]);
        let (subscribed, _) = tokio::join!(subscribed, server.answer(""));
        subscribed.unwrap();
        let message = format!("MSG chat.news 1 1000\r\n{}\r\n", "x".repeat(1000));
        let mut sent = 0;
        while timeout(Duration::from_millis(50), server.stream.write_all(message.as_bytes())).await.is_ok() {
            sent += 1;
        }
        assert!((64..20_000).contains(&sent), "{sent}");
        for _ in 0..sent {
            assert!(matches!(connection.next().await, Some(Delivery::Nats(_))));
        }
    });
}
