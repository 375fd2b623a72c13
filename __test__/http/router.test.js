'use strict';

// Which handler a request reaches, from the bytes of the request to the bytes of the answer.

const fc = require('fast-check');

const { failureOf } = require('../helpers/failure.js');
const { RawClient, request } = require('../helpers/raw-http.js');
const { createApp, listen } = require('../helpers/server.js');

/** Header lines that make a GET an opening handshake. */
const HANDSHAKE = [
  'Upgrade: websocket', 'Connection: Upgrade', 'Sec-WebSocket-Version: 13',
  'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==',
];

/** A handler that answers with `name`. */
const answer = (name) => (res) => res.end(name);

/** An app with GET routes, each of which answers with its pattern. */
function withPatterns(...patterns) {
  return patterns.reduce((app, pattern) => app.get(pattern, answer(pattern)), createApp());
}

/** Connects to an app; the function it returns sends one request and resolves to the body of the answer. */
async function asker(app) {
  const client = await RawClient.connect(listen(app));
  return async (path, method = 'GET', fields = []) => {
    await client.send(request(method, path, fields));
    const response = await client.response(method);
    return response.status === 404 && response.text.includes('<h1>') ? '404' : response.text;
  };
}

/** What arrives on a connection of its own until the server ends it. */
async function outcome(app, path, method = 'GET', fields = []) {
  const client = await RawClient.connect(listen(app));
  await client.send(request(method, path, fields));
  return client.rest();
}

describe('order of candidates', () => {
  const patterns = ['/a/b', '/a/:x', '/a/*', '/:x/b', '/:x/:y', '/:x/*', '/*'];

  test.each([
    ['in order', patterns],
    ['backwards', [...patterns].reverse()],
    ['mixed', ['/:x/*', '/a/:x', '/*', '/a/b', '/:x/:y', '/a/*', '/:x/b']],
  ])('literal before parameter before wildcard, segment by segment, registered %s', async (_, registered) => {
    const ask = await asker(withPatterns(...registered));
    expect(await ask('/a/b')).toBe('/a/b');
    expect(await ask('/a/c')).toBe('/a/:x');
    expect(await ask('/a/')).toBe('/a/*');
    expect(await ask('/a/b/c')).toBe('/a/*');
    expect(await ask('/c/b')).toBe('/:x/b');
    expect(await ask('/c/d')).toBe('/:x/:y');
    expect(await ask('/c/')).toBe('/:x/*');
    expect(await ask('/c/d/e')).toBe('/:x/*');
    expect(await ask('/a')).toBe('/*');
    expect(await ask('/')).toBe('/*');
    expect(await ask('//b')).toBe('/*');
  });

  test('backtracking: a literal that leads nowhere is given up for a parameter, and that for a wildcard', async () => {
    const ask = await asker(withPatterns('/a/b/c', '/a/:x/d', '/:y/b/e', '/a/*', '/:z/b/*', '/*'));
    expect(await ask('/a/b/c')).toBe('/a/b/c');
    expect(await ask('/a/b/d')).toBe('/a/:x/d');
    expect(await ask('/a/b/e')).toBe('/a/*');
    expect(await ask('/q/b/e')).toBe('/:y/b/e');
    expect(await ask('/q/b/f')).toBe('/:z/b/*');
    expect(await ask('/q/c/f')).toBe('/*');
  });

  test('backtracking: without a wildcard below, the search goes on above', async () => {
    const ask = await asker(withPatterns('/a/b/c', '/:y/b/e'));
    expect(await ask('/a/b/e')).toBe('/:y/b/e');
    expect(await ask('/a/b/f')).toBe('404');
  });

  test('parameters of a branch that was given up are forgotten', async () => {
    const show = (res, req) => res.end([0, 1, 2, 'x', 'y', 'z'].map((which) => req.getParameter(which)).join());
    const ask = await asker(createApp().get('/:x/b/:y/c', show).get('/:z/*', show));
    expect(await ask('/1/b/2/c')).toBe('1,2,,1,2,');
    expect(await ask('/1/b/2/d')).toBe('1,,,,,1');
  });

  test('the method is tried completely before any: a wildcard of GET beats a literal of any', async () => {
    const app = createApp().any('/exact', answer('any')).get('/*', answer('get')).any('/*', answer('any *'));
    const ask = await asker(app);
    expect(await ask('/exact')).toBe('get');
    expect(await ask('/exact', 'POST')).toBe('any');
    expect(await ask('/other', 'POST')).toBe('any *');
  });

  test('ws routes come first: their wildcard beats a literal of GET, for handshakes', async () => {
    const app = createApp().get('/exact', answer('get')).ws('/*', { upgrade: (res) => res.end('ws') });
    const ask = await asker(app);
    expect(await ask('/exact', 'GET', HANDSHAKE)).toBe('ws');
    expect(await ask('/exact')).toBe('get');
    expect(await ask('/other')).toBe('404');
  });

  test('among ws routes: literal before parameter before wildcard', async () => {
    const upgrade = (name) => ({ upgrade: (res) => res.end(name) });
    const app = createApp().ws('/*', upgrade('*')).ws('/:x', upgrade(':')).ws('/a', upgrade('a'));
    const ask = await asker(app);
    expect(await ask('/a', 'GET', HANDSHAKE)).toBe('a');
    expect(await ask('/b', 'GET', HANDSHAKE)).toBe(':');
    expect(await ask('/b/c', 'GET', HANDSHAKE)).toBe('*');
  });

  test('a ws route takes only GETs with a key of 24 characters', async () => {
    const app = createApp().any('/*', answer('http')).ws('/*', { upgrade: (res) => res.end('ws') });
    const ask = await asker(app);
    const withKey = (key) => [...HANDSHAKE.slice(0, 3), `Sec-WebSocket-Key: ${key}`];
    expect(await ask('/', 'GET', HANDSHAKE)).toBe('ws');
    expect(await ask('/', 'POST', HANDSHAKE)).toBe('http');
    expect(await ask('/', 'GET', HANDSHAKE.slice(0, 3))).toBe('http');
    expect(await ask('/', 'GET', withKey('dGhlIHNhbXBsZSBub25jZQ='))).toBe('http');
    expect(await ask('/', 'GET', withKey('dGhlIHNhbXBsZSBub25jZQ==='))).toBe('http');
    expect(await ask('/', 'GET', withKey(''))).toBe('http');
  });
});

