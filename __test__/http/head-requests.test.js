'use strict';

// HEAD requests that have no route of their own: the route of GET answers them, and the body stays away (RFC 9110 §9.3.2).

const { execFile, spawnSync } = require('child_process');

const uWS = require('../..');
const { Mailbox } = require('../helpers/mailbox.js');
const { RawClient, request } = require('../helpers/raw-http.js');
const { createApp, guarded, listen } = require('../helpers/server.js');

const MIB = 1024 * 1024;

/** What differs from one answer to the next is left out. */
const comparable = ({ statusLine, fields }) => ({ statusLine, fields: fields.filter(([name]) => name !== 'Date') });

/** Asks for a HEAD and for the GET of a path, on one connection and at once; so the HEAD has no body, or GET's answer is malformed. */
async function both(app, path, fields = []) {
  const client = await RawClient.connect(listen(app));
  await client.send(request('HEAD', path, fields) + request('GET', path, fields));
  return [await client.response('HEAD'), await client.response('GET')];
}

describe('the head is that of GET', () => {
  const handlers = {
    end: (res) => res.writeStatus('202 Accepted').writeHeader('X-A', 'b').end('the body'),
    'end of nothing': (res) => res.end(),
    'end, with a length of its own': (res) => res.writeHeader('Content-Length', '8').end('the body'),
    'end after an await': async (res) => {
      res.onAborted(() => {});
      await null;
      res.cork(() => res.end('later'));
    },
    endWithoutBody: (res) => res.writeStatus('204 No Content').endWithoutBody(),
    'endWithoutBody, with a length': (res) => res.writeStatus('304 Not Modified').endWithoutBody(5),
    write: (res) => {
      res.write('one, ');
      res.write('two, ');
      res.end('three');
    },
    beginWrite: (res) => {
      res.beginWrite();
      res.end('after it');
    },
    tryEnd: (res) => res.tryEnd('whole', 5),
    'tryEnd in pieces': (res) => {
      res.onAborted(() => {});
      res.tryEnd('half', 8);
      res.tryEnd('half', 8);
    },
    collectBody: (res) => res.onAborted(() => {}).collectBody(100, (body) => res.end(`${body.byteLength} bytes`)),
  };

  test.each(Object.entries(handlers))('%s', async (_, handler) => {
    const [head, get] = await both(createApp().get('/*', guarded(handler)), '/path');
    expect(comparable(head)).toEqual(comparable(get));
    expect(get.status).not.toBe(404);
  });

  test('of a declarative response', async () => {
    const answer = new uWS.DeclarativeResponse().writeHeader('X-A', 'b').write('Hello, ').writeParameterValue('who').end();
    const [head, get] = await both(createApp().get('/:who', answer), '/you');
    expect(comparable(head)).toEqual(comparable(get));
    expect(get.text).toBe('Hello, you');
  });

  test('of a body of many megabytes, which meets no back-pressure', async () => {
    const content = Buffer.alloc(24 * MIB);
    const ends = new Mailbox();
    const app = createApp().get('/', guarded((res, req) => {
      const method = req.getMethod();
      const offer = () => {
        for (;;) {
          const [ok, done] = res.tryEnd(content.subarray(res.getWriteOffset()), content.length);
          if (done) ends.put(method);
          if (done || !ok) return ok;
        }
      };
      res.onAborted(() => ends.put('aborted'));
      if (!offer()) res.onWritable(() => offer());
    }));
    const client = await RawClient.connect(listen(app));
    await client.send(request('HEAD', '/') + request('HEAD', '/'));
    for (let count = 0; count < 2; count++) {
      expect((await client.response('HEAD')).values('content-length')).toEqual([String(content.length)]);
      expect(await ends.take()).toBe('head');
    }
  });

  test('of an endless body, from which the client goes away', async () => {
    const aborts = new Mailbox();
    const app = createApp().get('/', guarded((res) => {
      res.onAborted((reason, info) => aborts.put(info.cause));
      res.writeHeader('Content-Type', 'text/event-stream').write('data: 1\n\n');
    }));
    const client = await RawClient.connect(listen(app));
    await client.send(request('HEAD', '/'));
    expect((await client.response('HEAD')).values('transfer-encoding')).toEqual(['chunked']);
    client.finish();
    expect(await aborts.take()).toBe('ERR_FIN_BEFORE_RESPONSE');
  });

  test('and closes the connection where GET closes it', async () => {
    const client = await RawClient.connect(listen(createApp().get('/', (res) => res.end('last', true))));
    await client.send(request('HEAD', '/'));
    expect((await client.response('HEAD')).values('connection')).toEqual(['close']);
    expect(await client.rest()).toBe('');
  });

  test('for clients of HTTP/1.0, too', async () => {
    const client = await RawClient.connect(listen(createApp().get('/', (res) => res.end('old'))));
    await client.send('HEAD / HTTP/1.0\r\n\r\n');
    expect(await client.rest()).toMatch(/^HTTP\/1\.1 200 OK\r\n[^]*Content-Length: 3\r\n\r\n$/);
  });
});

