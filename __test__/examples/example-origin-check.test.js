'use strict';

// examples/origin-check.js: who is let in, and what the others are told.

const { Example } = require('../helpers/example.js');
const { RawClient } = require('../helpers/raw-http.js');
const { RawWebSocket, handshake } = require('../helpers/raw-websocket.js');

async function expectWelcome(port, origin, host = 'test') {
  const client = await RawClient.connect(port);
  await client.send(handshake('/', [`Origin: ${origin}`]).replace('Host: test', `Host: ${host}`));
  expect((await client.response()).status).toBe(101);
  const text = `welcome, ${origin}`;
  expect(await client.bytes(2 + text.length)).toBe(`\x81${String.fromCharCode(text.length)}${text}`);
}

async function expectRefusal(port, origin) {
  const client = await RawClient.connect(port);
  await client.send(handshake('/', [`Origin: ${origin}`]));
  const response = await client.response();
  expect([response.status, response.text]).toEqual([403, 'This origin may not connect.\n']);
  expect(await client.rest()).toBe('');
}

test('without a list, pages of the same host are let in, whatever the case of its name', async () => {
  const { port } = await Example.start('origin-check.js');
  await expectWelcome(port, 'http://test');
  await expectWelcome(port, 'https://test');
  await expectWelcome(port, 'http://test:8080', 'TEST:8080');
  for (const origin of ['http://test:8080', 'http://test.evil.example', 'http://nottest', 'null', 'test', 'http://']) {
    await expectRefusal(port, origin);
  }
});

test('with a list, those on it are let in, and nobody whose name only looks like theirs', async () => {
  const { port } = await Example.start('origin-check.js', { ORIGINS: 'https://example.com, https://www.example.com:8443/' });
  await expectWelcome(port, 'https://example.com');
  await expectWelcome(port, 'https://www.example.com:8443');
  const others = [
    'http://example.com', 'https://example.com:444', 'https://example.com.evil.example', 'https://evil.example/https://example.com',
    'https://www.example.com', 'http://test', 'null',
  ];
  for (const origin of others) await expectRefusal(port, origin);
});

test('a client without an Origin is no page', async () => {
  const { port } = await Example.start('origin-check.js', { ORIGINS: 'https://example.com' });
  const client = await RawWebSocket.open(port);
  expect(await client.frame()).toEqual(['text', 'welcome, whoever you are']);
});