describe('methods', () => {
  const methods = {
    get: 'GET', post: 'POST', options: 'OPTIONS', del: 'DELETE', patch: 'PATCH', put: 'PUT', connect: 'CONNECT',
    trace: 'TRACE',
  };

  test.each(Object.entries(methods))('%s takes %s and no other method', async (name, method) => {
    const app = createApp().any('/', answer('any'))[name]('/', (res) => res.writeStatus('400 Mine').end(name));
    const ask = await asker(app);
    for (const other of Object.values(methods)) {
      // An answer of 2xx to a CONNECT would end HTTP on this connection.
      if (other === 'CONNECT' && name !== 'connect') continue;
      expect(await ask('/', other)).toBe(other === method ? name : 'any');
    }
  });

  test('head takes HEAD', async () => {
    const app = createApp().head('/', (res) => res.writeHeader('Taken', 'yes').endWithoutBody(5));
    const client = await RawClient.connect(listen(app));
    await client.send(request('HEAD', '/'));
    expect((await client.response('HEAD')).values('taken')).toEqual(['yes']);
  });

  test('methods are case-sensitive, and unknown ones reach only any', async () => {
    const app = createApp().get('/', answer('get')).any('/', (res, req) => res.end(req.getCaseSensitiveMethod()));
    const ask = await asker(app);
    for (const method of ['get', 'Get', 'BREW', 'M-SEARCH', 'GETS', 'GE']) expect(await ask('/', method)).toBe(method);
    expect(await ask('/')).toBe('get');
  });

  test('unknown methods are not found without any', async () => {
    const ask = await asker(createApp().get('/', answer('get')));
    expect(await ask('/', 'BREW')).toBe('404');
  });

  test('OPTIONS * is one segment', async () => {
    const ask = await asker(createApp().options('/*', (res, req) => res.end(req.getUrl())));
    expect(await ask('*', 'OPTIONS')).toBe('*');
  });
});

