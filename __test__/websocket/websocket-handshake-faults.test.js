'use strict';

// Handshakes that break a rule, byte for byte: the answer names the fault, the upgrade handler does not run, and the
// connection ends. What comes to a `ws` route and is no handshake at all is in websocket-upgrade.test.js.

const { RawClient, request } = require('../helpers/raw-http.js');
const { KEY, handshake } = require('../helpers/raw-websocket.js');
const { createApp, listen } = require('../helpers/server.js');

const DATE = 'Thu, 01 Jan 1970 00:00:00 GMT';

/** All bytes of the answer to a request, with the date of another day. */
async function answerTo(text, behavior = {}) {
  const app = createApp();
  app.ws('/ws', { upgrade: () => { throw new Error('called'); }, open: () => { throw new Error('called'); }, ...behavior });
  const client = await RawClient.connect(listen(app));
  await client.send(text);
  return (await client.rest()).replace(/(?<=\r\nDate: )[^\r]*/, DATE);
}

const answer = (status, fields, text) => [
  `HTTP/1.1 ${status}`, 'Content-Type: text/plain', ...fields, 'Connection: close', `Date: ${DATE}`, `Content-Length: ${text.length}`, '', text,
].join('\r\n');
const badRequest = (text) => answer('400 Bad Request', [], text);
const upgradeRequired = (text) => {
  return answer('426 Upgrade Required', ['Upgrade: websocket', 'Connection: Upgrade', 'Sec-WebSocket-Version: 13'], text);
};

const NO_BODY = 'a handshake must have no body: neither Transfer-Encoding nor a Content-Length above 0';
const valid = handshake('/ws');
const without = (name) => valid.replace(new RegExp(`${name}: .*\r\n`), '');
const having = (name, value) => valid.replace(new RegExp(`${name}: .*\r\n`), `${name}: ${value}\r\n`);
const adding = (...fields) => handshake('/ws', fields);

test.each([
  ['no Upgrade', without('Upgrade'), badRequest('Upgrade header must contain websocket')],
  ['another Upgrade', having('Upgrade', 'h2c'), badRequest('Upgrade header must contain websocket')],
  ['no Connection', without('Connection'), badRequest('Connection header must contain Upgrade')],
  ['another Connection', having('Connection', 'keep-alive'), badRequest('Connection header must contain Upgrade')],
  ['no version', without('Sec-WebSocket-Version'), badRequest('Sec-WebSocket-Version header is missing')],
  ['an older version', having('Sec-WebSocket-Version', '8'), upgradeRequired('Sec-WebSocket-Version header must be 13')],
  ['two versions', adding('Sec-WebSocket-Version: 13'), upgradeRequired('Sec-WebSocket-Version header must be 13')],
  ['a key that is not base64', having('Sec-WebSocket-Key', '?'.repeat(24)), badRequest('Sec-WebSocket-Key header must be 16 bytes in base64')],
  ['a key of 17 bytes', having('Sec-WebSocket-Key', 'A'.repeat(23) + '='), badRequest('Sec-WebSocket-Key header must be 16 bytes in base64')],
  ['two keys', adding(`Sec-WebSocket-Key: ${KEY}`), badRequest('Sec-WebSocket-Key header must be 16 bytes in base64')],
  ['HTTP/1.0', valid.replace('HTTP/1.1', 'HTTP/1.0'), badRequest('a handshake must be a request of HTTP/1.1')],
  ['a body that is announced', adding('Content-Length: 5'), badRequest(NO_BODY)],
  ['a body that is there', `${adding('Content-Length: 5')}hello`, badRequest(NO_BODY)],
  ['a chunked body', `${adding('Transfer-Encoding: chunked')}5\r\nhello\r\n0\r\n\r\n`, badRequest(NO_BODY)],
  ['an empty chunked body', `${adding('Transfer-Encoding: chunked')}0\r\n\r\n`, badRequest(NO_BODY)],
  ['frames in the place of a body', Buffer.concat([Buffer.from(adding('Content-Length: 6')), Buffer.from('818000000000', 'hex')]), badRequest(NO_BODY)],
])('%s', async (title, text, expected) => {
  expect(await answerTo(text)).toBe(expected);
  // Without a handler no WebSocket opens either.
  expect(await answerTo(text, { upgrade: undefined })).toBe(expected);
});

test('a malformed offer of extensions is refused where there is compression, and not looked at where there is none', async () => {
  const text = adding('Sec-WebSocket-Extensions: permessage-deflate; =');
  const refused = await answerTo(text, { compression: 1 });
  expect(refused.slice(0, 26)).toBe('HTTP/1.1 400 Bad Request\r\n');
  expect(refused).toMatch(/\r\n\r\nSec-WebSocket-Extensions .+$/);
  const client = await RawClient.connect(listen(createApp().ws('/ws', {})));
  await client.send(text);
  expect((await client.response()).status).toBe(101);
});

test('a Content-Length of 0 announces nothing', async () => {
  const client = await RawClient.connect(listen(createApp().ws('/ws', {})));
  await client.send(adding('Content-Length: 0'));
  expect((await client.response()).status).toBe(101);
});

test('a body is only a fault of handshakes: another request to the path goes to the other routes', async () => {
  const app = createApp().ws('/ws', {}).any('/ws', (res) => {
    res.onAborted(() => {}).collectBody(10, (body) => res.end(body));
  });
  const client = await RawClient.connect(listen(app));
  await client.send(request('GET', '/ws', [], 'hello'));
  expect((await client.response()).text).toBe('hello');
});
