'use strict';

// app.serveFiles over real sockets: what is served, what is not, and that no file stays open.

const { createHash, randomBytes } = require('node:crypto');
const { execFileSync } = require('node:child_process');
const fs = require('node:fs');
const { tmpdir } = require('node:os');
const { join } = require('node:path');

const { afterTest } = require('../helpers/cleanup.js');
const { failureOf } = require('../helpers/failure.js');
const { Program } = require('../helpers/program.js');
const { RawClient, request } = require('../helpers/raw-http.js');
const { createApp, listen } = require('../helpers/server.js');

const MIB = 1024 * 1024;
const isLinux = process.platform === 'linux';

/** A folder that is removed after the test, with these files in it. */
function folderWith(files) {
  const outer = fs.mkdtempSync(join(fs.realpathSync(tmpdir()), 'ferrows-files-'));
  afterTest(() => fs.rmSync(outer, { recursive: true }));
  const folder = join(outer, 'public');
  fs.mkdirSync(folder);
  for (const [name, content] of Object.entries(files)) {
    const path = join(folder, name);
    fs.mkdirSync(join(path, '..'), { recursive: true });
    fs.writeFileSync(path, content);
  }
  return folder;
}

/** A client of an app that serves a folder. */
async function serve(folder, options, pattern = '/*') {
  const app = createApp().serveFiles(pattern, folder, options);
  return RawClient.connect(listen(app));
}

/** The response to a request without a body. */
async function ask(client, method, path, ...fields) {
  await client.send(request(method, path, fields));
  return client.response(method);
}

/** The values of one field. */
const only = (response, ...names) => Object.fromEntries(names.map((name) => [name, response.values(name)[0]]));

/** The descriptors of this process that lead to files below a folder. */
function openFiles(folder) {
  return fs.readdirSync('/proc/self/fd').filter((fd) => {
    try {
      return fs.readlinkSync(`/proc/self/fd/${fd}`).startsWith(folder);
    } catch {
      return false;
    }
  });
}

/** Waits until no file below a folder is open: Node closes them on other threads. */
async function allClosed(folder) {
  while (openFiles(folder).length > 0) await new Promise(setImmediate);
}

