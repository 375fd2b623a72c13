/**
 * The features that the QUIC interop runner asks of a server, by its names, with the client of aioquic and a network that
 * behaves as badly (helpers/udp-relay.js): `npm run test:quic [-- name...]`. Writes a line for each; exits with 1 if one failed.
 */

import assert from 'node:assert';
import dgram from 'node:dgram';
import { once } from 'node:events';
import { createRequire } from 'node:module';
import { setTimeout as wait } from 'node:timers/promises';

// The helpers clean up behind the tests of Jest.
const cleanups = [];
globalThis.afterEach = (step) => cleanups.push(step);
globalThis.afterAll = () => {};
globalThis.describe = () => {};
globalThis.describe.skip = () => {};

const require = createRequire(import.meta.url);
const { readFileSync } = require('node:fs');
const uWS = require('../../index.js');
const { afterTest } = require('../helpers/cleanup.js');
const { Http3Program } = require('../helpers/http3-program.js');
const { Http3Client, headersFrame, http3Options } = require('../helpers/http3.js');
const { UdpRelay } = require('../helpers/udp-relay.js');

const [MIB, SECONDS] = [1 << 20, 60];
const pattern = Buffer.alloc(5 * MIB, Uint8Array.from({ length: 251 }, (_, index) => index));
const V2 = 0x6b3343cf;

/** A server with files of so many bytes at `/bytes/:count`, and what it is sent at `/echo`. Resolves to its port. */
function serve(http3 = true, { host = '127.0.0.1', ...options } = {}) {
  const app = uWS.H3App(http3Options({ http3, ...options }));
  afterTest(() => app.close());
  app.get('/bytes/:count', (res, req) => res.onAborted(() => {}).end(pattern.subarray(0, Number(req.getParameter('count')))));
  app.post('/echo', (res) => res.onAborted(() => {}).collectBody(pattern.length, (body) => res.end(body)));
  app.get('/address', (res) => res.end(Buffer.from(res.getRemoteAddressAsText())));
  return new Promise((resolve, reject) => {
    app.listen(host, 0, (token, error) => (token ? resolve(uWS.us_socket_local_port(token)) : reject(error)));
  });
}

/** Has a client fetch so many bytes on each of so many streams at a time. */
async function transfer(client, bytes, streams = 1) {
  const answers = await Promise.all(Array.from({ length: streams }, () => client.request(`/bytes/${bytes}`)));
  for (const { status, body } of answers) assert(status === 200 && body.equals(pattern.subarray(0, bytes)));
}

/** A server behind a network. */
async function behind(mood, options) {
  return Object.assign(await UdpRelay.start(await serve(options), 7), mood);
}

/** So many clients, one after the other, each of which fetches a little behind such a network. */
async function handshakes(count, mood) {
  const relay = await behind(mood);
  for (let done = 0; done < count; done += 1) {
    const client = await Http3Client.connect(relay.port, { timeout: 50, idleTimeout: 60 });
    await transfer(client, 1024);
    await client.close();
  }
  return relay.counts;
}

