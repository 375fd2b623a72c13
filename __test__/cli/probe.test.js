'use strict';

// `ferrows probe` against servers and proxies that do what those in the world do, within seconds.

const { createHash } = require('node:crypto');
const { once } = require('node:events');
const { readFileSync } = require('node:fs');
const http = require('node:http');
const net = require('node:net');

const uWS = require('../..');
const { runProbe } = require('../../lib/cli/probe/command.js');
const { certificate } = require('../helpers/certificates.js');
const { ferrows, runHere } = require('../helpers/command.js');
const { CuttingProxy } = require('../helpers/cutting-proxy.js');

/** When proxies cut, in ms; silences that end well before and well after that, in seconds; and pings well within. */
const LIMIT = 1200;
const AROUND_THE_LIMIT = ['--silences', '0.4,2.5', '--ping', '0.2'];
/** For what is not about silence. */
const AT_ONCE = ['--silences', '0.05', '--timeout', '5'];

const steps = [];
let port;
let securePort;

beforeAll(async () => {
  const echo = (ws, message, isBinary) => ws.send(message, isBinary, true);
  const routes = (app) => app
    .ws('/echo', { maxPayloadLength: 100_000, compression: uWS.SHARED_COMPRESSOR, message: echo })
    .ws('/plain', { maxPayloadLength: 2 << 20, message: echo })
    .ws('/mute', {})
    .ws('/strict', { message: (ws) => ws.end(1003, 'JSON only') })
    // Ends every connection at one age.
    .ws('/lifetime', { open: (ws) => setTimeout(() => attempt(() => ws.end(1012, 'new version')), LIMIT) })
    // Ends connections on which the client sends nothing.
    .ws('/impatient', {
      open: (ws) => { ws.timer = setTimeout(() => attempt(() => ws.end(4008, 'you are silent')), LIMIT); },
      ping: (ws) => ws.timer.refresh(),
      close: (ws) => clearTimeout(ws.timer),
    })
    .ws('/pinging', {
      open: (ws) => { ws.timer = setInterval(() => ws.ping(), 300); },
      close: (ws) => clearInterval(ws.timer),
    })
    .ws('/protocol', {
      upgrade: (res, req) => res.upgrade({}, {
        protocol: req.getHeader('sec-websocket-protocol').split(',')[0] || undefined,
      }),
      open: (ws) => ws.send('hello'),
    })
    .get('/moved', (res) => res.writeStatus('302 Found').writeHeader('Location', '/mute').end())
    .get('/away', (res) => res.writeStatus('301 Moved Permanently').writeHeader('Location', 'mailto:somebody').end())
    .get('/circle', (res) => res.writeStatus('307 Temporary Redirect').writeHeader('Location', '/circle').end())
    .get('/forbidden', (res) => res.writeStatus('403 Forbidden').end('no'))
    .get('/page', (res) => res.end('a page'));
  const listen = async (app) => {
    steps.push(() => app.close());
    return uWS.us_socket_local_port(await routes(app).listen('127.0.0.1', 0));
  };
  port = await listen(uWS.App({ threads: 1 }));
  securePort = await listen(uWS.SSLApp({ threads: 1, ...certificate() }));
});

afterAll(async () => {
  while (steps.length > 0) await steps.pop()();
});

function attempt(use) {
  try {
    use();
  } catch {
    // The client has left before.
  }
}

/** A proxy before the server that cuts as `how` says. */
async function cutting(how, path = '/mute') {
  const proxy = await CuttingProxy.start(port, how, LIMIT);
  steps.push(() => proxy.close());
  return `ws://127.0.0.1:${proxy.port}${path}`;
}

/** A server of bare TCP. */
async function bare(onConnection) {
  const sockets = new Set();
  const server = net.createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => {});
    onConnection(socket);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  steps.push(() => {
    server.close();
    sockets.forEach((socket) => socket.destroy());
  });
  return `ws://127.0.0.1:${server.address().port}/`;
}

