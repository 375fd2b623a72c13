'use strict';

// What stands for the clients of the tests, which speak HTTP/1.1, when their connections are those of a subclass of
// Http1Socket: see run.js.

const { once } = require('node:events');

/** Stands for helpers/connect.js. */
function connectBy(Socket) {
  return {
    connect: (options) => new Socket(options),
    connected: (socket) => once(socket, 'connect'),
    isSecure: false,
    reset: (socket) => socket.resetAndDestroy(),
  };
}

/** Stands for `node:http`. */
function httpBy(Socket) {
  const http = jest.requireActual('http');

  class Agent extends http.Agent {
    createConnection({ host, port, family }) {
      return new Socket({ host, port, family });
    }
  }

  const globalAgent = new Agent();

  /** `false` is an agent for one request. */
  const agentOf = ({ agent = globalAgent }) => (agent === false ? new Agent() : agent);

  /** The options that `http.request` is called with have the agent, unless they name one. */
  const withAgent = ([target, ...rest]) => {
    if (typeof target === 'object' && !(target instanceof URL)) return [{ ...target, agent: agentOf(target) }, ...rest];
    const [options, ...others] = typeof rest[0] === 'function' || rest.length === 0 ? [{}, ...rest] : rest;
    return [target, { ...options, agent: agentOf(options) }, ...others];
  };

  return {
    ...http,
    Agent,
    globalAgent,
    request: (...args) => http.request(...withAgent(args)),
    get: (...args) => http.get(...withAgent(args)),
  };
}

/** Stands for `ws`. */
function wsBy(Socket) {
  const Plain = require('../../node_modules/ws');

  class WebSocket extends Plain {
    constructor(address, ...rest) {
      const options = rest.find((argument) => typeof argument === 'object' && argument !== null && !Array.isArray(argument));
      const others = rest.filter((argument) => argument !== options);
      const protocols = others.length === 0 ? [] : others[0];
      super(address, protocols, { createConnection: ({ host, port }) => new Socket({ host, port }), ...options });
    }
  }

  return Object.assign(WebSocket, { WebSocket });
}

module.exports = { connectBy, httpBy, wsBy };