describe('segments', () => {
  test('a parameter takes exactly one segment, which is not empty', async () => {
    const ask = await asker(withPatterns('/a/:x', '/b/:x/c'));
    expect(await ask('/a/1')).toBe('/a/:x');
    for (const path of ['/a/', '/a', '/a/1/', '/a/1/2', '/b//c']) expect(await ask(path)).toBe('404');
  });

  test('a wildcard takes one or more segments, of which the first may be empty', async () => {
    const ask = await asker(withPatterns('/a/*'));
    for (const path of ['/a/', '/a/b', '/a/b/', '/a/b/c', '/a//', '/a//b']) expect(await ask(path)).toBe('/a/*');
    for (const path of ['/a', '/', '/ab', '/A/b']) expect(await ask(path)).toBe('404');
  });

  test('a wildcard at the root takes the root', async () => {
    const ask = await asker(withPatterns('/*'));
    for (const path of ['/', '/a', '/a/', '//', '/a/b/c']) expect(await ask(path)).toBe('/*');
  });

  test('whatever begins with * is a wildcard', async () => {
    const ask = await asker(withPatterns('/a/*rest'));
    expect(await ask('/a/b/c')).toBe('/a/*rest');
  });

  test('empty segments count: /a, /a/, //a and /a//b are different paths', async () => {
    const patterns = ['/', '/a', '/a/', '//a', '/a//b', '/a/b', '//', '///'];
    const ask = await asker(withPatterns(...patterns));
    for (const pattern of patterns) expect(await ask(pattern)).toBe(pattern);
    for (const path of ['////', '//a/', '/a///b']) expect(await ask(path)).toBe('404');
  });

  test('literals are case-sensitive', async () => {
    const ask = await asker(withPatterns('/Path', '/path'));
    expect(await ask('/Path')).toBe('/Path');
    expect(await ask('/path')).toBe('/path');
    expect(await ask('/PATH')).toBe('404');
  });

  test('nothing is decoded, and dots mean nothing', async () => {
    const ask = await asker(withPatterns('/a', '/%61', '/a%2Fb', '/.', '/..', '/b/../a'));
    for (const path of ['/a', '/%61', '/a%2Fb', '/.', '/..', '/b/../a']) expect(await ask(path)).toBe(path);
    for (const path of ['/%41', '/a/b', '/a%2fb', '/./a', '/a/.', '/c/../a']) expect(await ask(path)).toBe('404');
  });

  test('the query is no part of the path', async () => {
    const ask = await asker(withPatterns('/a', '/a/*'));
    for (const path of ['/a?', '/a?b', '/a?/b', '/a??']) expect(await ask(path)).toBe('/a');
    expect(await ask('/a/b?c/d')).toBe('/a/*');
  });

  test('a literal that is the beginning of another is not it', async () => {
    const ask = await asker(withPatterns('/ab', '/abc', '/a'));
    for (const path of ['/a', '/ab', '/abc']) expect(await ask(path)).toBe(path);
    expect(await ask('/abcd')).toBe('404');
  });

  test('an absolute target is matched by its path', async () => {
    const ask = await asker(withPatterns('/a', '/'));
    expect(await ask('http://example.org/a')).toBe('/a');
    expect(await ask('http://example.org')).toBe('/');
  });

  test('the first character of a pattern is taken for its slash, whatever it is', async () => {
    const ask = await asker(withPatterns('*', 'test', 'a/:b', Buffer.from('bytes')));
    const found = { '/': '*', '/est': 'test', '//1': 'a/:b', '/ytes': 'bytes' };
    for (const [path, pattern] of Object.entries(found)) expect(await ask(path)).toBe(pattern);
    for (const path of ['/test', '/a/1', '/*', '/bytes', '/x']) expect(await ask(path)).toBe('404');
  });

  test('the same holds for any, for WebSocket routes, and for removing a route', async () => {
    const app = createApp().any('*', answer('any')).ws('xs', { upgrade: (res) => res.end('ws') }).get('_a', answer('get'));
    const ask = await asker(app);
    expect(await ask('/', 'PUT')).toBe('any');
    expect(await ask('/x', 'PUT')).toBe('404');
    expect(await ask('/s', 'GET', HANDSHAKE)).toBe('ws');
    expect(await ask('/a')).toBe('get');
    app.get('-a', null);
    expect(await ask('/a')).toBe('404');
  });

  test('patterns may be bytes', async () => {
    const ask = await asker(createApp().get(Buffer.from('/bytes'), answer('found')));
    expect(await ask('/bytes')).toBe('found');
  });

  test('100 segments match, 101 never do; a wildcard among the first finds deeper paths', async () => {
    const deep = (count) => '/s'.repeat(count);
    const parameters = '/:p'.repeat(100);
    const app = createApp()
      .get(deep(100), answer('100')).get(deep(101), answer('101')).get(parameters, answer('parameters'))
      .get('/w' + '/:p'.repeat(98) + '/*', answer('wildcard'));
    const ask = await asker(app);
    expect(await ask(deep(100))).toBe('100');
    expect(await ask(deep(101))).toBe('404');
    expect(await ask('/x'.repeat(100))).toBe('parameters');
    expect(await ask('/x'.repeat(101))).toBe('404');
    expect(await ask('/w' + '/x'.repeat(5000))).toBe('wildcard');
  });
});

