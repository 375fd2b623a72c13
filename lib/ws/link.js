'use strict';

// Hands the connection of a WebSocket to an I/O thread.

const { connects } = require('../websocket/connect.js');
const { createSocket, socketHandle } = require('../websocket/websocket.js');
const { handOver } = require('../http/passage.js');
const { native } = require('../runtime/border.js');

/**
 * Hands over a stream whose opening handshake is made.
 *
 * - `behavior` are the handlers; the object that they are called with has `owner`.
 * - `head` is what the peer has sent behind its half of the handshake.
 * - `terms`: `{ response, isServer, agreement, settings }`, the arguments of `wsHandOver`.
 * - `opened(link, handle)` or `failed(error)` is called once; the error is `undefined` if the peer has closed.
 *
 * Returns a function that calls it off.
 */
function open(behavior, owner, stream, head, terms, { opened, failed }) {
  const link = createSocket(behavior);
  link.owner = owner;
  let isOff = false;
  let number;
  handOver(stream, [head], {
    give(way, bytes, ticket, [ip, port]) {
      const { response, isServer, agreement, settings } = terms;
      const [connect, end] = native.wsHandOver(way, bytes, [ip, port, ticket], response, isServer, agreement, settings);
      number = connect;
      connects.set(connect, { ws: link, resolve: () => opened(link, socketHandle(link)), reject: failed });
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
