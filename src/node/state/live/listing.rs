//! The open WebSockets of an app as a table that is sorted, searched and cut into pages, for the page of `app.inspect`.

use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;
use std::time::Duration;

use super::Live;
use super::socket::Socket;
use crate::bridge::id::AppId;
use crate::bridge::moment::Moment;
use crate::bridge::traffic::Report;
use crate::node::state::routes::behavior::Behavior;

/// Declares the columns with their names for JavaScript, in their order.
macro_rules! columns {
    ($($(#[$doc:meta])* $column:ident $name:literal,)+) => {
        /// What is listed about a WebSocket.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(crate) enum Column {
            $($(#[$doc])* $column,)+
        }

        impl Column {
            /// All of them.
            pub(crate) const ALL: &[Self] = &[$(Self::$column,)+];
            /// Their names for JavaScript.
            pub(crate) const NAMES: &[&'static str] = &[$($name,)+];
        }
    };
}

columns! {
    /// The client's address: that which a trusted proxy has reported, or else the peer's.
    Address "address",
    /// Position of its route in the list of the query.
    Route "route",
    /// Milliseconds since it was opened.
    Age "age",
    /// Milliseconds since the last byte from the peer.
    Silence "silence",
    /// Milliseconds since the last byte to the peer.
    Quiet "quiet",
    /// Milliseconds that the last Pong took.
    RoundTrip "roundTrip",
    /// Pings since the last Pong.
    UnansweredPings "unansweredPings",
    /// Bytes of frames that arrived.
    Received "received",
    /// Bytes of frames that the system took.
    Sent "sent",
    /// Messages that arrived.
    MessagesReceived "messagesReceived",
    /// Messages to the peer.
    MessagesSent "messagesSent",
    /// Bytes that the system did not take.
    Backlog "backlog",
}

/// Which part of the table is wanted.
#[derive(Debug)]
pub(crate) struct Query<'a> {
    /// Number of the app.
    pub app: u32,
    /// The routes of the app, each with whether its pattern contains what is searched for.
    pub routes: &'a [ListedRoute],
    /// What the address has to contain, in lower case, unless the pattern does. Everything is listed if it is empty.
    pub search: &'a str,
    /// What it is sorted by.
    pub column: Column,
    /// Whether the largest come first.
    pub descending: bool,
    /// How many are passed over.
    pub offset: usize,
    /// How many are wanted.
    pub limit: usize,
}

/// A route by the address of its options, which its WebSockets share.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ListedRoute {
    /// Compared only. A route that was removed may have left its address to another one, which has another position then.
    pub behavior: *const Behavior,
    /// Whether its WebSockets are listed, whatever their address.
    pub matches: bool,
}

/// Part of the table.
#[derive(Debug)]
pub(crate) struct Listing {
    /// How many WebSockets the app has.
    pub total: usize,
    /// How many of them are found by the search.
    pub matching: usize,
    /// Those that are wanted.
    pub rows: Vec<Row>,
}

/// What is listed about one WebSocket.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    /// Its client.
    pub address: Option<SocketAddr>,
    /// Position of its route.
    pub route: Option<usize>,
    /// Its counters.
    pub report: Report,
    /// Bytes that wait.
    pub backlog: u64,
}

impl Row {
    fn of(socket: &Socket, routes: &[ListedRoute], now: Moment) -> Self {
        let peer = socket.peer();
        let behavior = Rc::as_ptr(&socket.behavior);
        Self {
            address: peer.proxied.or(peer.address),
            route: routes.iter().position(|route| route.behavior == behavior),
            report: socket.report(now),
            backlog: socket.backlog(),
        }
    }

    /// What a column says, if it is a number.
    #[must_use]
    pub(crate) fn number(&self, column: Column) -> Option<u64> {
        let facts = &self.report.facts;
        Some(match column {
            Column::Address => return None,
            Column::Route => return self.route.map(|route| route as u64),
            Column::Age => millis(self.report.open_for),
            Column::Silence => millis(facts.silent_for),
            Column::Quiet => millis(facts.quiet_for),
            Column::RoundTrip => return facts.round_trip.map(millis),
            Column::UnansweredPings => u64::from(facts.unanswered_pings),
            Column::Received => facts.bytes.0,
            Column::Sent => facts.bytes.1,
            Column::MessagesReceived => u64::from(facts.messages.0),
            Column::MessagesSent => u64::from(facts.messages.1),
            Column::Backlog => self.backlog,
        })
    }

    /// The address as people write it, with its port.
    #[must_use]
    pub(crate) fn address_text(&self) -> Option<String> {
        self.address.map(|address| SocketAddr::new(address.ip().to_canonical(), address.port()).to_string())
    }

    /// What it is sorted by; rows without a value come first.
    fn key(&self, column: Column) -> Option<(u128, u16)> {
        match column {
            Column::Address => self.address.map(|address| match address.ip().to_canonical() {
                IpAddr::V4(ip) => (u128::from(u32::from(ip)), address.port()),
                IpAddr::V6(ip) => (u128::from(ip), address.port()),
            }),
            _ => self.number(column).map(|number| (u128::from(number), 0)),
        }
    }

    fn is_found(&self, query: &Query<'_>) -> bool {
        query.search.is_empty()
            || self.route.is_some_and(|route| query.routes[route].matches)
            || self.address_text().is_some_and(|text| text.contains(query.search))
    }
}

impl Live {
    /// Part of the table of an app's WebSockets at a moment. The cost grows with their number: a millisecond or so for
    /// 10,000.
    #[must_use]
    pub(crate) fn list_sockets(&self, query: &Query<'_>, now: Moment) -> Listing {
        let mut total = 0;
        let mut found: Vec<_> = self
            .sockets()
            .filter(|(_, socket)| socket.app.app == query.app && socket.app != AppId::CLIENTS)
            .inspect(|_| total += 1)
            .map(|(handle, socket)| (handle.slot, Row::of(socket, query.routes, now)))
            .filter(|(_, row)| row.is_found(query))
            .map(|(slot, row)| (row.key(query.column), slot, row))
            .collect();
        let matching = found.len();
        let end = query.offset.saturating_add(query.limit).min(matching);
        // Equal ones keep their order from one page, and from one second, to the next.
        let order = |one: &(Option<(u128, u16)>, u32, Row), other: &(Option<(u128, u16)>, u32, Row)| {
            let order = one.0.cmp(&other.0);
            if query.descending { order.reverse() } else { order }.then(one.1.cmp(&other.1))
        };
        if end < matching {
            found.select_nth_unstable_by(end, order);
            found.truncate(end);
        }
        found.sort_unstable_by(order);
        let rows = found.into_iter().skip(query.offset).map(|(_, _, row)| row).collect();
        Listing { total, matching, rows }
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bridge::id::{ConnectionId, WorkerId};
    use crate::bridge::ledger::WebSocketLedger;
    use crate::bridge::peer::Peer;
    use crate::bridge::sync::Arc;

    const APP: AppId = AppId { app: 1, epoch: 0 };

    /// WebSockets of a route, opened after 0, 1, 2 … seconds from ports 1, 2, 3 …
    fn open(live: &mut Live, app: AppId, behavior: &Rc<Behavior>, count: u16) {
        for number in 0..count {
            let connection = ConnectionId { worker: WorkerId(0), slot: u32::from(number), generation: 1 };
            let address = SocketAddr::from(([10, 0, 0, 1], 1 + number));
            let peer = Peer { address: Some(address), proxied: None };
            let opened = Moment(u64::from(number) * 1000);
            let ledger = Arc::new(WebSocketLedger::default());
            ledger.traffic.open(0, opened);
            let socket = Socket::new(connection, app, Rc::clone(behavior), ledger, peer, opened);
            live.insert_socket(socket).unwrap();
        }
    }

    fn query<'a>(routes: &'a [ListedRoute], search: &'a str) -> Query<'a> {
        Query { app: 1, routes, search, column: Column::Age, descending: true, offset: 0, limit: 100 }
    }

    fn ports(listing: &Listing) -> Vec<u16> {
        listing.rows.iter().filter_map(|row| row.address.map(|address| address.port())).collect()
    }

    #[test]
    fn pages_join_to_the_whole_in_either_order() {
        let (mut live, behavior) = (Live::default(), Rc::new(Behavior::plain()));
        open(&mut live, APP, &behavior, 10);
        for descending in [true, false] {
            for column in [Column::Age, Column::Silence, Column::Address] {
                let part = |offset, limit| {
                    let query = Query { descending, column, offset, limit, ..query(&[], "") };
                    ports(&live.list_sockets(&query, Moment(20_000)))
                };
                let whole = part(0, 100);
                // The oldest has the lowest port.
                let is_rising = (column == Column::Address) != descending;
                let expected: Vec<_> = if is_rising { (1..=10).collect() } else { (1..=10).rev().collect() };
                assert_eq!(whole, expected, "{column:?} {descending}");
                let pages: Vec<_> = (0..4).flat_map(|page| part(page * 3, 3)).collect();
                assert_eq!(pages, whole);
                assert!(part(10, 3).is_empty());
                assert!(part(usize::MAX, usize::MAX).is_empty());
            }
        }
    }

    #[test]
    fn equal_ones_keep_their_order_from_page_to_page() {
        let (mut live, behavior) = (Live::default(), Rc::new(Behavior::plain()));
        open(&mut live, APP, &behavior, 9);
        let page = |offset| {
            let query = Query { column: Column::Backlog, offset, limit: 2, ..query(&[], "") };
            ports(&live.list_sockets(&query, Moment(0)))
        };
        let mut seen: Vec<_> = (0..5).flat_map(|number| page(number * 2)).collect();
        assert_eq!(seen.len(), 9);
        seen.sort_unstable();
        seen.dedup();
        assert_eq!(seen.len(), 9, "each on one page");
    }

    #[test]
    fn other_apps_and_clients_are_not_listed() {
        let (mut live, behavior) = (Live::default(), Rc::new(Behavior::plain()));
        open(&mut live, APP, &behavior, 2);
        open(&mut live, AppId { app: 2, epoch: 0 }, &behavior, 3);
        open(&mut live, AppId::CLIENTS, &behavior, 4);
        let listing = live.list_sockets(&query(&[], ""), Moment(0));
        assert_eq!((listing.total, listing.matching, listing.rows.len()), (2, 2, 2));
    }

    #[test]
    fn a_search_finds_addresses_and_the_routes_that_match() {
        let (mut live, chat, echo) =
            (Live::default(), Rc::new(Behavior::plain()), Rc::new(Behavior::plain()));
        open(&mut live, APP, &chat, 3);
        open(&mut live, APP, &echo, 2);
        let routes = [&chat, &echo].map(|route| ListedRoute { behavior: Rc::as_ptr(route), matches: false });
        let found = live.list_sockets(&query(&routes, ":3"), Moment(0));
        assert_eq!((found.total, found.matching, ports(&found)), (5, 1, vec![3]));
        assert_eq!(found.rows[0].route, Some(0));
        let matching = [routes[0], ListedRoute { matches: true, ..routes[1] }];
        let found = live.list_sockets(&query(&matching, "echo"), Moment(0));
        assert_eq!(found.matching, 2);
        assert!(found.rows.iter().all(|row| row.route == Some(1)));
        assert_eq!(live.list_sockets(&query(&routes, "nowhere"), Moment(0)).matching, 0);
    }

    #[test]
    fn an_address_of_ipv4_is_written_and_sorted_as_one() {
        let (mut live, behavior) = (Live::default(), Rc::new(Behavior::plain()));
        open(&mut live, APP, &behavior, 1);
        let connection = ConnectionId { worker: WorkerId(0), slot: 7, generation: 1 };
        let peer = Peer { address: Some("[::ffff:9.0.0.1]:5".parse().unwrap()), proxied: None };
        let socket = Socket::new(connection, APP, behavior, Arc::default(), peer, Moment(0));
        live.insert_socket(socket).unwrap();
        let query = Query { column: Column::Address, descending: false, ..query(&[], "") };
        let listing = live.list_sockets(&query, Moment(0));
        let texts: Vec<_> = listing.rows.iter().filter_map(Row::address_text).collect();
        assert_eq!(texts, ["9.0.0.1:5", "10.0.0.1:1"]);
    }
}
