'use strict';

// Hands the connection of a WebSocket to an I/O thread.

const { connects } = require('../websocket/connect.js');
const { createSocket } = require('../websocket/websocket.js');
const { handOver } = require('../http/passage.js');
const { abi, native } = require('../runtime/border.js');
const { EMPTY } = require('./data.js');

const { DESCRIPTOR } = abi.passage;

/**
 * Hands over a stream whose opening handshake is made.
 *
 * - `behavior` are the handlers; the object that they are called with has `owner`.
 * - `head` is what the peer has sent behind its half of the handshake.
 * - `terms`: `{ request, response, isServer, agreement, settings }`, the request of a server, and arguments of `wsHandOver`.
 * - `opened(link)` or `failed(error)` is called once; the error is `undefined` if the peer has closed.
 *
 * Returns a function that calls it off.
 */
function open(behavior, owner, stream, head, terms, { opened, failed }) {
  const link = createSocket(behavior);
  link.owner = owner;
  let isOff = false;
  let number;
  handOver(stream, [head], {
    request: terms.request,
    give(way, bytes, ticket, [ip, port]) {
      const { isServer, agreement, settings } = terms;
      let { response } = terms;
      if (way[0] !== DESCRIPTOR && response.length > 0) {
        // A stream that a program has made may pass on what is written as it is written: the response alone, as `ws` does.
        stream.write(response);
        response = EMPTY;
      }
      const [connect, end] = native.wsHandOver(way, bytes, [ip, port, ticket], response, isServer, agreement, settings);
      number = connect;
      connects.set(connect, { ws: link, resolve: () => opened(link), reject: failed });
      return end;
    },
    fail: (error) => { if (!isOff) failed(error); },
  });
  return () => {
    isOff = true;
    if (number === undefined) stream.destroy();
    else if (connects.delete(number)) native.clientCancel(number);
  };
}

module.exports = { open };
