//! `app.inspect()`: the table of an app's WebSockets.

use std::rc::Rc;

use crate::io::worker::clock::present;
use crate::node::environment::Call;
use crate::node::error::Misuse;
use crate::node::js::{Env, Value};
use crate::node::state::live::listing::{Column, ListedRoute, Query, Row};
use crate::node::state::routes::Routes;

/// `appWebSockets(app, routes, search, column, descending, offset, limit)`: part of the table of the app's WebSockets, as
/// `[total, matching, …]` with the columns of each row behind one another, `undefined` where there is no value.
///
/// - `routes`: their number, then for each its number and whether its pattern contains what is searched for;
/// - `search`: what the address has to contain otherwise, in lower case;
/// - `column`: position in the list `columns` of `abi()`. A route is its position in `routes`.
pub(crate) fn web_sockets<'c>(call: &Call<'c>) -> Result<Value<'c>, Misuse> {
    let env = call.env();
    let search = call.text(2)?;
    let position = |index| call.number(index).max(0.0) as usize;
    let column = Column::ALL.get(position(3)).copied().unwrap_or(Column::Age);
    let mut environment = call.environment()?;
    let (app, _) = environment.apps.app(call.number(0))?;
    let routes = routes(env, call.argument(1), &environment.routes);
    let query = Query {
        app,
        routes: &routes,
        search: &search,
        column,
        descending: call.truthy(4),
        offset: position(5),
        limit: position(6),
    };
    let listing = environment.live.list_sockets(&query, present());
    drop(environment);
    let counts = [listing.total, listing.matching].map(|count| env.from_number(count as f64));
    let cells = listing.rows.iter().flat_map(|row| Column::ALL.iter().map(|&column| cell(env, row, column)));
    Ok(env.array(counts.into_iter().chain(cells)))
}

fn routes(env: Env<'_>, list: Value<'_>, routes: &Routes) -> Vec<ListedRoute> {
    let count = env.number(env.element(list, 0)).map_or(0, |count| count as u32);
    (0..count)
        .map(|index| {
            let number =
                env.number(env.element(list, 1 + 2 * index)).map_or(usize::MAX, |number| number as usize);
            ListedRoute {
                behavior: routes.behavior(number).map_or(std::ptr::null(), Rc::as_ptr),
                matches: env.truthy(env.element(list, 2 + 2 * index)),
            }
        })
        .collect()
}

fn cell<'c>(env: Env<'c>, row: &Row, column: Column) -> Value<'c> {
    if column == Column::Address {
        return row.address_text().map_or(Value::UNDEFINED, |text| env.string(text.as_bytes()));
    }
    // Exact up to 2^53, which is 9 petabytes.
    row.number(column).map_or(Value::UNDEFINED, |number| env.from_number(number as f64))
}
