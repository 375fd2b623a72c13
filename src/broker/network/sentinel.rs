//! The master of Redis that sentinels name, and whether it still is that.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use ::redis::{Cmd, cmd};
use tokio::sync::oneshot;
use tokio::time::{sleep, timeout};

use super::dial::Endpoint;
use super::lead::Lead;
use super::redis::{self, Connections};
use crate::broker::cause::{BrokerCause, BrokerFailure};
use crate::broker::redis_url::{Address, RedisUser, SentinelUrl};

/// What is known of the sentinels.
#[derive(Clone, Debug, Default)]
pub(super) struct Sentinels {
    known: Arc<Mutex<Known>>,
}

#[derive(Debug, Default)]
struct Known {
    /// The one that has answered last.
    last: Option<Endpoint>,
    /// Those that others have named.
    named: Vec<Endpoint>,
}

/// A sentinel that has said where the master is, and says it when that changes.
struct Witness {
    connections: Connections,
    master: Address,
}

impl Sentinels {
    /// All sentinels: first the one that has answered last, then those of the url.
    fn round(&self, url: &SentinelUrl) -> Vec<Endpoint> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let given = url.sentinels.iter().map(|address| Endpoint::given(address, url.is_secure));
        let mut round: Vec<Endpoint> = Vec::new();
        for endpoint in known.last.iter().cloned().chain(given).chain(known.named.iter().cloned()) {
            if !round.iter().any(|it| it.address == endpoint.address) {
                round.push(endpoint);
            }
        }
        round
    }

    /// Notes that a sentinel has answered, and whom else it has named.
    fn note(&self, endpoint: &Endpoint, others: Vec<Address>) {
        let named = |address| Endpoint::named(address, endpoint);
        let named = others.into_iter().take(MAX_NAMED).map(named).collect();
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        *known = Known { last: Some(endpoint.clone()), named };
    }
}

/// Connects to the master that one of the sentinels names.
///
/// # Errors
/// The most telling reason of all sentinels.
pub(super) async fn connect(
    url: &SentinelUrl,
    user: &RedisUser,
    sentinels: &mut Sentinels,
) -> Result<Connections, BrokerFailure> {
    let mut worst = None;
    let mut tried: Vec<Address> = Vec::new();
    for sentinel in sentinels.round(url) {
        let witness = match consult(&sentinel, url, sentinels).await {
            Ok(witness) => witness,
            Err(failure) => {
                BrokerFailure::keep_worst(&mut worst, failure);
                continue;
            }
        };
        let master = witness.master.clone();
        if tried.contains(&master) {
            continue;
        }
        match enter(&Endpoint::named(master.clone(), &sentinel), user).await {
            Ok(connections) => {
                let lead = follow(witness, url.clone(), sentinels.clone());
                return Ok(connections.follow(lead));
            }
            Err(failure) => {
                let who = format!("{master}, which the sentinel {} calls {}", sentinel.address, url.master);
                BrokerFailure::keep_worst(&mut worst, failure.of(who));
                tried.push(master);
            }
        }
    }
    Err(worst.unwrap_or_else(|| BrokerFailure::new(BrokerCause::Connect, "there is no sentinel")))
}

/// Connects to what should be the master.
async fn enter(endpoint: &Endpoint, user: &RedisUser) -> Result<Connections, BrokerFailure> {
    let connections = redis::connect_to(endpoint, user).await?;
    connections.role().await?;
    Ok(connections)
}

/// Asks a sentinel.
async fn consult(
    endpoint: &Endpoint,
    url: &SentinelUrl,
    sentinels: &Sentinels,
) -> Result<Witness, BrokerFailure> {
    let late = |_| Err(BrokerFailure::new(BrokerCause::Timeout, "it does not answer"));
    let asking = async { ask(redis::connect_to(endpoint, &url.user).await?, url).await };
    let answer = timeout(PATIENCE, asking).await.unwrap_or_else(late);
    let (witness, others) = answer.map_err(|failure| failure.of(&endpoint.address).of("sentinel"))?;
    sentinels.note(endpoint, others);
    Ok(witness)
}