describe('what is served', () => {
  test('a file, with its type, length, validators and no-cache', async () => {
    const folder = folderWith({ 'a/b.css': 'body {}' });
    fs.utimesSync(join(folder, 'a/b.css'), 784111777, 784111777);
    const response = await ask(await serve(folder), 'GET', '/a/b.css');
    expect([response.status, response.text]).toEqual([200, 'body {}']);
    expect(only(response, 'content-type', 'content-length', 'last-modified', 'cache-control', 'accept-ranges')).toEqual({
      'content-type': 'text/css; charset=utf-8',
      'content-length': '7',
      'last-modified': 'Sun, 06 Nov 1994 08:49:37 GMT',
      'cache-control': 'no-cache',
      'accept-ranges': 'bytes',
    });
    expect(response.values('etag')).toEqual([expect.stringMatching(/^"[\x21\x23-\x7e]+"$/)]);
  });

  test('HEAD: the same fields, and no body', async () => {
    const client = await serve(folderWith({ 'a.txt': 'hello', 'empty.txt': '' }));
    for (const path of ['/a.txt', '/empty.txt']) {
      const [get, head] = [await ask(client, 'GET', path), await ask(client, 'HEAD', path)];
      const withoutDate = ({ fields }) => fields.filter(([name]) => name !== 'Date').sort();
      expect([head.status, withoutDate(head)]).toEqual([200, withoutDate(get)]);
    }
  });

  test('an empty file', async () => {
    const response = await ask(await serve(folderWith({ 'empty.txt': '' })), 'GET', '/empty.txt');
    expect([response.status, response.values('content-length')]).toEqual([200, ['0']]);
  });

  test.each([1, 64 * 1024 - 1, 64 * 1024, 64 * 1024 + 1, 3 * MIB + 7])('a file of %i bytes, byte for byte', async (size) => {
    const content = randomBytes(size);
    const response = await ask(await serve(folderWith({ file: content })), 'GET', '/file');
    expect(response.body.equals(content)).toBe(true);
  });

  test('names with blanks, umlauts and per cents', async () => {
    const client = await serve(folderWith({ 'ü b.txt': 'ü', '100%.txt': '%' }));
    expect((await ask(client, 'GET', '/%C3%BC%20b.txt')).text).toBe('ü');
    expect((await ask(client, 'GET', '/100%25.txt')).text).toBe('%');
  });

  test('below a longer pattern, beside other routes, which keep their paths', async () => {
    const folder = folderWith({ 'a.txt': 'file', 'own.txt': 'file' });
    const app = createApp().serveFiles('/static/v1/*', folder).get('/static/v1/own.txt', (res) => res.end('route'));
    app.post('/static/v1/*', (res) => res.end('post'));
    const client = await RawClient.connect(listen(app));
    expect((await ask(client, 'GET', '/static/v1/a.txt')).text).toBe('file');
    expect((await ask(client, 'GET', '/static/v1/own.txt')).text).toBe('route');
    expect((await ask(client, 'POST', '/static/v1/a.txt', 'Content-Length: 0')).text).toBe('post');
    expect((await ask(client, 'GET', '/a.txt')).status).toBe(404);
    expect((await ask(client, 'DELETE', '/static/v1/a.txt')).status).toBe(404);
  });

  test('a file that has changed has other validators; one that was replaced too', async () => {
    const folder = folderWith({ 'a.txt': 'one' });
    const client = await serve(folder);
    const first = (await ask(client, 'GET', '/a.txt')).values('etag')[0];
    fs.writeFileSync(join(folder, 'new.txt'), 'two');
    fs.utimesSync(join(folder, 'new.txt'), 1, 1);
    fs.renameSync(join(folder, 'new.txt'), join(folder, 'a.txt'));
    const response = await ask(client, 'GET', '/a.txt', `If-None-Match: ${first}`);
    expect([response.status, response.text]).toEqual([200, 'two']);
    expect(response.values('etag')).not.toEqual([first]);
  });

  test('Last-Modified is never in the future', async () => {
    const folder = folderWith({ 'a.txt': 'x' });
    fs.utimesSync(join(folder, 'a.txt'), 4e9, 4e9);
    const response = await ask(await serve(folder), 'GET', '/a.txt');
    const { 'last-modified': modified, date } = only(response, 'last-modified', 'date');
    // The date of the response was made a moment later, or in the same second.
    expect(Date.parse(modified)).toBeLessThanOrEqual(Date.parse(date) + 1000);
  });
});

describe('conditions and ranges', () => {
  test('304: without a body, with the fields that a cache needs', async () => {
    const client = await serve(folderWith({ 'a.txt': 'hello' }), { headers: { Vary: 'Accept' } });
    const full = await ask(client, 'GET', '/a.txt');
    const { etag, 'last-modified': modified } = only(full, 'etag', 'last-modified');
    for (const condition of [`If-None-Match: ${etag}`, `If-Modified-Since: ${modified}`]) {
      for (const method of ['GET', 'HEAD']) {
        const response = await ask(client, method, '/a.txt', condition);
        expect(response.status).toBe(304);
        const names = ['cache-control', 'vary', 'etag', 'last-modified'];
        expect(only(response, ...names)).toEqual(only(full, ...names));
        expect(response.names).not.toContain('Content-Type');
      }
    }
  });

  test('412', async () => {
    const client = await serve(folderWith({ 'a.txt': 'hello' }));
    expect((await ask(client, 'GET', '/a.txt', 'If-Match: "other"')).status).toBe(412);
    expect((await ask(client, 'HEAD', '/a.txt', 'If-Unmodified-Since: Sun, 06 Nov 1994 08:49:37 GMT')).status).toBe(412);
  });

  test.each([
    ['bytes=0-0', 'a', 'bytes 0-0/26'],
    ['bytes=23-', 'xyz', 'bytes 23-25/26'],
    ['bytes=-2', 'yz', 'bytes 24-25/26'],
    ['bytes=20-99', 'uvwxyz', 'bytes 20-25/26'],
  ])('206: %s', async (range, text, shown) => {
    const client = await serve(folderWith({ 'abc.txt': 'abcdefghijklmnopqrstuvwxyz' }));
    const response = await ask(client, 'GET', '/abc.txt', `Range: ${range}`);
    expect([response.status, response.text]).toEqual([206, text]);
    expect(only(response, 'content-range', 'content-type')).toEqual({ 'content-range': shown, 'content-type': 'text/plain; charset=utf-8' });
  });

  test('416: says how long the file is', async () => {
    const response = await ask(await serve(folderWith({ 'a.txt': 'abc' })), 'GET', '/a.txt', 'Range: bytes=3-');
    expect([response.status, response.text]).toEqual([416, '']);
    expect(response.values('content-range')).toEqual(['bytes */3']);
  });

  test('several ranges, and a Range field that came twice: the whole file', async () => {
    const client = await serve(folderWith({ 'a.txt': 'abc' }));
    for (const fields of [['Range: bytes=0-0,2-2'], ['Range: bytes=0-0', 'Range: bytes=2-2']]) {
      const response = await ask(client, 'GET', '/a.txt', ...fields);
      expect([response.status, response.text]).toEqual([200, 'abc']);
    }
  });

  test('a download that broke off goes on where it was, unless the file has changed', async () => {
    const content = randomBytes(300_000);
    const folder = folderWith({ file: content });
    const client = await serve(folder);
    const { etag } = only(await ask(client, 'HEAD', '/file'), 'etag');
    const rest = await ask(client, 'GET', '/file', 'Range: bytes=100000-', `If-Range: ${etag}`);
    expect([rest.status, rest.body.equals(content.subarray(100_000))]).toEqual([206, true]);
    fs.writeFileSync(join(folder, 'file'), content.subarray(1));
    const again = await ask(client, 'GET', '/file', 'Range: bytes=100000-', `If-Range: ${etag}`);
    expect([again.status, again.body.equals(content.subarray(1))]).toEqual([200, true]);
  });
});

