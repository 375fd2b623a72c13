'use strict';

// Stands for `node:http` when the suites run over HTTP/2: see run.js.

const { Http1Socket } = require('../over-streams/http1-socket.js');

const http = jest.requireActual('http');

class Agent extends http.Agent {
  createConnection({ host, port, family }) {
    return new Http1Socket({ host, port, family });
  }
}

const globalAgent = new Agent();

/** The options that `http.request` is called with have the agent, unless they name one. */
function withAgent([target, ...rest]) {
  if (typeof target === 'object' && !(target instanceof URL)) return [{ agent: globalAgent, ...target }, ...rest];
  const [options, ...others] = typeof rest[0] === 'function' || rest.length === 0 ? [{}, ...rest] : rest;
  return [target, { agent: globalAgent, ...options }, ...others];
}

module.exports = {
  ...http,
  Agent,
  globalAgent,
  request: (...args) => http.request(...withAgent(args)),
  get: (...args) => http.get(...withAgent(args)),
};
