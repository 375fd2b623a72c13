'use strict';

// What a proxy says of its client: believed from those who are trusted, and from nobody else.

const { execFileSync } = require('node:child_process');
const { readFileSync } = require('node:fs');
const { tmpdir } = require('node:os');
const { join } = require('node:path');

const uWS = require('../..');
const { afterTest } = require('../helpers/cleanup.js');
const { Example } = require('../helpers/example.js');
const { failureOf } = require('../helpers/failure.js');
const { Log } = require('../helpers/log.js');
const { proxyHeader } = require('../helpers/proxy-header.js');
const { RawClient, request } = require('../helpers/raw-http.js');
const { listen } = require('../helpers/server.js');
const { createSSLApp } = require('../helpers/tls.js');

const CLIENT = { ip: '203.0.113.7', port: 51966 };
const HOME = { trust: ['127.0.0.0/8'] };
const GET = request('GET', '/');

/** An app that answers with what it knows of its peer: `proxied address as text|its bytes|its port|socket's address`. */
function createApp(proxyProtocol) {
  const app = uWS.App({ threads: 2, proxyProtocol });
  afterTest(() => app.close());
  return app.any('/*', (res) => res.end(describePeer(res)));
}

function describePeer(peer) {
  const proxied = Buffer.from(peer.getProxiedRemoteAddressAsText()).toString();
  const bytes = Buffer.from(peer.getProxiedRemoteAddress()).toString('hex');
  const address = Buffer.from(peer.getRemoteAddressAsText()).toString();
  return [proxied, bytes, peer.getProxiedRemotePort(), address].join('|');
}

async function connect(proxyProtocol) {
  return RawClient.connect(listen(createApp(proxyProtocol)));
}