describe('folders', () => {
  test('with a slash: their index.html; without: a redirect, which keeps the query', async () => {
    const client = await serve(folderWith({ 'index.html': 'root', 'a b/index.html': 'inner', 'none/x.txt': '' }));
    expect((await ask(client, 'GET', '/')).text).toBe('root');
    const inner = await ask(client, 'GET', '/a%20b/');
    expect([inner.text, inner.values('content-type')]).toEqual(['inner', ['text/html; charset=utf-8']]);
    const redirect = await ask(client, 'GET', '/a%20b?x=1&y');
    expect([redirect.status, redirect.values('location')]).toEqual([301, ['/a%20b/?x=1&y']]);
    expect((await ask(client, 'HEAD', '/a%20b')).values('location')).toEqual(['/a%20b/']);
    expect((await ask(client, 'GET', '/none/')).status).toBe(404);
    expect((await ask(client, 'GET', '/index.html/')).status).toBe(404);
  });

  test('no redirect leads to another host', async () => {
    const client = await serve(folderWith({ 'example.com/index.html': '' }));
    for (const path of ['//example.com', '///example.com', '/%2fexample.com', '/.//example.com']) {
      expect((await ask(client, 'GET', path)).status).toBe(404);
    }
  });

  test('index: another name, or none', async () => {
    const folder = folderWith({ 'index.html': 'html', 'start.htm': 'start' });
    expect((await ask(await serve(folder, { index: 'start.htm' }), 'GET', '/')).text).toBe('start');
    const without = await serve(folder, { index: false });
    expect((await ask(without, 'GET', '/')).status).toBe(404);
    expect((await ask(without, 'GET', '/index.html')).text).toBe('html');
  });

  test('fallback: for clients that want a page, where there is no file', async () => {
    const client = await serve(folderWith({ 'app.html': 'app', 'a.js': 'js' }), { fallback: 'app.html' });
    const page = await ask(client, 'GET', '/users/5', 'Accept: text/html,*/*');
    expect([page.status, page.text, page.values('content-type')]).toEqual([200, 'app', ['text/html; charset=utf-8']]);
    expect((await ask(client, 'GET', '/', 'Accept: text/html')).text).toBe('app');
    expect((await ask(client, 'GET', '/a.js', 'Accept: text/html')).text).toBe('js');
    expect((await ask(client, 'GET', '/b.js', 'Accept: */*')).status).toBe(404);
    expect((await ask(client, 'GET', '/.env', 'Accept: text/html')).status).toBe(404);
  });
});

