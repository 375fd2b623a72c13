'use strict';

// What these tests share with those of Ferrows itself. Every test makes its apps by `createApp`, and they are closed
// behind it.

const { after, afterEach, describe, test: register } = require('node:test');

// The helpers of __test__ are written for Jest, where these are globals.
Object.assign(globalThis, { afterAll: after, afterEach, describe });

const { afterTest } = require('../../__test__/helpers/cleanup.js');
const { Mailbox } = require('../../__test__/helpers/mailbox.js');
const { Program } = require('../../__test__/helpers/program.js');
const { RawClient } = require('../../__test__/helpers/raw-http.js');
const { RawWebSocket, closeFrame, frame } = require('../../__test__/helpers/raw-websocket.js');
const { RedisServer, hasRedis } = require('../../__test__/helpers/redis-server.js');
const { createApp, listen } = require('../../__test__/helpers/server.js');

/** For one test, in milliseconds: many times what the longest needs. */
const LIMIT = 30_000;

/** Registers a test. One that says why it cannot run here is skipped. */
function test(title, body, { skip = false } = {}) {
  register(title, { timeout: LIMIT, skip }, body);
}

module.exports = {
  afterTest,
  closeFrame,
  createApp,
  frame,
  listen,
  Mailbox,
  Program,
  RawClient,
  RawWebSocket,
  RedisServer,
  hasRedis,
  test,
};