describe('parameters', () => {
  const show = (...which) => (res, req) => res.end(JSON.stringify(which.map((one) => req.getParameter(one))));

  test('are given by position and by name', async () => {
    const ask = await asker(createApp().get('/:a/x/:b/:c', show(0, 1, 2, 'a', 'b', 'c')));
    expect(JSON.parse(await ask('/1/x/2/3'))).toEqual(['1', '2', '3', '1', '2', '3']);
  });

  test('are empty where there is none', async () => {
    const which = [1, 99, -1, 0.5, NaN, 'b', '', ':a', '0'];
    const ask = await asker(createApp().get('/:a', show(...which)));
    expect(JSON.parse(await ask('/1'))).toEqual(which.map(() => ''));
  });

  test('are not decoded', async () => {
    const ask = await asker(createApp().get('/:a/:b', show('a', 'b')));
    expect(JSON.parse(await ask('/%20+/a%2Fb'))).toEqual(['%20+', 'a%2Fb']);
  });

  test('names may be bytes, and any text', async () => {
    const ask = await asker(createApp().get('/:/:a-b.c', show('', 'a-b.c', Buffer.from('a-b.c'))));
    expect(JSON.parse(await ask('/1/2'))).toEqual(['1', '2', '2']);
  });

  test('have the names of the route that matched, where routes share segments', async () => {
    const app = createApp().get('/:a', show('a', 'b')).get('/:b/x', show('a', 'b'));
    const ask = await asker(app);
    expect(JSON.parse(await ask('/1'))).toEqual(['1', '']);
    expect(JSON.parse(await ask('/1/x'))).toEqual(['', '1']);
  });

  test('what a wildcard takes is no parameter', async () => {
    const ask = await asker(createApp().get('/:a/*', show(0, 1, 'a', '*')));
    expect(JSON.parse(await ask('/1/2/3'))).toEqual(['1', '', '1', '']);
  });

  test('are those of the next candidate after a yield', async () => {
    const seen = [];
    const note = (res, req) => {
      seen.push([req.getParameter(0), req.getParameter(1), req.getParameter('x'), req.getParameter('y')]);
      req.setYield(true);
    };
    const app = createApp().get('/a/:x', note).get('/:y/b', note).get('/:x/:y', note).any('/*', answer('end'));
    const ask = await asker(app);
    expect(await ask('/a/b')).toBe('end');
    expect(seen).toEqual([['b', '', 'b', ''], ['a', '', '', 'a'], ['a', 'b', 'a', 'b']]);
  });
});