describe('what is not served', () => {
  test.each([
    '/missing', '/a.txt/', '/a.txt/b', '/../secret.txt', '/%2e%2e/secret.txt', '/..%2fsecret.txt', '/%2e%2e%2fsecret.txt',
    '/x/../../secret.txt', '/..\\secret.txt', '/..%5csecret.txt', '//a.txt', '/./a.txt', '/%2fetc/passwd', '//etc/passwd',
    '/a.txt%00', '/%00', '/a.txt%00.html', '/.env', '/.git/config', '/%2eenv', '/%c0%ae%c0%ae/secret.txt', '/%', '/%zz',
    `/${'a'.repeat(300)}`, `/${'a/'.repeat(90)}`, '/fifo', '/socket',
  ].map((path) => [path.slice(0, 40), path]))('%s', async (title, path) => {
    const folder = folderWith({ 'a.txt': 'a', '.env': 'secret', '.git/config': 'secret', '../secret.txt': 'secret', 'x/y': '' });
    if (path === '/fifo' && isLinux) execFileSync('mkfifo', [join(folder, 'fifo')]);
    if (path === '/socket' && isLinux) createApp().listen_unix(() => {}, join(folder, 'socket'));
    const client = await serve(folder);
    for (const method of ['GET', 'HEAD']) {
      const response = await ask(client, method, path);
      expect(response.status).toBe(404);
      expect(response.text).not.toContain('secret');
    }
  });

  test('dot files, unless asked for', async () => {
    const client = await serve(folderWith({ '.well-known/x': 'known' }), { dotFiles: true });
    expect((await ask(client, 'GET', '/.well-known/x')).text).toBe('known');
    expect((await ask(client, 'GET', '/../public/.well-known/x')).status).toBe(404);
  });

  test('through symbolic links that lead out of the folder, unless asked for; those that stay inside are followed', async () => {
    const folder = folderWith({ 'a.txt': 'inside', 'd/b.txt': 'inside', '../secret.txt': 'outside', '../out/c.txt': 'outside' });
    fs.symlinkSync('../secret.txt', join(folder, 'link.txt'));
    fs.symlinkSync('../out', join(folder, 'out'));
    fs.symlinkSync('a.txt', join(folder, 'same.txt'));
    fs.symlinkSync('d', join(folder, 'e'));
    fs.symlinkSync('loop', join(folder, 'loop'));
    fs.mkdirSync(join(folder, '../public-too'));
    fs.writeFileSync(join(folder, '../public-too/x.txt'), 'outside');
    fs.symlinkSync('../public-too/x.txt', join(folder, 'neighbour.txt'));
    const texts = async (client) => {
      const list = [];
      for (const path of ['link.txt', 'out/c.txt', 'same.txt', 'e/b.txt', 'loop', 'neighbour.txt']) {
        const { status, text } = await ask(client, 'GET', `/${path}`);
        list.push(status === 200 ? text : status);
      }
      return list;
    };
    expect(await texts(await serve(folder))).toEqual([404, 404, 'inside', 'inside', 404, 404]);
    expect(await texts(await serve(folder, { followSymlinks: true })))
      .toEqual(['outside', 'outside', 'inside', 'inside', 404, 'outside']);
  });

  test('links to absolute paths, and those that leave the folder and come back, are followed if they end inside', async () => {
    const folder = folderWith({ 'd/b.txt': 'inside', '../out/c.txt': 'outside' });
    fs.symlinkSync(join(folder, 'd'), join(folder, 'absolute'));
    fs.symlinkSync('../public/d', join(folder, 'back'));
    fs.symlinkSync(join(folder, '../out'), join(folder, 'out'));
    const client = await serve(folder);
    expect((await ask(client, 'GET', '/absolute/b.txt')).text).toBe('inside');
    expect((await ask(client, 'GET', '/back/b.txt')).text).toBe('inside');
    expect((await ask(client, 'GET', '/out/c.txt')).status).toBe(404);
  });

  test('a link with a plain name may lead to a dot file, as in the ConfigMap volumes of Kubernetes', async () => {
    const folder = folderWith({ '..2026_01_02/index.html': 'mounted', '.env': 'published' });
    fs.symlinkSync('..2026_01_02', join(folder, '..data'));
    fs.symlinkSync('..data/index.html', join(folder, 'index.html'));
    fs.symlinkSync('.env', join(folder, 'env.txt'));
    const client = await serve(folder);
    expect((await ask(client, 'GET', '/')).text).toBe('mounted');
    expect((await ask(client, 'GET', '/env.txt')).text).toBe('published');
    expect((await ask(client, 'GET', '/..data/index.html')).status).toBe(404);
    expect((await ask(client, 'GET', '/.env')).status).toBe(404);
  });

  (process.platform === 'win32' ? test.skip : test)('while a folder is exchanged for a link that leads out, and back, again and again', async () => {
    const folder = folderWith({ 'way/name.txt': 'inside', '../out/name.txt': 'outside' });
    fs.symlinkSync('../out', join(folder, 'link'));
    const program = new Program(`
      const fs = require('fs');
      process.chdir(${JSON.stringify(folder)});
      say('ready');
      for (;;) {
        for (const [from, to] of [['way', 'real'], ['link', 'way'], ['way', 'link'], ['real', 'way']]) fs.renameSync(from, to);
      }
    `);
    await program.hear();
    const clients = await Promise.all(Array.from({ length: 8 }, () => serve(folder)));
    const counts = {};
    await Promise.all(clients.map(async (client) => {
      for (let count = 0; count < 300; count++) {
        const { status, text } = await ask(client, 'GET', '/way/name.txt');
        const seen = status === 200 ? text : status;
        counts[seen] = (counts[seen] ?? 0) + 1;
      }
    }));
    // Otherwise the folder changes while it is removed.
    await program.kill();
    expect(counts).toEqual({ inside: expect.any(Number), 404: expect.any(Number) });
  });

  (process.platform === 'win32' ? test.skip : test)('a folder that was exchanged for a link since serveFiles was called', async () => {
    const folder = folderWith({ 'a.txt': 'inside', '../out/a.txt': 'outside' });
    const client = await serve(folder);
    fs.renameSync(folder, join(folder, '../moved'));
    fs.symlinkSync('out', folder);
    expect((await ask(client, 'GET', '/a.txt')).status).toBe(404);
    fs.unlinkSync(folder);
    fs.renameSync(join(folder, '../moved'), folder);
    expect((await ask(client, 'GET', '/a.txt')).text).toBe('inside');
  });

  test('the root of the file system can be served, whatever the current directory is', async () => {
    const folder = folderWith({ 'a.txt': 'a' });
    expect((await ask(await serve('/'), 'GET', join(folder, 'a.txt'))).text).toBe('a');
  });

  test('the folder itself may be a symbolic link', async () => {
    const folder = folderWith({ 'a.txt': 'a' });
    fs.symlinkSync('public', join(folder, '../current'));
    expect((await ask(await serve(join(folder, '../current')), 'GET', '/a.txt')).text).toBe('a');
  });

  (process.getuid?.() === 0 || process.platform === 'win32' ? test.skip : test)('files that may not be read: 403', async () => {
    const folder = folderWith({ 'a.txt': 'a' });
    fs.chmodSync(join(folder, 'a.txt'), 0);
    expect((await ask(await serve(folder), 'GET', '/a.txt')).status).toBe(403);
  });
});

