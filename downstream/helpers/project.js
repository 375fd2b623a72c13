'use strict';

// What these tests share with those of Ferrows itself. Every test makes its apps by `createApp`, and they are closed
// behind it.

const { afterEach, test: register } = require('node:test');

// The helpers of __test__ are written for Jest, where this is a global.
globalThis.afterEach = afterEach;

const { afterTest } = require('../../__test__/helpers/cleanup.js');
const { Mailbox } = require('../../__test__/helpers/mailbox.js');
const { Program } = require('../../__test__/helpers/program.js');
const { RawClient } = require('../../__test__/helpers/raw-http.js');
const { RawWebSocket, closeFrame, frame } = require('../../__test__/helpers/raw-websocket.js');
const { createApp, listen } = require('../../__test__/helpers/server.js');

/** For one test, in milliseconds: many times what the longest needs. */
const LIMIT = 30_000;

/** Registers a test. */
function test(title, body) {
  register(title, { timeout: LIMIT }, body);
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
  test,
};
