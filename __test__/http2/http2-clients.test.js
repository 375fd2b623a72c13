'use strict';

// Clients of HTTP/2 that are not Node's: curl, and those of nghttp2 where they are installed.

const { execFile, spawnSync } = require('node:child_process');
const { promisify } = require('node:util');

const { certificate } = require('../helpers/certificates.js');
const { createHttp2App } = require('../helpers/http2-client.js');
const { listen } = require('../helpers/server.js');
const { createSSLApp } = require('../helpers/tls.js');

const run = promisify(execFile);
/** Debian's package is nghttp2-client, which is not on every developer's machine. */
const isInstalled = (command) => spawnSync(command, ['--version']).status === 0;

const LONG = 'a megabyte of this. '.repeat(52_429);

/** The routes of all of them. */
function route(app) {
  app.get('/hello', (res, req) => res.writeHeader('X-Agent', req.getHeader('user-agent')).end('hello'));
  app.get('/long', (res) => {
    res.onAborted(() => {});
    res.end(LONG);
  });
  app.post('/echo', (res) => {
    res.onAborted(() => {});
    res.collectBody(1 << 22, (body) => res.end(body));
  });
  return listen(app);
}

describe('curl', () => {
  const curl = async (...args) => (await run('curl', ['--silent', '--show-error', '--noproxy', '*', '--max-time', '30', ...args], { maxBuffer: 1 << 24 })).stdout;
  const told = ['--write-out', '\n%{http_version} %{http_code}'];

  test('--http2-prior-knowledge', async () => {
    const url = `http://127.0.0.1:${route(createHttp2App())}`;
    expect(await curl('--http2-prior-knowledge', ...told, `${url}/hello`)).toBe('hello\n2 200');
    expect(await curl('--http2-prior-knowledge', '--head', `${url}/hello`)).toMatch(/^HTTP\/2 200 \r\n[^]*content-length: 5\r\n/);
    expect(await curl('--http2-prior-knowledge', '--data-binary', LONG.slice(0, 100_000), `${url}/echo`)).toBe(LONG.slice(0, 100_000));
    expect(await curl('--http2-prior-knowledge', `${url}/long`)).toBe(LONG);
    expect(await curl('--http2-prior-knowledge', ...told, `${url}/none`)).toMatch(/2 404$/);
  });

  test('--http2 in plaintext stays with HTTP/1.1: an upgrade by h2c is not offered any more (RFC 9113 §3.1)', async () => {
    const url = `http://127.0.0.1:${route(createHttp2App())}`;
    expect(await curl('--http2', ...told, `${url}/hello`)).toBe('hello\n1.1 200');
  });

  test('over TLS it is HTTP/2 by itself, and HTTP/1.1 if it is told so', async () => {
    const url = `https://localhost:${route(createSSLApp({ http2: true }))}`;
    const { cert_file_name } = certificate();
    expect(await curl('--cacert', cert_file_name, ...told, `${url}/hello`)).toBe('hello\n2 200');
    expect(await curl('--cacert', cert_file_name, '--http1.1', ...told, `${url}/hello`)).toBe('hello\n1.1 200');
    expect(await curl('--cacert', cert_file_name, '--http2', ...told, `${url}/hello`, `${url}/long`)).toMatch(/^hello\n2 200[^]*\n2 200$/);
  });
});

(isInstalled('nghttp') ? describe : describe.skip)('nghttp, if it is installed', () => {
  test('many requests on one connection, with its dependencies of RFC 7540', async () => {
    const url = `http://127.0.0.1:${route(createHttp2App())}`;
    const { stdout } = await run('nghttp', ['--no-verify-peer', '--multiply=20', '--null-out', '--stat', `${url}/hello`, `${url}/long`], { maxBuffer: 1 << 24 });
    expect(stdout.match(/ 200 /g)).toHaveLength(40);
  });

  test('padding, a body from a file, trailers of a request', async () => {
    const url = `http://127.0.0.1:${route(createHttp2App())}`;
    const { stdout } = await run('nghttp', ['--padding=200', `--data=${__filename}`, '--trailer=x-checksum: 1', '--window-bits=10', `${url}/echo`], { maxBuffer: 1 << 24 });
    expect(stdout).toContain('// Clients of HTTP/2 that are not Node');
  });
});

(isInstalled('h2load') ? describe : describe.skip)('h2load, if it is installed', () => {
  test.each([
    ['without TLS', () => `http://127.0.0.1:${route(createHttp2App())}`],
    ['with TLS', () => `https://localhost:${route(createSSLApp({ http2: true }))}`],
  ])('many requests on many streams of several connections, %s', async (title, url) => {
    const { stdout } = await run('h2load', ['--requests=2000', '--clients=4', '--max-concurrent-streams=50', `${url()}/hello`]);
    expect(stdout).toMatch(/^requests: 2000 total, 2000 started, 2000 done, 2000 succeeded, 0 failed, 0 errored, 0 timeout$/m);
    expect(stdout).toMatch(/^status codes: 2000 2xx/m);
  });
});