describe('options', () => {
  test('cacheControl, headers and contentTypes', async () => {
    const folder = folderWith({ 'assets/a.js': '', 'index.html': '', 'm.gcode': '' });
    const client = await serve(folder, {
      cacheControl: (path) => (path.startsWith('assets/') ? 'public, max-age=31536000, immutable' : null),
      headers: { 'X-Content-Type-Options': 'nosniff' },
      contentTypes: { '.GCODE': 'text/x.gcode', html: 'text/html' },
    });
    const names = ['cache-control', 'x-content-type-options', 'content-type'];
    expect(only(await ask(client, 'GET', '/assets/a.js'), ...names)).toEqual({
      'cache-control': 'public, max-age=31536000, immutable', 'x-content-type-options': 'nosniff', 'content-type': 'text/javascript; charset=utf-8',
    });
    expect(only(await ask(client, 'GET', '/'), ...names))
      .toEqual({ 'cache-control': undefined, 'x-content-type-options': 'nosniff', 'content-type': 'text/html' });
    expect(only(await ask(client, 'GET', '/m.gcode'), 'content-type')).toEqual({ 'content-type': 'text/x.gcode' });
  });

  test.each([
    ["() => { throw new Error('oops'); }", 'oops'],
    ["() => 'a\\r\\nb: c'", 'ERR_HTTP_INVALID_HEADER'],
    ['() => 5', 'ERR_INVALID_ARG_TYPE'],
  ])('a cacheControl %s: 500, and an unhandledRejection', async (source, said) => {
    const folder = folderWith({ 'a.txt': 'a' });
    const program = new Program("process.on('unhandledRejection', (error) => say(error.code ?? error.message));"
      + `const app = uWS.App({ threads: 1 }).serveFiles('/*', ${JSON.stringify(folder)}, { cacheControl: ${source} });`
      + "app.listen('127.0.0.1', 0, (token) => say(uWS.us_socket_local_port(token)));");
    const client = await RawClient.connect(await program.hear());
    const response = await ask(client, 'GET', '/a.txt');
    expect([response.status, response.text]).toEqual([500, 'Internal Server Error\n']);
    expect(await program.hear()).toBe(said);
  });

  test.each([
    [['/*'], 'ERR_MISSING_ARGS'],
    [[5, '.'], 'ERR_INVALID_ARG_TYPE'],
    [['/a', '.'], 'ERR_INVALID_ARG_VALUE'],
    [['/:a/*', '.'], 'ERR_INVALID_ARG_VALUE'],
    [['*', '.'], 'ERR_INVALID_ARG_VALUE'],
    [['/*/*', '.'], 'ERR_INVALID_ARG_VALUE'],
    [['/*', 5], 'ERR_INVALID_ARG_TYPE'],
    [['/*', '/no/such/folder'], 'ERR_INVALID_ARG_VALUE'],
    [['/*', __filename], 'ERR_INVALID_ARG_VALUE'],
    [['/*', 'a\0b'], 'ERR_INVALID_ARG_VALUE'],
    [['/*', '.', 5], 'ERR_INVALID_ARG_TYPE'],
    [['/*', '.', { index: true }], 'ERR_INVALID_ARG_TYPE'],
    [['/*', '.', { index: '../x' }], 'ERR_INVALID_ARG_VALUE'],
    [['/*', '.', { index: '' }], 'ERR_INVALID_ARG_VALUE'],
    [['/*', '.', { fallback: '/x' }], 'ERR_INVALID_ARG_VALUE'],
    [['/*', '.', { fallback: null }], 'ERR_INVALID_ARG_TYPE'],
    [['/*', '.', { dotFiles: 1 }], 'ERR_INVALID_ARG_TYPE'],
    [['/*', '.', { followSymlinks: 'yes' }], 'ERR_INVALID_ARG_TYPE'],
    [['/*', '.', { cacheControl: 5 }], 'ERR_INVALID_ARG_TYPE'],
    [['/*', '.', { cacheControl: 'a\nb' }], 'ERR_HTTP_INVALID_HEADER'],
    [['/*', '.', { headers: null }], 'ERR_INVALID_ARG_TYPE'],
    [['/*', '.', { headers: { a: 5 } }], 'ERR_INVALID_ARG_TYPE'],
    [['/*', '.', { headers: { 'a b': 'c' } }], 'ERR_HTTP_INVALID_HEADER'],
    [['/*', '.', { contentTypes: { a: 'b\r\nc: d' } }], 'ERR_HTTP_INVALID_HEADER'],
  ])('%j throws %s, and no route is made', async (args, code) => {
    const app = createApp();
    expect(failureOf(() => app.serveFiles(...args)).code).toBe(code);
    const client = await RawClient.connect(listen(app));
    expect((await ask(client, 'GET', '/package.json')).status).toBe(404);
  });

  test('methods of the app that a program has overwritten are not called', async () => {
    const app = createApp();
    app.get = () => { throw new Error('stub'); };
    app.serveFiles('/*', folderWith({ 'a.txt': 'a' }));
    expect((await ask(await RawClient.connect(listen(app)), 'GET', '/a.txt')).text).toBe('a');
  });
});

