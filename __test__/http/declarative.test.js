'use strict';

// Routes that answer without JavaScript: `app.get(pattern, new DeclarativeResponse()….end())`.

const uWS = require('../..');
const { failureOf } = require('../helpers/failure.js');
const { RawClient, request } = require('../helpers/raw-http.js');
const { createApp, listen } = require('../helpers/server.js');

/** A client of an app whose GET requests of `pattern` get this response. */
async function serve(bytes, pattern = '/*') {
  return RawClient.connect(listen(createApp().get(pattern, bytes)));
}

/** A fresh response. */
function declare() {
  return new uWS.DeclarativeResponse();
}

describe('what is answered', () => {
  test('status and headers in their order, then Date and the Content-Length of the whole body', async () => {
    const client = await serve(declare()
      .writeStatus('404 Not Found')
      .writeHeader('Content-Type', 'text/plain')
      .writeHeader('X-Twice', 'a')
      .writeHeader('X-Twice', 5)
      .write('one, ')
      .writeBody()
      .write(Buffer.from('two, '))
      .end(new TextEncoder().encode('drei: ü').buffer));
    const response = await client.get('/');
    expect(response.statusLine).toBe('404 Not Found');
    expect(response.names).toEqual(['Content-Type', 'X-Twice', 'X-Twice', 'Date', 'Content-Length']);
    expect(response.values('x-twice')).toEqual(['a', '5']);
    expect(response.text).toBe('one, two, drei: ü');
    expect(response.values('content-length')).toEqual([String(response.body.length)]);
  });

  test('end alone: 200 OK with an empty body', async () => {
    const response = await (await serve(declare().end())).get('/');
    expect(response.statusLine).toBe('200 OK');
    expect(response.values('content-length')).toEqual(['0']);
  });

  test('writeStatus: only the first call counts, and none after a header', async () => {
    const client = await serve(declare().writeStatus('201').writeStatus('202 Accepted').end());
    expect((await client.get('/')).statusLine).toBe('201 ');
    const other = await serve(declare().writeHeader('A', 'b').writeStatus('202 Accepted').end());
    expect((await other.get('/')).statusLine).toBe('200 OK');
  });

  test('values of the request: decoded query, header in any case, raw parameter; else nothing', async () => {
    const bytes = declare()
      .writeParameterValue('id').write('|')
      .writeQueryValue('name').write('|')
      .writeHeaderValue('X-Mark').write('|')
      .writeParameterValue('missing').writeQueryValue('missing').writeHeaderValue('missing')
      .end('.');
    const client = await serve(bytes, '/users/:id');
    const full = await client.get('/users/%41?x=1&name=J%C3%BCrgen+K', 'x-mARK: m', 'X-Mark: n');
    expect(full.text).toBe('%41|Jürgen K|m|.');
    expect((await client.get('/users/b')).text).toBe('b|||.');
  });

  test('a value of the request cannot become a header, whatever it holds', async () => {
    const client = await serve(declare().writeHeader('A', 'b').writeQueryValue('q').end());
    const response = await client.get('/?q=%0D%0AX-Injected:%20yes%0D%0A%0D%0Aend');
    expect(response.names).toEqual(['A', 'Date', 'Content-Length']);
    expect(response.text).toBe('\r\nX-Injected: yes\r\n\r\nend');
  });

  test('pieces of 65,535 bytes make a body of a megabyte', async () => {
    const piece = Buffer.alloc(65_535, 'p');
    const response = declare();
    for (let count = 0; count < 16; count++) response.write(piece);
    const { body } = await (await serve(response.end())).get('/');
    expect(body.equals(Buffer.alloc(16 * 65_535, 'p'))).toBe(true);
  });

  test('HEAD: the head of the response, without its body', async () => {
    const client = await RawClient.connect(listen(createApp().head('/', declare().end('body'))));
    await client.send(request('HEAD', '/') + request('HEAD', '/'));
    for (let count = 0; count < 2; count++) {
      expect((await client.response('HEAD')).values('content-length')).toEqual(['4']);
    }
  });

  test('pipelined requests, and one whose body nobody reads, are answered in order on one connection', async () => {
    const app = createApp().any('/:n', declare().writeParameterValue('n').end());
    const client = await RawClient.connect(listen(app));
    await client.send(request('GET', '/1') + request('POST', '/2', [], 'b'.repeat(1000)) + request('GET', '/3'));
    for (const n of ['1', '2', '3']) expect((await client.response()).text).toBe(n);
  });

  test('framing headers that are written down never reach the client', async () => {
    const declared = declare().writeHeader('Content-Length', 99).writeHeader('transfer-encoding', 'chunked');
    const response = await (await serve(declared.end('four'))).get('/');
    expect(response.names).toEqual(['Date', 'Content-Length']);
    expect(response.text).toBe('four');
  });
});

