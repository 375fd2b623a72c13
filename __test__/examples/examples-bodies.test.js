'use strict';

// The examples that take request bodies, each run as a user would run it.

const { createHash, randomBytes } = require('node:crypto');
const { mkdtempSync, readFileSync, readdirSync, rmSync } = require('node:fs');
const { tmpdir } = require('node:os');
const { join } = require('node:path');

const { afterTest } = require('../helpers/cleanup.js');
const { Example } = require('../helpers/example.js');
const { RawClient, request } = require('../helpers/raw-http.js');

const MIB = 1024 * 1024;

const hashOf = (data) => createHash('sha256').update(data).digest('hex');

describe('json-post', () => {
  test('greets those who may enter, and says what is wrong to others', async () => {
    const { port } = await Example.start('json-post.js');
    const post = async (body, authorization = 'let-me-in') => {
      const headers = { authorization };
      const answer = await fetch(`http://127.0.0.1:${port}/greetings`, { method: 'POST', body, headers });
      return [answer.status, await answer.json()];
    };
    expect(await post('{"name":"Ali"}')).toEqual([200, { greeting: 'Hello, Ali' }]);
    expect(await post(JSON.stringify({ name: 'x'.repeat(60_000) }))).toEqual([200, { greeting: expect.any(String) }]);
    expect((await post('{"name":"Ali"}', 'please'))[0]).toBe(401);
    expect((await post('{"name"'))[0]).toBe(400);
    expect((await post('null'))[0]).toBe(400);
    expect((await post(''))[0]).toBe(400);
    expect((await post('x'.repeat(100_000)))[0]).toBe(413);
  });
});

describe('upload', () => {
  /** The example with a folder of its own for temporary files, and what it has saved there. */
  async function start() {
    const temporary = mkdtempSync(join(tmpdir(), 'ferrows-'));
    afterTest(() => rmSync(temporary, { recursive: true }));
    const example = await Example.start('upload.js', { TMPDIR: temporary });
    const saved = () => {
      const [folder] = readdirSync(temporary);
      return readdirSync(join(temporary, folder)).map((name) => readFileSync(join(temporary, folder, name)));
    };
    return { example, saved, url: `http://127.0.0.1:${example.port}/` };
  }

  test('saves the files of a form, and nothing else', async () => {
    const { url, saved } = await start();
    expect(await (await fetch(url)).text()).toContain('multipart/form-data');
    const form = new FormData();
    form.append('text', 'no file');
    form.append('file', new Blob(['one']), 'a.txt');
    form.append('file', new Blob(['three']), '../b.txt');
    const answer = await fetch(url, { method: 'POST', body: form });
    expect([answer.status, await answer.text()]).toEqual([200, 'a.txt: 3 bytes\n../b.txt: 5 bytes\n']);
    expect(saved().map(String).sort()).toEqual(['one', 'three']);
    expect((await fetch(url, { method: 'POST', body: 'text' })).status).toBe(400);
    expect((await fetch(url, { method: 'POST', body: Buffer.alloc(11 * MIB) })).status).toBe(413);
    expect(saved()).toHaveLength(2);
  });

  test('writes a large file as it arrives, in little memory', async () => {
    const { example, url, saved } = await start();
    const { peak } = example;
    const body = randomBytes(100 * MIB);
    const answer = await fetch(url, { method: 'PUT', body });
    expect([answer.status, await answer.text()]).toEqual([201, `${body.length} bytes\n`]);
    expect(saved().map(hashOf)).toEqual([hashOf(body)]);
    expect(example.peak - peak).toBeLessThan(80 * MIB);
    expect((await fetch(url, { method: 'PUT', body: '' })).status).toBe(201);
  });

  test('removes what it has of a file whose client went away', async () => {
    const { example, url, saved } = await start();
    const client = await RawClient.connect(example.port);
    await client.send(request('PUT', '/', ['Content-Length: 8']) + 'half');
    // Making and removing a file takes a moment, and nothing tells of it.
    while (saved().length === 0) await fetch(url);
    client.reset();
    while (saved().length > 0) await fetch(url);
  });
});
