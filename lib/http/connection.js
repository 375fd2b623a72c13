'use strict';

// Calls filters when connections open and close. The addresses are stored here, because a filter may read them after the
// connection has ended and the addon has dropped its state.

const { addAddresses } = require('../runtime/addresses.js');
const { abi, apps, connections, KEY, native, registers } = require('../runtime/border.js');
const { call, deliverers, deliverPending } = require('../runtime/call.js');
const { illegalConstructor, invalidThis } = require('../runtime/errors.js');

const { CLOSED } = abi.step;
const { APP, HANDLE } = abi.register;
const { SLOTS } = abi.handle;

let createConnection;
let filtersOf;
let addressOf;

/** A connection as filters see it: the same object when it opens and when it closes. */
class HttpConnection {
  #handle;
  /** `{ address, text, port }` of the socket's other end. */
  #remote;
  /** The same for the client's address that a proxy reported. */
  #proxied;
  /** The filters that were called when it opened. */
  #filters;

  constructor(key, handle, addresses, list) {
    if (key !== KEY) throw illegalConstructor();
    const [address, text, port, proxiedAddress, proxiedText, proxiedPort] = addresses;
    this.#handle = handle;
    this.#remote = { address, text, port };
    this.#proxied = { address: proxiedAddress, text: proxiedText, port: proxiedPort };
    this.#filters = list;
  }

  static {
    createConnection = (handle, addresses, list) => new HttpConnection(KEY, handle, addresses, list);
    filtersOf = (connection) => connection.#filters;
    addressOf = (connection, isProxied, form) => {
      if (typeof connection !== 'object' || connection === null || !(#handle in connection)) {
        throw invalidThis('uWS.HttpConnection');
      }
      const value = (isProxied ? connection.#proxied : connection.#remote)[form];
      // A copy, because programs may transfer the buffer.
      return typeof value === 'number' ? value : value.slice(0);
    };
  }

  close() {
    addressOf(this, false, 'port');
    const mark = native.connectionClose(this.#handle);
    try {
      deliverPending(mark);
    } catch {
      // No stack is left: the dispatcher runs the handlers.
    }
    return this;
  }
}

addAddresses(HttpConnection, {
  address: (connection, isProxied) => addressOf(connection, isProxied, 'address'),
  text: (connection, isProxied) => addressOf(connection, isProxied, 'text'),
  port: (connection, isProxied) => addressOf(connection, isProxied, 'port'),
});

/** A connection was accepted: calls the current filters, which are also called at its end. */
function handleOpened(addresses) {
  const handle = registers[HANDLE];
  const list = apps.get(registers[APP]).filters;
  const connection = createConnection(handle, addresses, list.slice());
  connections[handle % SLOTS] = connection;
  report(connection, 1);
}

/** The connection in the registers has ended: calls the filters that were called when it opened. */
function handleClosed() {
  const slot = registers[HANDLE] % SLOTS;
  const connection = connections[slot];
  connections[slot] = undefined;
  report(connection, -1);
}

function report(connection, count) {
  for (const filter of filtersOf(connection)) call(filter, connection, count);
}

deliverers[CLOSED] = handleClosed;

module.exports = { HttpConnection, handleOpened, handleClosed };