describe('setYield', () => {
  /** A handler that notes its name and yields. */
  const pass = (seen, name) => (res, req) => {
    seen.push(name);
    req.setYield(true);
  };

  test('the next candidate is called, in order, from the method into any', async () => {
    const seen = [];
    const app = createApp()
      .any('/*', (res) => res.end(seen.join(' ')))
      .any('/:x', pass(seen, 'any:')).any('/a', pass(seen, 'any=a'))
      .get('/*', pass(seen, 'get*')).get('/:x', pass(seen, 'get:')).get('/a', pass(seen, 'get=a'));
    const ask = await asker(app);
    expect(await ask('/a')).toBe('get=a get: get* any=a any:');
  });

  test('an upgrade handler may yield to the other routes', async () => {
    const seen = [];
    const app = createApp()
      .ws('/a', { upgrade: pass(seen, 'ws=a') }).ws('/*', { upgrade: pass(seen, 'ws*') })
      .get('/a', pass(seen, 'get=a')).any('/*', (res) => res.end(seen.join(' ')));
    const ask = await asker(app);
    expect(await ask('/a', 'GET', HANDSHAKE)).toBe('ws=a ws* get=a');
  });

  test('if all yield, the connection is closed without a response', async () => {
    const seen = [];
    const app = createApp().get('/', pass(seen, 'get')).any('/*', pass(seen, 'any'));
    expect(await outcome(app, '/')).toBe('');
    expect(seen).toEqual(['get', 'any']);
  });

  test('the default answer comes after all that yield', async () => {
    const seen = [];
    const ask = await asker(createApp().get('/', pass(seen, 'get')));
    expect(await ask('/')).toBe('404');
    expect(seen).toEqual(['get']);
  });

  test('the next handler gets the same objects, and what was written before', async () => {
    const objects = [];
    const app = createApp()
      .get('/', (res, req) => {
        objects.push(res, req);
        res.mark = 'kept';
        req.method = 'noted';
        res.writeStatus('202 Accepted').writeHeader('First', '1');
        req.setYield(true);
      })
      .any('/*', (res, req) => {
        objects.push(res, req);
        res.writeHeader('Second', '2').end(`${res.mark} ${req.method}`);
      });
    const client = await RawClient.connect(listen(app));
    const response = await client.get('/');
    expect(objects[2]).toBe(objects[0]);
    expect(objects[3]).toBe(objects[1]);
    expect(response.text).toBe('kept noted');
    expect(response.statusLine).toBe('202 Accepted');
    expect(response.names.slice(0, 2)).toEqual(['First', 'Second']);
  });

  test('an abort handler and a body handler attached before a yield stay', async () => {
    const pieces = [];
    const app = createApp()
      .post('/', (res, req) => {
        res.onAborted(() => {}).onData((chunk, isLast) => {
          pieces.push(Buffer.from(chunk).toString());
          if (isLast) res.end(pieces.join(''));
        });
        req.setYield(true);
      })
      .any('/*', () => {});
    const client = await RawClient.connect(listen(app));
    await client.send(request('POST', '/', [], 'the body'));
    expect((await client.response()).text).toBe('the body');
  });

  test('the last call counts', async () => {
    const app = createApp()
      .get('/taken', (res, req) => {
        req.setYield(true).setYield(false);
        res.end('taken');
      })
      .get('/passed', (res, req) => req.setYield(false).setYield(true))
      .any('/*', answer('any'));
    const ask = await asker(app);
    expect(await ask('/taken')).toBe('taken');
    expect(await ask('/passed')).toBe('any');
  });

  test('is decided when the handler returns: later calls have no effect', async () => {
    let called = 0;
    const app = createApp()
      .get('/', (res, req) => {
        res.onAborted(() => {});
        setImmediate(() => {
          expect(req.setYield(true)).toBe(req);
          setImmediate(() => res.end('mine'));
        });
      })
      .any('/*', (res) => {
        called++;
        res.end('any');
      });
    const ask = await asker(app);
    expect(await ask('/')).toBe('mine');
    expect(await ask('/other')).toBe('any');
    expect(called).toBe(1);
  });

  test('a response that was sent is not handed on', async () => {
    let called = 0;
    const app = createApp()
      .get('/', (res, req) => {
        res.end('sent');
        req.setYield(true);
      })
      .any('/*', (res) => {
        called++;
        res.end('any');
      });
    const ask = await asker(app);
    expect(await ask('/')).toBe('sent');
    expect(await ask('/x')).toBe('any');
    expect(called).toBe(1);
  });

  test('is forgotten with its request', async () => {
    let yields = true;
    const app = createApp()
      .get('/', (res, req) => {
        req.setYield(yields);
        if (!yields) res.end('mine');
      })
      .any('/*', answer('any'));
    const ask = await asker(app);
    expect(await ask('/')).toBe('any');
    yields = false;
    expect(await ask('/')).toBe('mine');
  });
});