const cases = {
  async handshake() {
    const { opened } = await Http3Client.connect(await serve());
    assert.equal(opened.alpn, 'h3');
  },
  async transfer() {
    await transfer(await Http3Client.connect(await serve()), 5 * MIB, 3);
    return '3 streams of 5 MiB';
  },
  async longrtt() {
    const relay = await behind({ delay: 375 });
    await transfer(await Http3Client.connect(relay.port), 100_000);
    return 'a round trip of 750 ms';
  },
  async chacha20() {
    const client = await Http3Client.connect(await serve(), { cipherSuite: 'CHACHA20_POLY1305_SHA256' });
    assert.equal(client.opened.cipherSuite, 'CHACHA20_POLY1305_SHA256');
    await transfer(client, MIB);
  },
  async multiplexing() {
    await transfer(await Http3Client.connect(await serve()), 32, 1000);
    return '1,000 requests, of which 100 may be under way';
  },
  async retry() {
    const relay = await behind({}, { retry: true });
    const answer = relay.next();
    const client = await Http3Client.connect(relay.port);
    assert.equal((await answer)[0] & 0xf0, 0xf0);
    await transfer(client, 1024);
  },
  async resumption() {
    const port = await serve();
    const first = await Http3Client.connect(port);
    await transfer(first, 1024);
    const again = await Http3Client.connect(port, { resume: first });
    assert.equal(again.opened.resumed, true);
    await transfer(again, 1024);
  },
  async zerortt() {
    const port = await serve();
    const first = await Http3Client.connect(port);
    await transfer(first, 1024);
    const early = headersFrame({ ':path': '/bytes/32' }).toString('base64');
    const again = await Http3Client.connect(port, { resume: first, raw: true, early });
    assert.equal(again.opened.early, false);
    // What it says early is dropped, and served when it says it again behind the handshake.
    await again.stream(0).ended();
    assert(again.stream(0).received.subarray(-32).equals(pattern.subarray(0, 32)));
    return 'off: early data is refused, and served once it comes again';
  },
  async http3() {
    const client = await Http3Client.connect(await serve());
    const { body } = await client.request('/echo', pattern.subarray(0, MIB));
    assert(body.equals(pattern.subarray(0, MIB)));
    await transfer(client, MIB, 4);
  },
  async blackhole() {
    const relay = await behind({});
    const client = await Http3Client.connect(relay.port);
    const done = transfer(client, 5 * MIB);
    await wait(100);
    relay.loss = 1;
    await wait(2000);
    relay.loss = 0;
    await done;
    return 'nothing gets through for 2 s';
  },
  async keyupdate() {
    const client = await Http3Client.connect(await serve());
    for (let round = 0; round < 3; round += 1) {
      await transfer(client, MIB);
      await client.command('key_update');
      await client.ping();
    }
    await transfer(client, MIB);
    return '3 times';
  },
  async amplificationlimit() {
    const { cert_file_name } = http3Options();
    const cert = Buffer.concat(Array.from({ length: 30 }, () => readFileSync(cert_file_name)));
    const port = await serve(true, { cert, cert_file_name: undefined });
    const control = await Http3Client.connect(port);
    const { datagrams: [initial] } = await control.command('initials', { count: 1 });
    const socket = dgram.createSocket('udp4');
    afterTest(() => socket.close());
    let received = 0;
    socket.on('message', ({ length }) => { received += length; });
    const datagram = Buffer.from(initial, 'base64');
    socket.send(datagram, port, '127.0.0.1');
    await once(socket, 'message');
    await wait(3000);
    assert(received <= 3 * datagram.length, `${received} bytes for ${datagram.length}`);
    return `${received} bytes for ${datagram.length}, with a chain of 30 certificates`;
  },
  async handshakeloss() {
    const { lost, sent, received } = await handshakes(20, { loss: 0.3 });
    return `20 handshakes; ${lost} of ${sent + received} datagrams lost`;
  },
  async transferloss() {
    const relay = await behind({ loss: 0.02, doubling: 0.01, reordering: 0.02 });
    await transfer(await Http3Client.connect(relay.port), 2 * MIB, 2);
    return `2 streams of 2 MiB; ${relay.counts.lost} datagrams lost, ${relay.counts.held} late`;
  },
  async handshakecorruption() {
    const { corrupted, sent, received } = await handshakes(20, { corruption: 0.3 });
    return `20 handshakes; ${corrupted} of ${sent + received} datagrams changed`;
  },
  async transfercorruption() {
    const relay = await behind({ corruption: 0.02 });
    await transfer(await Http3Client.connect(relay.port), 2 * MIB, 2);
    return `2 streams of 2 MiB; ${relay.counts.corrupted} datagrams changed`;
  },
  async ipv6() {
    const client = await Http3Client.connect(await serve(true, { host: '::1' }), { host: '::1' });
    assert.match((await client.request('/address')).text, /^0{4}:.*0001$|^::1$/);
    await transfer(client, MIB);
  },
  async ecn() {
    const [ECT0, CE] = [0b10, 0b11];
    const client = await Http3Client.connect(await serve(), { mark: ECT0 });
    await transfer(client, MIB);
    const { arrived, told } = await client.command('marks');
    // By mark: none, ECT(1), ECT(0), CE.
    assert.deepEqual([arrived[0], arrived[1], arrived[3]], [0, 0, 0]);
    assert(arrived[ECT0] > 10);
    // ECT(0), ECT(1), CE.
    const [ect0, ...others] = told.ONE_RTT;
    assert(ect0 > 0);
    assert.deepEqual(others, [0, 0]);

    // As if a router on the way were congested.
    await client.command('mark', { mark: CE });
    await transfer(client, MIB);
    const { told: later } = await client.command('marks');
    assert(later.ONE_RTT[2] > 0);
    return `all ${arrived[ECT0]} datagrams of 1 MiB are marked ECT(0); marks that arrive are told, CE too`;
  },
  async v2() {
    const client = await Http3Client.connect(await serve(), { versions: [V2, 1] });
    assert.equal(client.opened.version, 1);
    await transfer(client, 1024);
    return 'version 2 is not spoken: the client is told, and goes on with version 1';
  },
  async 'rebind-port'() {
    const relay = await behind({});
    const client = await Http3Client.connect(relay.port);
    const done = transfer(client, 5 * MIB);
    for (let round = 0; round < 3; round += 1) {
      await wait(100);
      relay.rebind();
      await client.ping();
    }
    await done;
  },
  async 'rebind-addr'() {
    const relay = await behind({});
    const client = await Http3Client.connect(relay.port);
    assert.equal((await client.request('/address')).text, '127.0.0.1');
    relay.address = '127.0.0.2';
    relay.rebind();
    assert.equal((await client.request('/address')).text, '127.0.0.2');
    await transfer(client, MIB);
  },
  async connectionmigration() {
    const client = await Http3Client.connect(await serve());
    const done = transfer(client, 5 * MIB);
    await client.command('rebind');
    await client.command('change_id');
    await done;
    await transfer(client, MIB);
    return 'with a new connection id';
  },
};

const names = process.argv.length > 2 ? process.argv.slice(2) : Object.keys(cases);
for (const name of names) {
  const start = performance.now();
  let line;
  try {
    const timeout = wait(SECONDS * 1000, undefined, { ref: false }).then(() => assert.fail(`took more than ${SECONDS} s`));
    line = `passed  ${(await Promise.race([cases[name](), timeout])) ?? ''}`;
  } catch (error) {
    line = `FAILED  ${error.message}`;
    process.exitCode = 1;
  }
  console.log(`${name.padEnd(20)} ${((performance.now() - start) / 1000).toFixed(1).padStart(5)} s  ${line}`);
  for (const step of cleanups) await step();
}
Http3Program.end();