describe('the route', () => {
  test('is replaced by a handler, replaces one, and is removed by null', async () => {
    const app = createApp();
    const client = await RawClient.connect(listen(app));
    const declared = declare().end('declared');
    const answers = [];
    for (const handler of [declared, (res) => res.end('called'), declared, declare().end('again'), null]) {
      app.get('/', handler);
      answers.push((await client.get('/')).text.slice(0, 8));
    }
    expect(answers).toEqual(['declared', 'called', 'declared', 'again', '<!DOCTYP']);
  });

  test('comes after a handler that yields', async () => {
    const app = createApp().get('/a', (res, req) => req.setYield(true)).get('/*', declare().end('wildcard'));
    expect((await (await RawClient.connect(listen(app))).get('/a')).text).toBe('wildcard');
  });

  test('may be changed by a handler that is running', async () => {
    const app = createApp().get('/', (res) => {
      app.get('/', declare().end('second'));
      res.end('first');
    });
    const client = await RawClient.connect(listen(app));
    expect((await client.get('/')).text).toBe('first');
    expect((await client.get('/')).text).toBe('second');
  });

  test('keeps its response when the bytes are changed or transferred afterwards', async () => {
    const bytes = declare().end('kept');
    const client = await serve(bytes);
    new Uint8Array(bytes).fill(0xff);
    structuredClone(bytes, { transfer: [bytes] });
    expect((await client.get('/')).text).toBe('kept');
  });

  test('takes the bytes from a SharedArrayBuffer too', async () => {
    const bytes = declare().end('shared');
    const shared = new SharedArrayBuffer(bytes.byteLength);
    new Uint8Array(shared).set(new Uint8Array(bytes));
    expect((await (await serve(shared)).get('/')).text).toBe('shared');
  });

  test('refuses bytes that DeclarativeResponse did not make, and keeps what was there', async () => {
    const app = createApp().get('/', (res) => res.end('kept'));
    const good = declare().writeHeader('A', 'b').end('x');
    const cut = good.slice(0, -1);
    const longer = new Uint8Array([...new Uint8Array(good), 0]).buffer;
    const header = new Uint8Array(good.slice(0));
    header[header.indexOf(0x62)] = 0x0a;
    for (const bytes of [new ArrayBuffer(0), new ArrayBuffer(100), cut, longer, header.buffer]) {
      const error = failureOf(() => app.get('/', bytes));
      expect(error).toMatchObject({ name: 'TypeError', code: 'ERR_INVALID_ARG_VALUE' });
      expect(error.message).toMatch(/^an ArrayBuffer as handler must come from DeclarativeResponse\.end\(\): /);
    }
    expect((await (await RawClient.connect(listen(app))).get('/')).text).toBe('kept');
  });

  test('refuses more than 1000 values of the request', () => {
    const response = declare();
    for (let count = 0; count < 1001; count++) response.writeQueryValue('k');
    expect(failureOf(() => createApp().get('/', response.end())).code).toBe('ERR_INVALID_ARG_VALUE');
  });
});