describe('a trusted proxy', () => {
  test('tells address and port of an IPv4 client', async () => {
    const client = await connect(HOME);
    await client.send(Buffer.concat([proxyHeader(CLIENT), Buffer.from(GET)]));
    expect((await client.response()).text).toBe('203.0.113.7|cb007107|51966|127.0.0.1');
  });

  test('tells address and port of an IPv6 client', async () => {
    const client = await connect(HOME);
    const ip = '2001:0db8:0000:0000:0000:0000:0000:0007';
    await client.send(Buffer.concat([proxyHeader({ ip, port: 1 }), Buffer.from(GET)]));
    expect((await client.response()).text).toBe(`${ip}|${ip.replaceAll(':', '')}|1|127.0.0.1`);
  });

  test('is believed for every request of the connection', async () => {
    const client = await connect(HOME);
    await client.send(proxyHeader(CLIENT));
    for (let count = 0; count < 3; count++) {
      expect((await client.get('/')).text).toBe('203.0.113.7|cb007107|51966|127.0.0.1');
    }
    await client.send(GET + GET);
    for (let count = 0; count < 2; count++) {
      expect((await client.response()).text).toBe('203.0.113.7|cb007107|51966|127.0.0.1');
    }
  });

  test('is believed for the WebSocket, too', async () => {
    const app = createApp(HOME).ws('/ws', { open: (ws) => ws.send(describePeer(ws)) });
    const http = await RawClient.connect(listen(app));
    await http.send(proxyHeader(CLIENT));
    const fields = ['Upgrade: websocket', 'Connection: Upgrade', 'Sec-WebSocket-Version: 13'];
    await http.send(request('GET', '/ws', [...fields, 'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==']));
    expect((await http.response()).status).toBe(101);
    const expected = '203.0.113.7|cb007107|51966|127.0.0.1';
    expect(await http.bytes(2 + expected.length)).toBe(`\x81${String.fromCharCode(expected.length)}${expected}`);
  });

  test('may send its header byte by byte, with TLVs behind the addresses', async () => {
    const client = await connect(HOME);
    client.socket.setNoDelay(true);
    const header = proxyHeader(CLIENT, Buffer.from('0400020102ee0001ff', 'hex'));
    for (const byte of Buffer.concat([header, Buffer.from(GET)])) await client.send(Buffer.from([byte]));
    expect((await client.response()).text).toBe('203.0.113.7|cb007107|51966|127.0.0.1');
  });

  test('that speaks for itself (LOCAL) tells no address', async () => {
    const client = await connect({ ...HOME, required: true });
    await client.send(Buffer.concat([proxyHeader(), Buffer.from(GET)]));
    expect((await client.response()).text).toBe('||0|127.0.0.1');
  });

  test('may leave the header out, unless it is required', async () => {
    expect((await (await connect(HOME)).get('/')).text).toBe('||0|127.0.0.1');
    const client = await connect({ ...HOME, required: true });
    const response = await client.get('/');
    expect([response.status, response.text]).toEqual([
      400, 'ERR_PROXY_MISSING: a header of version 1 or 2 must come first (PROXY protocol section 2)\n',
    ]);
    expect(await client.rest()).toBe('');
  });

  test('cannot send a second header', async () => {
    const client = await connect(HOME);
    await client.send(Buffer.concat([proxyHeader(CLIENT), proxyHeader(CLIENT), Buffer.from(GET)]));
    const response = await client.response();
    expect([response.status, response.text]).toEqual([400, expect.stringMatching(/^ERR_HTTP_PROXY_HEADER: /)]);
    expect(await client.rest()).toBe('');
  });

  test('whose header breaks a rule is told which, and cut off', async () => {
    const log = new Log('warn');
    const client = await connect(HOME);
    const header = proxyHeader(CLIENT);
    header[12] = 0x2f;
    await client.send(Buffer.concat([header, Buffer.from(GET)]));
    const response = await client.response();
    const rule = 'the command must be LOCAL or PROXY (PROXY protocol section 2.2)';
    expect([response.status, response.text]).toEqual([400, `ERR_PROXY_COMMAND: ${rule}\n`]);
    expect(await client.rest()).toBe('');
    const { message, fields } = await log.take();
    expect(message).toBe('peer broke a rule of the PROXY protocol');
    expect(fields).toMatchObject({ cause: 'ERR_PROXY_COMMAND', rule });
  });

  test.each([
    ['TCP4 203.0.113.7 192.0.2.1 51966 443', '203.0.113.7|cb007107|51966|127.0.0.1'],
    ['TCP6 2001:db8::7 ::1 1 443', `2001:0db8:${'0000:'.repeat(5)}0007|20010db8${'0'.repeat(20)}0007|1|127.0.0.1`],
    ['UNKNOWN', '||0|127.0.0.1'],
  ])('may speak version 1: PROXY %s', async (line, told) => {
    const client = await connect({ ...HOME, required: true });
    client.socket.setNoDelay(true);
    for (const byte of `PROXY ${line}\r\n`) await client.send(byte);
    expect((await client.get('/')).text).toBe(told);
    expect((await client.get('/')).text).toBe(told);
  });

  test.each([
    ['PROXY TCP4 203.0.113.7 192.0.2.1 051966 443\r\n', 'ERR_PROXY_LINE'],
    ['PROXY TCP4 203.0.113.7 192.0.2.1 51966 443\n', 'ERR_PROXY_LINE_END'],
    [`PROXY UNKNOWN ${'x'.repeat(100)}`, 'ERR_PROXY_LINE_END'],
  ])('whose line of version 1 breaks a rule is told which: %j', async (line, code) => {
    const client = await connect(HOME);
    await client.send(line + GET);
    const response = await client.response();
    expect([response.status, response.text]).toEqual([400, expect.stringMatching(new RegExp(`^${code}: `))]);
    expect(await client.rest()).toBe('');
  });

  test.each([['App', false], ['SSLApp', true]])('that checks the health of an %s leaves no warning', async (_, isSecure) => {
    const log = new Log('debug');
    const options = { threads: 2, proxyProtocol: { ...HOME, required: true } };
    const app = isSecure ? createSSLApp(options) : createApp(options.proxyProtocol);
    const port = listen(app);
    const headers = [proxyHeader(), Buffer.from('PROXY UNKNOWN\r\n'), Buffer.from('PROXY TCP4 127.0.0.1 127.0.0.1 1 2\r\n'), Buffer.alloc(0)];
    const checks = Array.from({ length: 40 }, async (_, index) => {
      const client = await RawClient.connect(port);
      if (headers[index % 4].length > 0) await client.send(headers[index % 4]);
      // HAProxy does that to its connections, as a rule before they are accepted.
      if (index % 8 < 4) client.reset();
      else client.finish();
    });
    await Promise.all(checks);
    const records = [];
    while (records.filter(({ message }) => message === 'connection ended').length < checks.length) records.push(await log.take());
    expect(records.filter(({ level }) => level === 'warn' || level === 'error')).toEqual([]);
    for (const { message, fields } of records) {
      if (message === 'accepted') expect(fields.peer).toMatch(/^127\.0\.0\.1:/);
    }
  });

  test('that announces too much is cut off before it has sent it', async () => {
    const client = await connect(HOME);
    await client.send(proxyHeader(CLIENT, Buffer.alloc(5000)).subarray(0, 16));
    expect((await client.response()).text).toMatch(/^ERR_PROXY_TOO_LONG: /);
  });

  test('has the time of a request head for its header', async () => {
    const log = new Log('debug');
    const client = await connect(HOME);
    await client.send(proxyHeader(CLIENT).subarray(0, 20));
    await client.over();
    expect(await client.rest()).toBe('');
    const records = await log.until('connection ended');
    expect(records.at(-1).fields.cause).toBe('CLOSED_WITHOUT_REQUEST');
  });

  test('may be on the other end of a Unix socket', async () => {
    const path = join(tmpdir(), `ferrows-proxy-${process.pid}.sock`);
    createApp({ trust: ['unix'] }).listen_unix((token) => expect(token).toBeTruthy(), path);
    const client = await RawClient.connect({ path });
    await client.send(Buffer.concat([proxyHeader(CLIENT), Buffer.from(GET)]));
    expect((await client.response()).text).toBe('203.0.113.7|cb007107|51966|');
  });

  test('is known by its IPv4 address on a dual-stack socket', async () => {
    const client = await RawClient.connect(listen(createApp({ trust: ['127.0.0.1'] }), 0));
    await client.send(Buffer.concat([proxyHeader(CLIENT), Buffer.from(GET)]));
    expect((await client.response()).text).toMatch(/^203\.0\.113\.7\|/);
  });
});