/// Asks by connections to a sentinel where the master is, and which other sentinels there are.
async fn ask(connections: Connections, url: &SentinelUrl) -> Result<(Witness, Vec<Address>), BrokerFailure> {
    // Before the question: no change comes between the two.
    connections.subscribe(vec![SWITCH.to_vec()]).await?;
    let Some(master) =
        connections.ask::<Option<(String, u16)>>(&question("GET-MASTER-ADDR-BY-NAME", url)).await?
    else {
        let detail = format!("it knows no master that is called {}", url.master);
        return Err(BrokerFailure::new(BrokerCause::Master, detail));
    };
    // Those of the url will do.
    let others: Vec<HashMap<String, String>> =
        connections.ask(&question("SENTINELS", url)).await.unwrap_or_default();
    let other =
        |map: &HashMap<String, String>| Some(Address::new(map.get("ip")?, map.get("port")?.parse().ok()?));
    let others = others.iter().filter_map(other).collect();
    Ok((Witness { connections, master: Address::new(&master.0, master.1) }, others))
}

fn question(what: &str, url: &SentinelUrl) -> Cmd {
    let mut question = cmd("SENTINEL");
    question.arg(what).arg(&url.master);
    question
}

impl Witness {
    /// Waits until the sentinel names another master; `None` if it has gone.
    async fn another(&mut self, name: &str) -> Option<Address> {
        loop {
            let message = self.connections.next().await?;
            if let Some(master) = switched(message.get_payload_bytes(), name)
                && master != self.master
            {
                return Some(master);
            }
        }
    }
}

/// Watches with a sentinel, and with another one when that has gone.
fn follow(witness: Witness, url: SentinelUrl, sentinels: Sentinels) -> Lead {
    let (tell, told) = oneshot::channel();
    let master = witness.master.clone();
    let watch = tokio::spawn(async move {
        let next = watch(witness, &url, &sentinels).await;
        let detail = format!("the sentinels have made {next} the master");
        // Nobody may want to know it any more.
        let _ = tell.send(BrokerFailure::new(BrokerCause::Master, detail));
    });
    Lead::new(master, told, watch.abort_handle())
}

/// Waits until a sentinel names another master than the first one did.
async fn watch(mut witness: Witness, url: &SentinelUrl, sentinels: &Sentinels) -> Address {
    let question = question("GET-MASTER-ADDR-BY-NAME", url);
    loop {
        let another = tokio::select! {
            another = witness.another(&url.master) => another,
            // Perhaps it is not there any more, or was not heard.
            () = sleep(BEAT) => match witness.connections.ask::<(String, u16)>(&question).await {
                Ok((host, port)) => {
                    let master = Address::new(&host, port);
                    if master == witness.master {
                        continue;
                    }
                    Some(master)
                }
                Err(_) => None,
            },
        };
        if let Some(master) = another {
            return master;
        }
        let next = replace(url, sentinels).await;
        if next.master != witness.master {
            return next.master;
        }
        witness = next;
    }
}

/// Asks until a sentinel answers.
async fn replace(url: &SentinelUrl, sentinels: &Sentinels) -> Witness {
    loop {
        for sentinel in sentinels.round(url) {
            if let Ok(witness) = consult(&sentinel, url, sentinels).await {
                return witness;
            }
        }
        sleep(PAUSE).await;
    }
}

/// The master that a message of [`SWITCH`] names, if it is about this one: `name old-host old-port new-host new-port`.
fn switched(message: &[u8], name: &str) -> Option<Address> {
    let words: Vec<_> = std::str::from_utf8(message).ok()?.split(' ').collect();
    let [about, _, _, host, port] = words[..] else { return None };
    if about == name { Some(Address::new(host, port.parse().ok()?)) } else { None }
}