describe('the class', () => {
  test('lengths: a RangeError beyond 255 bytes for status, names and keys, beyond 65,535 for a piece of the body', () => {
    const long = 'x'.repeat(256);
    const calls = [
      (it) => it.writeStatus(`200 ${long}`),
      (it) => it.writeHeader(long, ''),
      (it) => it.writeHeader('a', 'ü'.repeat(128)),
      (it) => it.writeQueryValue(long),
      (it) => it.writeHeaderValue(long),
      (it) => it.writeParameterValue(Buffer.from(long)),
    ];
    const bodies = [(it) => it.write(Buffer.alloc(65_536)), (it) => it.end('x'.repeat(65_536))];
    for (const [list, most] of [[calls, 255], [bodies, 65_535]]) {
      for (const call of list) {
        const message = `Data length exceeds ${most}`;
        expect(failureOf(() => call(declare()))).toEqual({ name: 'RangeError', code: 'ERR_OUT_OF_RANGE', message });
      }
    }
    const most = 'x'.repeat(255);
    declare().writeHeader(most, most).writeQueryValue(most).end('x'.repeat(65_535));
  });

  test('status and headers are checked as those of HttpResponse', () => {
    expect(failureOf(() => declare().writeStatus('OK')).code).toBe('ERR_HTTP_INVALID_STATUS');
    expect(failureOf(() => declare().writeHeader('a b', 'c')).code).toBe('ERR_HTTP_INVALID_HEADER');
    const failure = failureOf(() => declare().writeHeader('A', 'b\r\nC: d'));
    expect(failure).toMatchObject({ name: 'TypeError', code: 'ERR_HTTP_INVALID_HEADER' });
    for (const value of [null, {}, true, Symbol('s')]) {
      expect(failureOf(() => declare().write(value)).code).toBe('ERR_INVALID_ARG_TYPE');
    }
  });

  test('a call that fails leaves the response as it was', async () => {
    const response = declare().writeHeader('A', 'b');
    failureOf(() => response.writeHeader('C', '\n'));
    failureOf(() => response.end('x'.repeat(65_536)));
    const { names, text } = await (await serve(response.end('ok'))).get('/');
    expect([names, text]).toEqual([['A', 'Date', 'Content-Length'], 'ok']);
  });

  test('nothing is written after end, and no header after the first piece of the body', () => {
    const ended = declare();
    ended.end();
    for (const name of ['writeStatus', 'writeHeader', 'write', 'writeBody', 'writeQueryValue', 'writeHeaderValue',
      'writeParameterValue', 'end']) {
      expect(failureOf(() => ended[name]('200 OK', 'x')).code).toBe('ERR_INVALID_STATE');
      const { [name]: method } = uWS.DeclarativeResponse.prototype;
      expect(failureOf(() => method.call({}, '200 OK', 'x')).code).toBe('ERR_INVALID_THIS');
    }
    expect(failureOf(() => declare().write('x').writeHeader('A', 'b')).code).toBe('ERR_INVALID_STATE');
    expect(failureOf(() => declare().writeQueryValue('x').writeHeader('A', 'b')).code).toBe('ERR_INVALID_STATE');
  });

  test('programs may extend the class and add methods to its prototype', async () => {
    class Page extends uWS.DeclarativeResponse {
      writeTitle(title) {
        return this.write(`<title>${title}</title>`);
      }
    }
    uWS.DeclarativeResponse.prototype.writeHeaders = function writeHeaders(headers) {
      for (const key in headers) this.writeHeader(key, headers[key]);
      return this;
    };
    try {
      const page = new Page().writeHeaders({ 'X-A': '1', 'X-B': '2' }).writeTitle('t');
      const response = await (await serve(page.end())).get('/');
      expect(response.names.slice(0, 2)).toEqual(['X-A', 'X-B']);
      expect(response.text).toBe('<title>t</title>');
    } finally {
      delete uWS.DeclarativeResponse.prototype.writeHeaders;
    }
  });
});