describe('replacing and removing', () => {
  test('the same method and pattern replaces', async () => {
    const ask = await asker(createApp().get('/', answer('old')).get('/', answer('new')));
    expect(await ask('/')).toBe('new');
  });

  test('names of parameters do not tell patterns apart, and those of the new route count', async () => {
    const show = (name) => (res, req) => res.end(`${name} ${req.getParameter('a')} ${req.getParameter('b')}`);
    const ask = await asker(createApp().get('/:a', show('old')).get('/:b', show('new')));
    expect(await ask('/1')).toBe('new  1');
  });

  test('other methods and patterns stay', async () => {
    const app = createApp().get('/a', answer('get')).post('/a', answer('post')).get('/:a', answer('parameter'));
    const ask = await asker(app.get('/a', answer('new')));
    expect(await ask('/a', 'POST')).toBe('post');
    expect(await ask('/b')).toBe('parameter');
    expect(await ask('/a')).toBe('new');
  });

  test('null removes the route, and the next candidate takes its requests', async () => {
    const app = withPatterns('/a', '/:x', '/*');
    const ask = await asker(app);
    for (const pattern of ['/a', '/:x', '/*']) {
      expect(await ask('/a')).toBe(pattern);
      expect(app.get(pattern, null)).toBe(app);
    }
    expect(await ask('/a')).toBe('404');
  });

  test('null removes by pattern, whatever the names of the parameters', async () => {
    const app = withPatterns('/:a/b');
    const ask = await asker(app);
    app.get('/:other/b', null);
    expect(await ask('/1/b')).toBe('404');
  });

  test('removing what is not there does nothing', async () => {
    const app = withPatterns('/a');
    app.get('/b', null).post('/a', null).any('/a', null).get('/a/b', null).get('', null);
    expect(await (await asker(app))('/a')).toBe('/a');
  });

  test('a removed route may come back', async () => {
    const app = withPatterns('/a');
    const ask = await asker(app);
    app.get('/a', null).get('/a', answer('again'));
    expect(await ask('/a')).toBe('again');
  });

  test('a ws route is replaced by another one', async () => {
    const app = createApp().ws('/', { upgrade: (res) => res.end('old') }).ws('/', { upgrade: (res) => res.end('new') });
    expect(await (await asker(app))('/', 'GET', HANDSHAKE)).toBe('new');
  });

  test('a ws route and a GET route on the same pattern are two routes', async () => {
    const app = createApp().ws('/', { upgrade: (res) => res.end('ws') }).get('/', answer('get')).get('/', null);
    const ask = await asker(app);
    expect(await ask('/', 'GET', HANDSHAKE)).toBe('ws');
    expect(await ask('/')).toBe('404');
  });
});

