'use strict';

// The examples, each run as a user would run it.

const { spawn } = require('node:child_process');
const { createHash, randomBytes } = require('node:crypto');
const { once } = require('node:events');
const { mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } = require('node:fs');
const http = require('node:http');
const { tmpdir } = require('node:os');
const { join } = require('node:path');
const { createInterface } = require('node:readline');

const { afterTest } = require('../helpers/cleanup.js');
const { Example } = require('../helpers/example.js');
const { RawClient, request } = require('../helpers/raw-http.js');

const MIB = 1024 * 1024;

/** A file of `length` bytes in a folder of its own, which begins and ends with random bytes and is sparse between. */
function largeFile(length) {
  const folder = mkdtempSync(join(tmpdir(), 'ferrows-'));
  afterTest(() => rmSync(folder, { recursive: true }));
  const path = join(folder, 'large');
  writeFileSync(path, randomBytes(MIB));
  truncateSync(path, length - MIB);
  writeFileSync(path, randomBytes(MIB), { flag: 'a' });
  return path;
}

/** Downloads `/film`, pausing for a moment after every `pauseEach` bytes. */
async function download(port, pauseEach = Infinity) {
  const [response] = await once(http.get({ port, host: '127.0.0.1', path: '/film', agent: false }), 'response');
  const hash = createHash('sha256');
  let left = pauseEach;
  for await (const chunk of response) {
    hash.update(chunk);
    left -= chunk.length;
    if (left < 0) {
      left = pauseEach;
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }
  return hash.digest('hex');
}

function hashOf(path) {
  return createHash('sha256').update(readFileSync(path)).digest('hex');
}

describe('static-files', () => {
  test('serves a folder, and lets files with a hash in their names be kept', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'ferrows-'));
    afterTest(() => rmSync(folder, { recursive: true }));
    writeFileSync(join(folder, 'index.html'), 'hello');
    writeFileSync(join(folder, 'app.0123abcd.js'), 'script');
    const { port } = await Example.start('static-files.js', { FOLDER: folder });
    const client = await RawClient.connect(port);
    const page = await client.get('/');
    expect([page.text, page.values('cache-control')]).toEqual(['hello', ['no-cache']]);
    const script = await client.get('/app.0123abcd.js');
    expect([script.text, script.values('cache-control')]).toEqual(['script', ['public, max-age=31536000, immutable']]);
  });
});