/** Accepts a WebSocket, and hands its socket on. */
async function accepting(onSocket, headers = '') {
  const server = http.createServer();
  server.on('upgrade', (request, socket) => {
    const accept = createHash('sha1').update(`${request.headers['sec-websocket-key']}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest('base64');
    socket.on('error', () => {});
    steps.push(() => socket.destroy());
    socket.write(`HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${accept}\r\n${headers}\r\n`);
    onSocket(socket);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  steps.push(() => server.close());
  return `ws://127.0.0.1:${server.address().port}/`;
}

const probe = (...args) => runHere(runProbe, ['--json', ...args]);
const textOf = ({ json }) => json.verdict.map(({ kind, text }) => `${kind}: ${text}`).join('\n');
const statesOf = ({ json }, mode) => json.lines.filter((line) => line.mode === mode).map(({ state }) => state);

describe('silence', () => {
  /** All of these take seconds, so they run together. */
  const runs = {};

  beforeAll(async () => {
    const urls = {
      fin: await cutting('fin'), rst: await cutting('rst'), silent: await cutting('silent'), forget: await cutting('forget'),
      open: `ws://127.0.0.1:${port}/mute`, lifetime: `ws://127.0.0.1:${port}/lifetime`,
      impatient: `ws://127.0.0.1:${port}/impatient`, pinging: `ws://127.0.0.1:${port}/pinging`,
    };
    await Promise.all(Object.entries(urls).map(async ([name, url]) => {
      runs[name] = await probe(url, ...AROUND_THE_LIMIT, '--timeout', '2', '--no-messages');
    }));
  });

  test.each([
    ['fin', 'cut', 'by a TCP FIN without a Close frame'],
    ['rst', 'cut', 'by a TCP RST'],
    ['silent', 'silent', 'silently: neither side is told, and what is sent afterwards disappears'],
    ['forget', 'forgotten', 'silently: neither side is told, and who sends afterwards gets a TCP RST'],
  ])('%s: how a proxy cuts is found, and that pings keep the line open', (name, state, how) => {
    const run = runs[name];
    expect(run.code).toBe(1);
    const [survivor, ...others] = statesOf(run, 'quiet');
    expect(survivor).toBe('survived');
    expect(others).toContain(state);
    expect(textOf(run)).toMatch(/^problem: A line on which nobody sends is cut after /m);
    expect(textOf(run)).toContain(how);
    expect(textOf(run)).toMatch(/^good: Pings keep it open: with one every 0.2 s/m);
    // The pongs that are sent without a question count as traffic for this proxy.
    expect(textOf(run)).toContain('What the client sends is enough');
  });

  test('a cut is timed from the last byte, and was at most as long as the line was silent', () => {
    const cuts = runs.fin.json.lines.filter(({ mode, state }) => mode === 'quiet' && state === 'cut');
    for (const { silentFor, age } of cuts) {
      // Timers of Node's may fire a moment early.
      expect(silentFor).toBeGreaterThan(LIMIT / 1000 - 0.05);
      expect(age).toBeGreaterThanOrEqual(silentFor);
    }
  });

  test('a line that nobody cuts is found to be open', () => {
    expect(runs.open.code).toBe(0);
    expect(new Set(runs.open.json.lines.map(({ state }) => state))).toEqual(new Set(['survived']));
    expect(textOf(runs.open)).toMatch(/^good: A line on which nobody sends stays open for at least 2\.\d s\.$/m);
  });

  test('a server that ends connections at one age has a limit of life, whatever is sent', () => {
    expect(textOf(runs.lifetime)).toMatch(/^problem: Connections end when they are \d\.\d s old, busy or not, by a Close frame with the code 1012 \(“new version”\)/m);
  });

  test('a server that closes silent clients is told from a proxy', () => {
    expect(runs.impatient.code).toBe(1);
    expect(textOf(runs.impatient)).toContain('by a Close frame with the code 4008 (“you are silent”)');
    expect(textOf(runs.impatient)).toContain('it is the server itself');
    expect(statesOf(runs.impatient, 'pinged')).toContain('survived');
  });

  test('a server that pings keeps the line from being silent', () => {
    expect(runs.pinging.code).toBe(0);
    expect(textOf(runs.pinging)).toMatch(/^good: The server pings after \d\.\d+ s of silence/m);
    const deaf = runs.pinging.json.lines.find(({ mode }) => mode === 'deaf');
    expect(deaf.heard.pings).toBeGreaterThan(0);
  });
});

describe('the handshake', () => {
  test('its times, its address, its extensions and who answered', async () => {
    const { code, json } = await probe(`ws://127.0.0.1:${port}/echo`, ...AT_ONCE);
    expect(code).toBe(0);
    expect(json).toMatchObject({
      url: `ws://127.0.0.1:${port}/echo`, redirects: [], isInterrupted: false, exitCode: 0,
      handshake: {
        address: { address: '127.0.0.1', port }, httpVersion: '1.1', status: 101,
        extensions: expect.stringContaining('permessage-deflate'),
      },
      roundTrip: { count: 5 },
    });
    expect(Object.keys(json.handshake.times)).toEqual(['tcp', 'upgrade', 'total']);
  });

  test('products are known by their headers', async () => {
    const url = await accepting(() => {}, 'Server: nginx/1.27\r\nVia: 1.1 varnish\r\nSet-Cookie: AWSALB=x\r\n');
    const { json } = await probe(url, '--silences', '0.05', '--timeout', '0.2', '--no-messages');
    expect(json.answeredBy).toEqual({
      headers: [['Server', 'nginx/1.27'], ['Via', '1.1 varnish']], products: ['nginx', 'AWS Application Load Balancer'],
    });
  });

  test('a subprotocol, headers and an origin are passed on', async () => {
    let seen;
    const url = await accepting(() => {}, 'Sec-WebSocket-Protocol: two\r\n');
    const server = net.createServer((near) => {
      const far = net.connect(Number(new URL(url).port), '127.0.0.1');
      near.once('data', (bytes) => { seen ??= bytes.toString(); });
      near.pipe(far).pipe(near);
      near.on('error', () => {});
      far.on('error', () => {});
    }).listen(0, '127.0.0.1');
    await once(server, 'listening');
    steps.push(() => server.close());
    const { json } = await probe(
      'ws://me:secret@somewhere.example/x?y=1', '--connect-to', `127.0.0.1:${server.address().port}`, '--protocol', 'one,two',
      '--header', 'X-Mine: 1', '--origin', 'https://app.example', '--silences', '0.05', '--timeout', '0.2', '--no-messages',
    );
    expect(json.handshake.protocol).toBe('two');
    expect(seen).toMatch(/^GET \/x\?y=1 HTTP\/1\.1\r\nHost: somewhere\.example\r\n/);
    for (const line of ['X-Mine: 1', 'Origin: https://app.example', 'Sec-WebSocket-Protocol: one, two', `Authorization: Basic ${btoa('me:secret')}`]) {
      expect(seen).toContain(`\r\n${line}\r\n`);
    }
    expect(json.url).not.toContain('secret');
  });

  test('redirects are followed, and told to be no good for browsers', async () => {
    const run = await probe(`ws://127.0.0.1:${port}/moved`, ...AT_ONCE, '--no-messages');
    expect(run.code).toBe(1);
    expect(run.json).toMatchObject({ url: `ws://127.0.0.1:${port}/mute`, redirects: [`ws://127.0.0.1:${port}/moved`] });
    expect(textOf(run)).toContain('Browsers do not follow redirects');
  });

  test('over TLS: version, cipher and certificate, and what was passed over', async () => {
    const { cert_file_name: ca } = certificate();
    const url = `wss://localhost:${securePort}/mute`;
    const [trusted, insecure] = await Promise.all([
      probe(url, ...AT_ONCE, '--no-messages', '--ca', ca), probe(url, ...AT_ONCE, '--no-messages', '--insecure'),
    ]);
    expect(trusted.json.handshake.tls).toMatchObject({
      version: 'TLSv1.3', cipher: expect.stringMatching(/^TLS_/), alpn: 'http/1.1', isTrusted: true, certificate: { subject: 'localhost' },
    });
    expect(trusted.json.http2).toBe('none');
    expect(trusted.code).toBe(0);
    expect(insecure.code).toBe(1);
    expect(textOf(insecure)).toContain('problem: The certificate was not trusted (DEPTH_ZERO_SELF_SIGNED_CERT)');
  });
});

describe('what cannot be opened is a sentence, and exit code 3', () => {
  test.each([
    ['/forbidden', 'answers 403 Forbidden instead of 101: it refuses this client'],
    ['/nothing', 'answers 404'],
    ['/page', 'answers 200 OK instead of 101: what answers there does not know WebSockets'],
    ['/circle', 'redirects in a circle'],
    ['/away', 'which is no address of a WebSocket. The url must begin with wss:// or ws://, not with mailto:.'],
  ])('%s', async (path, sentence) => {
    const { code, stdout, stderr } = await runHere(runProbe, [`ws://127.0.0.1:${port}${path}`]);
    expect([code, stdout]).toEqual([3, '']);
    expect(stderr).toContain(sentence);
    // One sentence, and not the stack of an error.
    expect(stderr.trim().split('\n').at(-1)).toContain(sentence);
  });

  test('nobody listens', async () => {
    const server = net.createServer().listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port: free } = server.address();
    server.close();
    await once(server, 'close');
    const { code, json } = await probe(`ws://127.0.0.1:${free}/`);
    expect(code).toBe(3);
    expect(json).toMatchObject({ exitCode: 3, failure: { code: 'ECONNREFUSED' } });
    expect(json.failure.message).toBe(`127.0.0.1 refuses connections to port ${free}: the server is down, or listens on another port or address.`);
  });

  test.each([
    ['another protocol', (socket) => socket.end('SSH-2.0-OpenSSH_9.2\r\n'), 'answers, but not with HTTP/1.1'],
    ['a FIN', (socket) => socket.end(), 'closed the connection instead of answering'],
    ['a reset', (socket) => socket.once('data', () => socket.resetAndDestroy()), 'reset the connection before it had answered'],
    ['no answer', () => {}, 'did not answer within 0.3 s, while waiting for the response to the upgrade.'],
    ['a wrong Sec-WebSocket-Accept', (socket) => socket.once('data', () => socket.write('HTTP/1.1 101 x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: x\r\n\r\n')), 'does not answer the key'],
  ])('a server with %s', async (_, onConnection, sentence) => {
    const { code, json } = await probe(await bare(onConnection), '--timeout', '0.3');
    expect(json.failure.message).toContain(sentence);
    expect(code).toBe(3);
  });

  test.each([
    ['localhost', [], 'is self-signed'],
    ['ferrows.example', ['--ca'], 'The certificate is not for ferrows.example but for localhost'],
  ])('the certificate of %s', async (name, [ca], sentence) => {
    const args = ca === undefined ? [] : [ca, certificate().cert_file_name];
    const { code, json } = await probe(`wss://${name}/`, '--connect-to', `127.0.0.1:${securePort}`, ...args);
    expect(json.failure.message).toContain(sentence);
    expect(code).toBe(3);
  });

  test('TLS where there is none, and none where there is', async () => {
    const [secure, plain] = await Promise.all([
      probe(`wss://127.0.0.1:${port}/`, '--timeout', '5'), probe(`ws://127.0.0.1:${securePort}/`, '--timeout', '5'),
    ]);
    expect(secure.json.failure.message).toContain('does not speak TLS');
    expect(plain.json.failure.message).toMatch(/answers 400 .*wss:\/\//);
  });
});

describe('messages', () => {
  test('of an echoing server pass: binary, in fragments, compressed, up to its limit', async () => {
    const run = await probe(`ws://127.0.0.1:${port}/echo`, ...AT_ONCE);
    expect(run.json.messages).toMatchObject({
      echo: { outcome: 'yes' }, binary: { outcome: 'passed' }, fragments: { outcome: 'passed' },
      compression: { outcome: 'passed', isCompressed: true },
      sizes: { outcome: 'ended', passed: 65536, failed: 262144, end: { how: 'close', code: 1009 } },
    });
    expect(run.code).toBe(0);
  });

  test('of a mebibyte pass, uncompressed where nothing was negotiated', async () => {
    const { json } = await probe(`ws://127.0.0.1:${port}/plain`, ...AT_ONCE);
    expect(json.messages).toMatchObject({ compression: { outcome: 'not negotiated' }, sizes: { outcome: 'passed', passed: 1 << 20 } });
  });

  test.each([
    ['/mute', 'no', 'the server does not echo'],
    ['/strict', 'closed', 'by a Close frame with the code 1003 (“JSON only”)'],
    ['/protocol', 'no', 'the server does not echo'],
  ])('of %s: not known', async (path, outcome, sentence) => {
    const run = await probe(`ws://127.0.0.1:${port}${path}`, '--silences', '0.05', '--timeout', '0.5');
    expect(run.json.messages).toMatchObject({ echo: { outcome } });
    expect(textOf(run)).toContain(sentence);
    expect(run.code).toBe(0);
  });

  test('that something changes on their way are found', async () => {
    // Changes the last byte of every long frame of the server.
    const url = await bare((near) => {
      const far = net.connect(port, '127.0.0.1');
      near.pipe(far);
      far.on('error', () => {});
      far.on('data', (bytes) => {
        if (bytes.length > 500 && bytes[0] === 0x82) bytes[bytes.length - 1] ^= 1;
        near.write(bytes);
      });
      near.on('close', () => far.destroy());
    });
    const run = await probe(`${url}echo`, '--silences', '0.05', '--timeout', '1');
    expect(run.json.messages.binary).toMatchObject({ outcome: 'changed' });
    expect(textOf(run)).toContain('problem: A binary message does not pass: it comes back changed.');
    expect(run.code).toBe(1);
  });
});

test('bytes that are no WebSocket are told as what they are', async () => {
  const url = await accepting((socket) => setTimeout(() => socket.write('GET / HTTP/1.1\r\n\r\n'), 400));
  const run = await probe(url, '--silences', '2', '--timeout', '0.1', '--no-messages');
  expect(textOf(run)).toMatch(/by bytes that are no WebSocket \(bytes that are no WebSocket frame \(474554/);
});

test('a server that answers no pings: whether silent lines are alive is not known', async () => {
  const run = await probe(await accepting(() => {}), '--silences', '0.1', '--timeout', '0.2', '--no-messages');
  expect(run.json.roundTrip).toBeUndefined();
  expect(textOf(run)).toContain('The server answers no pings');
  expect(run.code).toBe(0);
});

test('as text: the facts, a line for each direction, the verdict; and what is going on on stderr', async () => {
  const { code, stdout, stderr } = await ferrows(['probe', await cutting('fin', '/echo'), ...AROUND_THE_LIMIT]);
  expect(code).toBe(1);
  for (const label of ['Handshake', 'Address', 'Answered by', 'Extensions', 'Round trip', 'Messages', 'Verdict']) {
    expect(stdout).toMatch(new RegExp(`^${label}`, 'm'));
  }
  expect(stdout).toMatch(/^nobody sends +0\.4 s survived, +2\.5 s FIN after/m);
  expect(stdout).toMatch(/^client pings +every/m);
  expect(stdout).toMatch(/^! A line on which nobody sends is cut/m);
  expect(stderr).toMatch(/^ +\d+\.\d s {2}nobody sends, 2\.5 s: FIN after/m);
  expect(stdout + stderr).not.toMatch(/\u001b/);
});

test('on a terminal what is going on is a picture that is drawn again, within the width, and removed in the end', async () => {
  const url = `ws://127.0.0.1:${port}/pinging`;
  const { stderr } = await runHere(runProbe, ['--json', url, '--silences', '0.2,0.5', '--timeout', '1', '--no-messages'], { isTTY: true, columns: 30 });
  const ESCAPE = '\u001b';
  const frames = stderr.split(`${ESCAPE}[J`);
  expect(frames.length).toBeGreaterThan(3);
  expect(frames.at(-1)).toBe('');
  const plain = stderr.replaceAll(new RegExp(`${ESCAPE}\\[\\d*[A-Zm]`, 'g'), '').split('\n').map((line) => line.replaceAll('\r', ''));
  expect(plain.filter((line) => line.length >= 30)).toEqual([]);
  expect(stderr).toMatch(/nobody sends/);
  // Each picture is removed by as many lines up as it has.
  for (const [index, frame] of frames.slice(0, -1).entries()) {
    const [, up] = frame.match(new RegExp(`${ESCAPE}\\[(\\d+)A\\r$`));
    expect([index, frame.split('\n').length - 1]).toEqual([index, Number(up)]);
  }
});

test('Ctrl+C gives what is known so far', async () => {
  let child;
  const { code, json } = await ferrows(['probe', '--json', '--max', '600', `ws://127.0.0.1:${port}/echo`], {
    started: (started, output) => {
      child = started;
      child.stderr.on('data', () => {
        // The second one ends the process, as always.
        if (output.stderr.includes('sizes') && !child.killed) child.kill('SIGINT');
      });
    },
  });
  expect(code).toBe(130);
  expect(json).toMatchObject({ isInterrupted: true, exitCode: 130, handshake: { status: 101 }, messages: { binary: { outcome: 'passed' } } });
  expect(json.verdict.at(-1).text).toContain('Interrupted');
});

test('the page docs/probe.md has the options and exit codes of --help', async () => {
  const { stdout } = await runHere(runProbe, ['--help']);
  const page = readFileSync(require.resolve('../../docs/probe.md'), 'utf8');
  const options = [...stdout.matchAll(/^ {2}(--[a-z-]+)/gm)].map(([, name]) => name);
  expect(options.length).toBeGreaterThan(10);
  for (const name of options) expect(page).toContain(`\`${name}`);
  for (const [code] of stdout.match(/Exit code: .*/)[0].matchAll(/\d+(?= )/g)) expect(page).toMatch(new RegExp(`^\\| ${code} \\|`, 'm'));
});