describe('which route it is', () => {
  /** A handler that tells its name in a header, and the method that it sees. */
  const named = (name) => (res, req) => res.writeHeader('Route', `${name} ${req.getMethod()}`).end(name);
  /** One that notes its name and yields. */
  const pass = (name) => (res, req) => {
    res.writeHeader('Passed', name);
    req.setYield(true);
  };

  async function head(app, path = '/a', fields = []) {
    const client = await RawClient.connect(listen(app));
    await client.send(request('HEAD', path, fields));
    return client.response('HEAD');
  }

  test('its own route comes first, then any, then that of GET', async () => {
    const app = createApp().get('/a', named('get'));
    expect((await head(app)).values('route')).toEqual(['get head']);
    app.any('/*', named('any'));
    expect((await head(app)).values('route')).toEqual(['any head']);
    app.head('/*', named('head'));
    expect((await head(app)).values('route')).toEqual(['head head']);
    app.head('/*', null).any('/*', null);
    expect((await head(app)).values('route')).toEqual(['get head']);
  });

  test('those that yield are followed by the next, and the 404 is the last', async () => {
    const app = createApp().head('/a', pass('head')).any('/a', pass('any')).get('/a', pass('get a')).get('/*', pass('get *'));
    const response = await head(app);
    expect(response.status).toBe(404);
    // What was written goes with the handlers that yielded, not with the answer that needs none.
    expect(response.values('passed')).toEqual([]);
    app.get('/:last', named('last'));
    expect((await head(app)).values('passed')).toEqual(['head', 'any', 'get a']);
  });

  test('a path without any route is answered 404, and other methods are not derived from GET', async () => {
    const app = createApp().get('/a', named('get'));
    expect((await head(app, '/b')).status).toBe(404);
    const client = await RawClient.connect(listen(app));
    await client.send(request('OPTIONS', '/a'));
    expect((await client.response()).status).toBe(404);
  });

  test('a WebSocket route takes no HEAD', async () => {
    const handshake = [
      'Upgrade: websocket', 'Connection: Upgrade', 'Sec-WebSocket-Version: 13', 'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==',
    ];
    const app = createApp().ws('/*', { upgrade: named('ws') }).get('/a', named('get'));
    expect((await head(app, '/a', handshake)).values('route')).toEqual(['get head']);
    expect((await head(app, '/b', handshake)).status).toBe(404);
  });

  test('parameters are those of the route of GET', async () => {
    const app = createApp().get('/:one/:two', (res, req) => res.writeHeader('Two', req.getParameter('two')).end());
    expect((await head(app, '/1/2')).values('two')).toEqual(['2']);
  });
});

describe('a cached route', () => {
  const FRESH = { lowerExpiry: 3600 };

  /** An app whose handler answers with the number of its call. */
  function serve(options) {
    const served = { calls: 0, app: createApp() };
    served.app.get('/*', (res) => res.writeHeader('Call', String(++served.calls)).end('kept'), options);
    return served;
  }

  test('gives HEAD the head of the answer that is kept', async () => {
    const served = serve(FRESH);
    const client = await RawClient.connect(listen(served.app));
    expect((await client.get('/')).values('call')).toEqual(['1']);
    for (const path of ['/', '/']) {
      await client.send(request('HEAD', path));
      const response = await client.response('HEAD');
      expect(response.values('call')).toEqual(['1']);
      expect(response.values('content-length')).toEqual(['4']);
    }
    expect(served.calls).toBe(1);
  });

  test('keeps nothing of what answered a HEAD, which may have no body', async () => {
    const served = { calls: 0 };
    const app = createApp().get('/*', (res, req) => {
      served.calls += 1;
      if (req.getMethod() === 'head') res.endWithoutBody(4);
      else res.end('kept');
    }, FRESH);
    const [head, get] = await both(app, '/');
    expect(head.values('content-length')).toEqual(['4']);
    expect(get.text).toBe('kept');
    expect(served.calls).toBe(2);
  });

  test('is not renewed by a HEAD', async () => {
    const served = serve({ lowerExpiry: 0, upperExpiry: 3600 });
    const client = await RawClient.connect(listen(served.app));
    await client.get('/');
    await client.send(request('HEAD', '/'));
    expect((await client.response('HEAD')).values('call')).toEqual(['2']);
    // A new answer is not under way, so this one asks for it.
    expect((await client.get('/')).values('call')).toEqual(['3']);
  });
});

// Shown as skipped on a machine without curl.
(spawnSync('curl', ['--version']).status === 0 ? test : test.skip)('curl -I, twice on one connection', async () => {
  const ports = new Set();
  const port = listen(createApp().get('/*', (res) => {
    ports.add(res.getRemotePort());
    res.end('Hello');
  }));
  const urls = ['a', 'b'].map((path) => `http://127.0.0.1:${port}/${path}`);
  const output = await new Promise((resolve, reject) => {
    execFile('curl', ['-sSI', '--noproxy', '*', '--max-time', '10', ...urls], (error, stdout) => (error ? reject(error) : resolve(stdout)));
  });
  expect(output.match(/^HTTP\/1\.1 200 OK/gm)).toHaveLength(2);
  expect(output.match(/^Content-Length: 5\r$/gm)).toHaveLength(2);
  expect(ports.size).toBe(1);
});