test('a download that its client has stopped to read keeps 128 KiB in memory at most, however fast it was before', async () => {
  const folder = folderWith({ large: Buffer.alloc(40 * MIB) });
  const app = createApp().serveFiles('/*', folder);
  const port = listen(app);
  const clients = await Promise.all(Array.from({ length: 8 }, () => RawClient.connect(port)));
  await Promise.all(clients.map(async (client) => {
    await client.send(request('GET', '/large'));
    await client.bytes(4 * MIB);
    client.pause();
  }));
  // Until nothing moves any more.
  let [waiting, same] = [0, 0];
  while (waiting === 0 || same < 30) {
    await new Promise((resolve) => { setTimeout(resolve, 10); });
    const { backpressure } = app.getStats().queues;
    same = backpressure === waiting ? same + 1 : 0;
    waiting = backpressure;
  }
  // And the head of the response.
  expect(waiting / clients.length).toBeLessThanOrEqual(129 * 1024);
});

(isLinux ? describe : describe.skip)('open files', () => {
  test('are closed after responses of every kind', async () => {
    const folder = folderWith({ 'a.txt': 'abc', 'd/x': '', 'index.html': '' });
    const client = await serve(folder);
    const { etag } = only(await ask(client, 'GET', '/a.txt'), 'etag');
    const requests = [
      ['GET', '/a.txt'], ['HEAD', '/a.txt'], ['GET', '/a.txt', 'Range: bytes=1-1'], ['GET', '/a.txt', 'Range: bytes=9-'],
      ['GET', '/a.txt', `If-None-Match: ${etag}`], ['GET', '/a.txt', 'If-Match: "x"'], ['GET', '/d'], ['GET', '/d/'], ['GET', '/none'],
    ];
    for (const [method, path, ...fields] of requests) await ask(client, method, path, ...fields);
    await allClosed(folder);
  });

  test('are closed when clients go away in the middle', async () => {
    const folder = folderWith({ large: Buffer.alloc(20 * MIB) });
    const app = createApp().serveFiles('/*', folder);
    const port = listen(app);
    const clients = await Promise.all(Array.from({ length: 20 }, () => RawClient.connect(port)));
    for (const client of clients) {
      await client.send(request('GET', '/large'));
      await client.bytes(100);
      client.pause();
    }
    // One file is open once, however many clients it is sent to.
    expect(openFiles(folder)).toHaveLength(1);
    clients.forEach((client, index) => (index % 2 === 0 ? client.reset() : client.socket.destroy()));
    await allClosed(folder);
  });

  test('are closed when the app is closed', async () => {
    const folder = folderWith({ large: Buffer.alloc(20 * MIB) });
    const app = createApp().serveFiles('/*', folder);
    const client = await RawClient.connect(listen(app));
    await client.send(request('GET', '/large'));
    await client.bytes(100);
    client.pause();
    app.close();
    await allClosed(folder);
  });

  test('of a file that becomes shorter: the connection ends', async () => {
    const folder = folderWith({ large: Buffer.alloc(20 * MIB) });
    const client = await serve(folder);
    await client.send(request('GET', '/large'));
    await client.bytes(100);
    client.pause();
    fs.truncateSync(join(folder, 'large'), MIB);
    client.resume();
    await client.over();
    await allClosed(folder);
  });
});

