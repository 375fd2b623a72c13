'use strict';

// `res.upgrade(userData, options)`: key, extensions and subprotocols are those of the request.

const uWS = require('../..');
const { Mailbox } = require('../helpers/mailbox.js');
const { RawClient } = require('../helpers/raw-http.js');
const { RawWebSocket, handshake } = require('../helpers/raw-websocket.js');
const { createApp, listen } = require('../helpers/server.js');

const OFFER = 'Sec-WebSocket-Protocol: a, b';

/** The value of a field of a response head. */
function field(head, name) {
  return new RegExp(`^${name}: (.*)$`, 'im').exec(head)?.[1];
}

/** The WebSocket that an upgrade handler makes, which does so by `upgrade`. */
async function upgraded(upgrade, { fields = [], behavior = {} } = {}) {
  const failures = [];
  const port = listen(createApp().ws('/*', {
    ...behavior,
    upgrade: (res, req, context) => {
      try {
        upgrade(res, req, context);
      } catch (error) {
        failures.push(error);
        res.writeStatus('500 Failed').end(error.code);
      }
    },
    open: (ws) => ws.send(JSON.stringify({ ...ws })),
  }));
  const client = await RawWebSocket.open(port, { fields });
  return { head: client.head, data: JSON.parse((await client.frame())[1]), failures };
}

test.each([
  ['nothing but user data', [{ user: 1 }], 'a'],
  ['options that are undefined', [{ user: 1 }, undefined], 'a'],
  ['options that are null', [{ user: 1 }, null], 'a'],
  ['no options', [{ user: 1 }, {}], 'a'],
  ['protocol: undefined', [{ user: 1 }, { protocol: undefined }], 'a'],
  ['the second protocol', [{ user: 1 }, { protocol: 'b' }], 'b'],
  ['a protocol that the client does not offer', [{ user: 1 }, { protocol: 'c' }], undefined],
  ['protocol: null', [{ user: 1 }, { protocol: null }], undefined],
  ['protocol: false', [{ user: 1 }, { protocol: false }], undefined],
  ["protocol: ''", [{ user: 1 }, { protocol: '' }], undefined],
])('with %s', async (_, args, protocol) => {
  const { head, data } = await upgraded((res) => res.upgrade(...args), { fields: [OFFER] });
  expect([field(head, 'Sec-WebSocket-Protocol'), data]).toEqual([protocol, { user: 1 }]);
});

test('offers in several fields are one list; without any, none is selected', async () => {
  const fields = ['Sec-WebSocket-Protocol: a', 'Sec-WebSocket-Protocol: b,  c'];
  const { head } = await upgraded((res) => res.upgrade({}, { protocol: 'c' }), { fields });
  expect(field(head, 'Sec-WebSocket-Protocol')).toBe('c');
  expect(field((await upgraded((res) => res.upgrade({}, { protocol: 'c' }))).head, 'Sec-WebSocket-Protocol')).toBe(undefined);
});

test.each([
  [{}, /^permessage-deflate/],
  [{ compression: true }, /^permessage-deflate/],
  [{ compression: false }, undefined],
])('%j: compression is agreed on, or not', async (options, expected) => {
  const fields = ['Sec-WebSocket-Extensions: permessage-deflate'];
  const { head } = await upgraded((res) => res.upgrade({}, options), { fields, behavior: { compression: uWS.SHARED_COMPRESSOR } });
  const extensions = field(head, 'Sec-WebSocket-Extensions');
  if (expected === undefined) expect(extensions).toBe(undefined);
  else expect(extensions).toMatch(expected);
});

test('headers that were written before go along', async () => {
  const { head } = await upgraded((res) => res.writeHeader('Set-Cookie', 'a=1').upgrade({}));
  expect(field(head, 'Set-Cookie')).toBe('a=1');
});

test('works after an await, and after the route has been replaced', async () => {
  const opened = new Mailbox();
  const app = createApp();
  app.ws('/*', {
    upgrade: async (res) => {
      res.onAborted(() => {});
      await new Promise(setImmediate);
      app.ws('/*', { open: () => opened.put('second') });
      res.cork(() => res.upgrade({ late: true }, { protocol: 'b' }));
    },
    open: (ws) => opened.put(ws.late),
  });
  const port = listen(app);
  expect(field((await RawWebSocket.open(port, { fields: [OFFER] })).head, 'Sec-WebSocket-Protocol')).toBe('b');
  expect(await opened.take()).toBe(true);
  await RawWebSocket.open(port);
  expect(await opened.take()).toBe('second');
});

describe('misuse throws, and leaves the response usable', () => {
  test.each([
    [{ protocol: 5 }, 'ERR_INVALID_ARG_TYPE'],
    [{ protocol: true }, 'ERR_INVALID_ARG_TYPE'],
    [{ protocol: ['a'] }, 'ERR_INVALID_ARG_TYPE'],
    [{ protocol: 'a, b' }, 'ERR_INVALID_ARG_VALUE'],
    [{ protocol: 'a\r\nX-Y: z' }, 'ERR_INVALID_ARG_VALUE'],
    [{ protocol: '\u{e9}' }, 'ERR_INVALID_ARG_VALUE'],
    [{ compression: 1 }, 'ERR_INVALID_ARG_TYPE'],
  ])('%j', async (options, code) => {
    const seen = [];
    const { data } = await upgraded((res) => {
      try {
        res.upgrade({ wrong: true }, options);
      } catch (error) {
        seen.push(error.code);
      }
      res.upgrade({ right: true });
    });
    expect([seen, data]).toEqual([[code], { right: true }]);
  });

  test('data that throws, after which nothing has happened', async () => {
    const { data } = await upgraded((res) => {
      expect(() => res.upgrade({ get bad() { throw new Error('getter'); } })).toThrow('getter');
      res.upgrade({ good: 1 });
    });
    expect(data).toEqual({ good: 1 });
  });

  test('a response of another handler, and one that an upgrade handler has yielded to it', async () => {
    const app = createApp();
    app.ws('/*', { upgrade: (res, req) => req.setYield(true) });
    app.get('/*', (res) => {
      try {
        res.upgrade({}, {});
      } catch (error) {
        res.end(error.code);
      }
    });
    const client = await RawClient.connect(listen(app));
    expect((await client.get('/')).text).toBe('ERR_INVALID_STATE');
    await client.send(handshake());
    expect((await client.response()).text).toBe('ERR_INVALID_STATE');
  });

  test('a response that is over', async () => {
    const codes = [];
    await upgraded((res) => {
      res.upgrade({});
      try {
        res.upgrade({});
      } catch (error) {
        codes.push(error.code);
      }
    });
    expect(codes).toEqual(['ERR_HTTP_RESPONSE_CLOSED']);
  });
});