/// Where a sentinel says that a replica was made a master.
const SWITCH: &[u8] = b"+switch-master";
/// How long a sentinel may take to answer.
const PATIENCE: Duration = Duration::from_secs(2);
/// How often it is asked again.
const BEAT: Duration = Duration::from_secs(10);
/// Pause after all of them were asked.
const PAUSE: Duration = Duration::from_secs(1);
/// Most sentinels that are known beside those of the url.
const MAX_NAMED: usize = 16;

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
    use tokio::runtime::Builder;

    use super::*;
    use crate::broker::network::dial::Stream;

    fn run<T>(test: impl Future<Output = T>) -> T {
        Builder::new_current_thread().enable_all().build().unwrap().block_on(test)
    }

    /// A sentinel that answers each command that has one of the words with what follows it.
    async fn sentinel(mut stream: DuplexStream, script: &[(&str, &str)]) {
        // A client writes whole commands.
        let mut asked = vec![0; 4096];
        loop {
            let count = stream.read(&mut asked).await.unwrap();
            if count == 0 {
                return;
            }
            let text = std::str::from_utf8(&asked[..count]).unwrap();
            for command in text.split('*').filter(|command| !command.is_empty()) {
                let answer = script.iter().find(|(word, _)| command.contains(word));
                stream.write_all(answer.map_or("+OK\r\n", |it| it.1).as_bytes()).await.unwrap();
            }
        }
    }

    fn url() -> SentinelUrl {
        SentinelUrl::parse("a,b/mymaster", false).unwrap().0
    }

    fn address(host: &str, port: u16) -> Address {
        Address::new(host, port)
    }

    const SUBSCRIBED: (&str, &str) =
        ("SUBSCRIBE", "*3\r\n$9\r\nsubscribe\r\n$14\r\n+switch-master\r\n:1\r\n");
    const MASTER: (&str, &str) = ("GET-MASTER", "*2\r\n$8\r\n10.0.0.1\r\n$4\r\n6379\r\n");

    /// What comes of asking a sentinel that answers so.
    async fn asked(script: &[(&str, &str)]) -> Result<(Witness, Vec<Address>), BrokerFailure> {
        let [(first, one), (second, two)] = [tokio::io::duplex(4096), tokio::io::duplex(4096)];
        let streams: [Box<dyn Stream>; 2] = [Box::new(first), Box::new(second)];
        let [first, second] = streams;
        let client =
            async { ask(redis::establish(first, second, &RedisUser::default()).await?, &url()).await };
        tokio::select! {
            result = client => result,
            _ = async { tokio::join!(sentinel(one, script), sentinel(two, script)) } => panic!("the client has gone"),
        }
    }

    #[test]
    fn a_sentinel_says_where_the_master_is_and_who_else_knows() {
        run(async {
            let others = "*1\r\n*4\r\n$2\r\nip\r\n$8\r\n10.0.0.9\r\n$4\r\nport\r\n$5\r\n26379\r\n";
            let script = [SUBSCRIBED, MASTER, ("SENTINELS", others)];
            let (witness, others) = asked(&script).await.unwrap();
            assert_eq!(
                (witness.master, others),
                (address("10.0.0.1", 6379), vec![address("10.0.0.9", 26_379)])
            );
            let (_, others) = asked(&[SUBSCRIBED, MASTER, ("SENTINELS", "-NOPERM no\r\n")]).await.unwrap();
            assert!(others.is_empty());
        });
    }

    #[test]
    fn what_is_no_answer_is_told() {
        run(async {
            for (answer, cause) in [
                ("*-1\r\n", BrokerCause::Master),
                ("$-1\r\n", BrokerCause::Master),
                ("-ERR unknown command 'SENTINEL'\r\n", BrokerCause::Refused),
                ("-NOAUTH Authentication required.\r\n", BrokerCause::Auth),
                ("*2\r\n$1\r\na\r\n$5\r\n70000\r\n", BrokerCause::Protocol),
                ("HTTP/1.1 400 Bad Request\r\n", BrokerCause::Protocol),
            ] {
                let result = asked(&[SUBSCRIBED, ("GET-MASTER", answer)]).await;
                assert_eq!(result.err().map(|failure| failure.cause), Some(cause), "{answer}");
            }
        });
    }

    #[test]
    fn a_switch_of_this_master_names_the_next_one() {
        let switched = |text: &str| switched(text.as_bytes(), "mymaster");
        assert_eq!(switched("mymaster 10.0.0.1 6379 10.0.0.2 6380"), Some(address("10.0.0.2", 6380)));
        for other in ["other 10.0.0.1 6379 10.0.0.2 6380", "mymaster 10.0.0.1", "", "mymaster a 1 b x"] {
            assert_eq!(switched(other), None);
        }
    }

    #[test]
    fn the_one_that_has_answered_is_asked_first() {
        let sentinels = Sentinels::default();
        let hosts =
            || -> Vec<_> { sentinels.round(&url()).iter().map(|it| it.address.host.clone()).collect() };
        assert_eq!(hosts(), ["a", "b"]);
        let second = sentinels.round(&url()).remove(1);
        sentinels.note(&second, vec![address("c", 26_379), address("a", 26_379)]);
        assert_eq!(hosts(), ["b", "a", "c"]);
    }
}