describe('video-streamer', () => {
  test('sends a file of a gigabyte to slow and fast readers in little memory', async () => {
    const path = largeFile(1024 * MIB);
    const example = await Example.start('video-streamer.js', { FILE: path });
    const { peak } = example;
    const hashes = await Promise.all([download(example.port), download(example.port, 64 * MIB)]);
    const expected = hashOf(path);
    expect(hashes).toEqual([expected, expected]);
    // Some of it is the garbage of Node's file streams.
    expect(example.peak - peak).toBeLessThan(100 * MIB);
  });

  test('reads no further for a reader that went away', async () => {
    const example = await Example.start('video-streamer.js', { FILE: largeFile(64 * MIB) });
    const client = await RawClient.connect(example.port);
    await client.send(request('GET', '/film'));
    await client.bytes(5 * MIB);
    client.reset();
    expect((await download(example.port)).length).toBe(64);
  });

  describe('ranges', () => {
    const FILM = randomBytes(MIB);
    let film;
    let path;

    beforeEach(async () => {
      path = join(mkdtempSync(join(tmpdir(), 'ferrows-')), 'film');
      afterTest(() => rmSync(path, { recursive: true }));
      writeFileSync(path, FILM);
      film = await RawClient.connect((await Example.start('video-streamer.js', { FILE: path })).port);
    });

    test.each([
      ['bytes=0-0', 0, 0],
      ['bytes=1000-500000', 1000, 500_000],
      ['bytes=1000000-', 1_000_000, MIB - 1],
      ['bytes=-10', MIB - 10, MIB - 1],
      ['bytes=-9999999', 0, MIB - 1],
      ['bytes=1048000-9999999', 1_048_000, MIB - 1],
    ])('%s is answered with exactly these bytes', async (range, start, end) => {
      const answer = await film.get('/film', `Range: ${range}`);
      expect([answer.status, answer.values('content-range')]).toEqual([206, [`bytes ${start}-${end}/${MIB}`]]);
      expect(answer.body.equals(FILM.subarray(start, end + 1))).toBe(true);
    });

    test.each(['bytes=5-2', 'bytes=-', 'bytes=0-1,5-6', 'lines=1-2', 'bytes=a-b'])('%s is not understood: all is sent', async (range) => {
      const answer = await film.get('/film', `Range: ${range}`);
      expect([answer.status, answer.values('content-range'), answer.body.equals(FILM)]).toEqual([200, [], true]);
    });

    test.each(['bytes=1048576-', 'bytes=-0'])('%s is answered with 416 and the size', async (range) => {
      const answer = await film.get('/film', `Range: ${range}`);
      expect([answer.status, answer.values('content-range')]).toEqual([416, [`bytes */${MIB}`]]);
    });

    test('HEAD tells the size and sends nothing', async () => {
      await film.send(request('HEAD', '/film', ['Range: bytes=1-2']));
      const answer = await film.response('HEAD');
      expect([answer.status, answer.values('content-length')]).toEqual([206, ['2']]);
      expect((await film.get('/')).text).toContain('<video src="/film"');
    });

    test('If-Range: the rest of the same film, or all of another', async () => {
      const [etag] = (await film.get('/film', 'Range: bytes=0-0')).values('etag');
      expect((await film.get('/film', 'Range: bytes=1-3', `If-Range: ${etag}`)).status).toBe(206);
      writeFileSync(path, 'another film');
      const answer = await film.get('/film', 'Range: bytes=1-3', `If-Range: ${etag}`);
      expect([answer.status, answer.text]).toEqual([200, 'another film']);
    });
  });
});

describe('client', () => {
  test('says what it is told, prints what it hears, and tells how it ended', async () => {
    const server = await Example.start('echo.js');
    const client = spawn(process.execPath, [join(__dirname, '../../examples/client.js'), `ws://localhost:${server.port}`]);
    afterTest(() => client.kill('SIGKILL'));
    const lines = createInterface({ input: client.stdout })[Symbol.asyncIterator]();
    const line = async () => (await lines.next()).value;
    expect(await line()).toBe(`connected to ws://localhost:${server.port}`);
    client.stdin.write('hello\n');
    expect(await line()).toBe('hello');
    client.stdin.end();
    expect(await line()).toBe('closed: 1000 end of input (CLOSED_BY_END)');
    const [code] = client.exitCode === null ? await once(client, 'exit') : [client.exitCode];
    expect(code).toBe(0);
  });

  test('connects again when the server is back', async () => {
    const server = await Example.start('echo.js');
    const { port } = server;
    const client = spawn(process.execPath, [join(__dirname, '../../examples/client.js')], { env: { ...process.env, PORT: `${port}` } });
    afterTest(() => client.kill('SIGKILL'));
    const lines = createInterface({ input: client.stdout })[Symbol.asyncIterator]();
    const line = async () => (await lines.next()).value;
    expect(await line()).toMatch(/^connected/);
    server.child.kill('SIGKILL');
    expect(await line()).toMatch(/^closed: 1006 /);
    expect(await line()).toMatch(/^attempt 1 in \d+ ms$/);
    expect(await line()).toMatch(/^ERR_CONNECT_REFUSED: .* attempt 2 in \d+ ms$/);
    await Example.start('echo.js', { PORT: `${port}` });
    let text = await line();
    while (text.startsWith('ERR_CONNECT_REFUSED')) text = await line();
    expect(text).toMatch(/^connected/);
  });
});