describe('changes while running', () => {
  test('a route added after listen is found', async () => {
    const app = createApp();
    const ask = await asker(app);
    expect(await ask('/late')).toBe('404');
    app.get('/late', answer('late'));
    expect(await ask('/late')).toBe('late');
  });

  test('a handler may add the route for the next request', async () => {
    const app = createApp();
    app.get('/add', (res) => {
      app.get('/added', answer('added'));
      res.end();
    });
    const ask = await asker(app);
    await ask('/add');
    expect(await ask('/added')).toBe('added');
  });

  test('a handler may replace or remove itself, and still answers', async () => {
    const app = createApp();
    app.get('/', (res) => {
      app.get('/', (next) => {
        app.get('/', null);
        next.end('second');
      });
      res.end('first');
    });
    const ask = await asker(app);
    expect(await ask('/')).toBe('first');
    expect(await ask('/')).toBe('second');
    expect(await ask('/')).toBe('404');
  });

  test('a removed handler still answers the request it has', async () => {
    const app = createApp();
    app.get('/', (res) => {
      res.onAborted(() => {});
      app.get('/', null);
      setImmediate(() => res.end('late'));
    });
    const ask = await asker(app);
    expect(await ask('/')).toBe('late');
    expect(await ask('/')).toBe('404');
  });

  test('a handler may add the route it yields to', async () => {
    const app = createApp();
    app.get('/a', (res, req) => {
      app.any('/a', answer('added'));
      req.setYield(true);
    });
    expect(await (await asker(app))('/a')).toBe('added');
  });

  test('a handler that removes itself and yields is followed by the next candidate', async () => {
    const app = withPatterns('/*');
    app.get('/once', (res, req) => {
      app.get('/once', null);
      req.setYield(true);
    });
    const ask = await asker(app);
    expect(await ask('/once')).toBe('/*');
    expect(await ask('/once')).toBe('/*');
  });

  test('a handler that moves to another pattern and yields finds itself there', async () => {
    const app = withPatterns('/*');
    app.get('/a', (res, req) => {
      app.get('/a', null).get('/:x', answer('moved'));
      req.setYield(true);
    });
    expect(await (await asker(app))('/a')).toBe('moved');
  });

  test('a handler that adds a route in front of its own and yields is not called again', async () => {
    let calls = 0;
    const app = createApp();
    app.any('/a', (res, req) => {
      calls++;
      app.get('/a', answer('in front'));
      req.setYield(true);
    });
    app.any('/*', answer('behind'));
    const ask = await asker(app);
    expect(await ask('/a')).toBe('behind');
    expect(calls).toBe(1);
    expect(await ask('/a')).toBe('in front');
  });

  test('a thousand routes come and go, and each request reaches its own', async () => {
    const app = createApp();
    const ask = await asker(app);
    for (let round = 0; round < 2; round++) {
      for (let number = 0; number < 1000; number++) app.get(`/${number}/:x`, answer(String(number)));
      for (const number of [0, 1, 499, 999]) expect(await ask(`/${number}/y`)).toBe(String(number));
      for (let number = 0; number < 1000; number += 2) app.get(`/${number}/:other`, null);
      for (const number of [1, 499, 999]) expect(await ask(`/${number}/y`)).toBe(String(number));
      for (const number of [0, 2, 998]) expect(await ask(`/${number}/y`)).toBe('404');
      for (let number = 1; number < 1000; number += 2) app.get(`/${number}/:x`, null);
      expect(await ask('/1/y')).toBe('404');
    }
  });
});

describe('requests without a route', () => {
  test('are answered with 404 by default, and the connection lives on', async () => {
    const client = await RawClient.connect(listen(createApp()));
    for (const method of ['GET', 'POST', 'BREW']) {
      await client.send(request(method, '/nowhere'));
      const response = await client.response();
      expect(response.statusLine).toBe('404 File Not Found');
      expect(response.values('content-type')).toEqual(['text/html']);
      expect(response.text).toContain('File Not Found');
    }
  });

  test('any("/*") replaces the default answer', async () => {
    const ask = await asker(createApp().any('/*', answer('mine')));
    for (const path of ['/', '/a', '/a/b/c']) expect(await ask(path)).toBe('mine');
  });

  test('without the default answer the connection is closed without a response', async () => {
    expect(await outcome(createApp().any('/*', null), '/')).toBe('');
    expect(await outcome(createApp().any('/*', answer('mine')).any('/*', null), '/')).toBe('');
  });

  test('handshakes are answered with 404 as well', async () => {
    expect(await (await asker(createApp()))('/', 'GET', HANDSHAKE)).toBe('404');
  });
});

