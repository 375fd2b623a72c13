'use strict';

// The part of the table of WebSockets that a page shows. The addon sorts and searches: with ten thousand of them that is a
// millisecond, and JavaScript sees no more than a page.

const { abi, native } = require('../runtime/border.js');

/** What is listed about a WebSocket, in the order of the addon. */
const { columns: COLUMNS } = abi;

const DEFAULT_LIMIT = 50;
const MAX_LIMIT = 200;
const MAX_SEARCH = 200;

/** `{ sort, isDescending, search, offset, limit }` of a message; undefined if it is none. */
function readQuery({ sort = 'age', isDescending = true, search = '', offset = 0, limit = DEFAULT_LIMIT }) {
  const isValid = COLUMNS.includes(sort) && typeof isDescending === 'boolean' && typeof search === 'string' && search.length <= MAX_SEARCH
    && Number.isSafeInteger(offset) && offset >= 0 && Number.isSafeInteger(limit) && limit > 0 && limit <= MAX_LIMIT;
  return isValid ? { sort, isDescending, search: search.toLowerCase(), offset, limit } : undefined;
}

/** `{ total, matching, offset, rows }`; `owner` are the handlers of the app. */
function listWebSockets(app, owner, { sort, isDescending, search, offset, limit }) {
  const routes = owner.webSocketRoutes();
  const listed = routes.flatMap(([number, pattern]) => [number, pattern.toLowerCase().includes(search)]);
  const [total, matching, ...cells] = native.appWebSockets(
    app, [routes.length, ...listed], search, COLUMNS.indexOf(sort), isDescending, offset, limit,
  );
  const rows = [];
  for (let at = 0; at < cells.length; at += COLUMNS.length) {
    const row = Object.fromEntries(COLUMNS.map((name, index) => [name, cells[at + index]]));
    rows.push({ ...row, route: routes[row.route]?.[1] });
  }
  return { total, matching, offset, rows };
}

module.exports = { listWebSockets, readQuery };