describe('anybody else', () => {
  test.each([
    ['no option', undefined],
    ['null', null],
    ['another network', { trust: ['10.0.0.0/8', '::1', 'unix'] }],
  ])('sends a broken request: %s', async (_, option) => {
    const client = await connect(option);
    await client.send(Buffer.concat([proxyHeader(CLIENT), Buffer.from(GET)]));
    const response = await client.response();
    const text = 'ERR_HTTP_PROXY_HEADER: a header of the PROXY protocol is read once, and only from peers that the option '
      + 'proxyProtocol.trust names (PROXY protocol section 2)\n';
    expect([response.status, response.text]).toEqual([400, text]);
    expect(await client.rest()).toBe('');
    const second = await connect(option);
    await second.send(`PROXY TCP4 203.0.113.7 192.0.2.1 51966 443\r\n${GET}`);
    expect((await second.response()).text).toBe(text);
  });

  test('is served without a header although trusted peers need one', async () => {
    const client = await connect({ trust: ['10.0.0.0/8'], required: true });
    expect((await client.get('/')).text).toBe('||0|127.0.0.1');
  });
});

test('the example names the client, as its comment says', async () => {
  const { port } = await Example.start('proxy-protocol.js');
  const source = readFileSync(join(__dirname, '../../examples/proxy-protocol.js'), 'utf8');
  const printed = /^ \* {5}\{ (?<header>printf '.*'); \\\n \* {7}(?<request>printf '.*'); \}/m.exec(source).groups;
  const bytes = execFileSync('/bin/bash', ['-c', `${printed.header}; ${printed.request}`]);
  const client = await RawClient.connect(port);
  await client.send(bytes);
  expect((await client.response()).text).toBe('You are 203.0.113.7 port 51966, by way of a proxy\n');
});

describe('the option', () => {
  test.each([
    ['no object', 'on', 'ERR_INVALID_ARG_TYPE'],
    ['no list', {}, 'ERR_INVALID_ARG_TYPE'],
    ['an empty list', { trust: [] }, 'ERR_INVALID_ARG_TYPE'],
    ['a list of something else', { trust: ['::1', 5] }, 'ERR_INVALID_ARG_TYPE'],
    ['a name', { trust: ['localhost'] }, 'ERR_INVALID_ARG_VALUE'],
    ['a prefix that is too long', { trust: ['10.0.0.0/33'] }, 'ERR_INVALID_ARG_VALUE'],
    ['required is no boolean', { trust: ['::1'], required: 1 }, 'ERR_INVALID_ARG_TYPE'],
  ])('is refused: %s', (_, proxyProtocol, code) => {
    const failure = failureOf(() => uWS.App({ proxyProtocol }));
    expect([failure.name, failure.code]).toEqual(['TypeError', code]);
  });
});