describe('arguments', () => {
  const names = ['get', 'post', 'options', 'del', 'patch', 'put', 'head', 'connect', 'trace', 'any'];

  test.each(names)('%s: pattern and handler are required', (name) => {
    const app = createApp();
    const expected = { name: 'TypeError', code: 'ERR_INVALID_ARG_TYPE', message: 'Passed callback is not a valid function.' };
    expect(failureOf(() => app[name]())).toEqual(expected);
    expect(failureOf(() => app[name]('/'))).toEqual(expected);
  });

  test.each(names)('%s: the handler is a function or null', (name) => {
    for (const handler of [undefined, {}, 'text', 5, true]) {
      expect(failureOf(() => createApp()[name]('/', handler))).toEqual({
        name: 'TypeError',
        code: 'ERR_INVALID_ARG_TYPE',
        message: 'Passed callback is not a valid function.',
      });
    }
  });

  test.each(names)('%s: the pattern is text or data', (name) => {
    for (const pattern of [null, {}, 5, true, []]) {
      for (const handler of [() => {}, null]) {
        expect(failureOf(() => createApp()[name](pattern, handler))).toEqual({
          name: 'TypeError',
          code: 'ERR_INVALID_ARG_TYPE',
          message: 'Text and data can only be passed by String, ArrayBuffer or ArrayBufferView.',
        });
      }
    }
  });

  test('a refused route changes nothing', async () => {
    const app = withPatterns('/');
    failureOf(() => app.get('/', {}));
    failureOf(() => app.get('/', undefined));
    expect(await (await asker(app))('/')).toBe('/');
  });
});

describe('as a whole', () => {
  const segment = fc.constantFrom('', 'a', 'b', ':x', ':y');
  const pattern = fc.tuple(fc.array(segment, { minLength: 1, maxLength: 3 }), fc.boolean())
    .map(([segments, isOpen]) => `/${[...segments, ...(isOpen ? ['*'] : [])].join('/')}`);
  const route = fc.record({ verb: fc.constantFrom('get', 'post', 'any', 'ws'), pattern });
  const path = fc.array(fc.constantFrom('', 'a', 'b', 'c'), { minLength: 1, maxLength: 4 }).map((it) => `/${it.join('/')}`);
  const asked = fc.record({ path, kind: fc.constantFrom('GET', 'POST', 'BREW', 'handshake') });

  test('the candidates and their order are those of a naive twin that knows no trees', async () => {
    await fc.assert(fc.asyncProperty(
      fc.array(route, { maxLength: 12 }), fc.array(asked, { minLength: 1, maxLength: 8 }),
      async (routes, requests) => {
        const app = createApp().any('/*', (res) => res.end(trace.splice(0).join(' ')));
        const trace = [];
        for (const { verb, pattern: it } of routes) {
          if (verb === 'any' && it === '/*') continue;
          const note = (res, req) => {
            trace.push(`${verb}${it}`);
            req.setYield(true);
          };
          app[verb](it, verb === 'ws' ? { upgrade: note } : note);
        }
        const ask = await asker(app);
        for (const { path: target, kind } of requests) {
          const isHandshake = kind === 'handshake';
          const got = await ask(target, isHandshake ? 'GET' : kind, isHandshake ? HANDSHAKE : []);
          expect(got).toBe(naiveCandidates(routes, target, kind).join(' '));
        }
        app.close();
      },
    ), { numRuns: 100 });
  });

  /** All routes that match, in the order in which they are tried; of those that only differ in names, the last one. */
  function naiveCandidates(routes, target, kind) {
    const verbs = { GET: ['get', 'any'], POST: ['post', 'any'], BREW: ['any'], handshake: ['ws', 'get', 'any'] }[kind];
    const last = new Map(routes.map((it) => [`${it.verb} ${it.pattern.replace(/:[xy]/g, ':')}`, it]));
    const rank = (it) => String(verbs.indexOf(it.verb)) + it.pattern.slice(1).split('/')
      .map((text) => ({ ':': '1', '*': '2' })[text[0]] ?? '0').join('');
    return [...last.values()]
      .filter((it) => verbs.includes(it.verb) && !(it.verb === 'any' && it.pattern === '/*'))
      .filter((it) => expressionOf(it.pattern).test(target))
      .sort((one, other) => (rank(one) < rank(other) ? -1 : 1))
      .map((it) => it.verb + it.pattern);
  }

  function expressionOf(text) {
    return new RegExp(`^${text.replace(/:[xy]/g, '[^/]+').replace(/\*$/, '.*')}$`);
  }
});