describe('a large file', () => {
  /** Downloads, pausing for a turn of the loop after every `each` bytes; returns the hash of the body. */
  async function download(port, path, each) {
    const response = await fetch(`http://127.0.0.1:${port}${path}`, { headers: { connection: 'close' } });
    const hash = createHash('sha256');
    let left = each;
    for await (const chunk of response.body) {
      hash.update(chunk);
      left -= chunk.length;
      if (left > 0) continue;
      left = each;
      await new Promise((resolve) => { setTimeout(resolve, 10); });
    }
    return hash.digest('hex');
  }

  test('of 100 MiB reaches slow and fast readers, in little memory', async () => {
    const content = Buffer.concat([randomBytes(MIB), Buffer.alloc(98 * MIB), randomBytes(MIB)]);
    const folder = folderWith({ large: content });
    const program = new Program(`
      const app = uWS.App({ threads: 1 })
        .get('/memory', (res) => res.end(String(require('node:fs').readFileSync('/proc/self/status', 'utf8').match(/VmHWM:\\s+(\\d+)/)?.[1] ?? 0)))
        .serveFiles('/*', ${JSON.stringify(folder)});
      app.listen('127.0.0.1', 0, (token) => say(uWS.us_socket_local_port(token)));
    `);
    const port = await program.hear();
    const memory = async () => Number(await (await fetch(`http://127.0.0.1:${port}/memory`)).text()) / 1024;
    await fetch(`http://127.0.0.1:${port}/none`);
    const before = await memory();
    const hashes = await Promise.all([Infinity, 4 * MIB, 16 * MIB, Infinity].map((each) => download(port, '/large', each)));
    expect(new Set(hashes)).toEqual(new Set([createHash('sha256').update(content).digest('hex')]));
    // MiB. Four readers of 100 each.
    expect(await memory() - before).toBeLessThan(30);
  });
});
