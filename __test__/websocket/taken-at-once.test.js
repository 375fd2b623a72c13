'use strict';

// What the system takes within a call is no back-pressure, however much it is and whatever threads it passes on its way:
// `send`, `getBufferedAmount`, `write` and `tryEnd` say of it what they say in uWebSockets.js.

const { afterTest } = require('../helpers/cleanup.js');
const { open: openClient } = require('../helpers/client.js');
const { connect: connectTcp } = require('../helpers/connect.js');
const { Mailbox } = require('../helpers/mailbox.js');
const { request } = require('../helpers/raw-http.js');
const { handshake } = require('../helpers/raw-websocket.js');
const { createApp, listen } = require('../helpers/server.js');
const { connectClient, connectPlain, connectTls, createSSLApp } = require('../helpers/tls.js');

const MIB = 1024 * 1024;
const [QUEUED, SENT] = [0, 1];
/** More than any system takes for a peer that does not read. */
const MUCH = 64 * MIB;

/** Nobody reads while a handler runs. Linux takes some 4 MiB all the same on the loopback interface, others much less. */
const describeOnLinux = process.platform === 'linux' ? describe : describe.skip;

/** Three kinds of WebSockets that `behavior` is for, each with a peer that reads what comes. */
const WEBSOCKETS = {
  'a WebSocket of an app'(behavior) {
    const socket = connectTcp({ port: listen(createApp().ws('/*', behavior)), host: '127.0.0.1' });
    afterTest(() => socket.destroy());
    socket.resume().write(handshake());
  },
  async 'a WebSocket over TLS'(behavior) {
    const socket = await connectTls(listen(createSSLApp().ws('/*', behavior)));
    socket.resume().write(handshake());
  },
  async 'a WebSocket of connect'(behavior) {
    const app = createApp().ws('/*', { maxPayloadLength: 2 * MUCH });
    await openClient(`ws://127.0.0.1:${listen(app)}`, behavior);
  },
};

/** What `act` returns when it is called in `open`, and a mailbox of what getBufferedAmount says in each drain. */
async function within(connect, act) {
  const results = new Mailbox();
  const drains = new Mailbox();
  await connect({
    maxBackpressure: 0,
    open: (ws) => results.put(act(ws)),
    drain: (ws) => drains.put(ws.getBufferedAmount()),
  });
  return { result: await results.take(), drains };
}

describe.each(Object.entries(WEBSOCKETS))('%s', (title, connect) => {
  describeOnLinux('and what the system takes', () => {
    test.each([
      ['one message of 300 kB', 1, 300_000],
      ['one message of 2 MiB', 1, 2 * MIB],
      ['1,000 messages of 1 kB', 1000, 1000],
      ['30 messages of 64 KiB', 30, 64 * 1024],
      ['three messages of 1 MB', 3, 1_000_000],
    ])('%s in one handler: each send returns 1, and nothing waits', async (what, count, size) => {
      const { result, drains } = await within(connect, (ws) => {
        const statuses = new Set();
        for (let number = 0; number < count; number++) statuses.add(ws.send(Buffer.alloc(size), true));
        return [[...statuses], ws.getBufferedAmount()];
      });
      expect(result).toEqual([[SENT], 0]);
      expect(drains.size).toBe(0);
    });

    test('fragments of one message, the same', async () => {
      const { result } = await within(connect, (ws) => {
        const statuses = new Set([ws.sendFirstFragment(Buffer.alloc(64 * 1024), true)]);
        for (let number = 0; number < 14; number++) statuses.add(ws.sendFragment(Buffer.alloc(64 * 1024)));
        statuses.add(ws.sendLastFragment(Buffer.alloc(64 * 1024)));
        return [[...statuses], ws.getBufferedAmount()];
      });
      expect(result).toEqual([[SENT], 0]);
    });
  });

  test('never more waits than was sent; what waits is followed by drain', async () => {
    const { result, drains } = await within(connect, (ws) => {
      const status = ws.send(Buffer.alloc(MUCH), true);
      return { status, amount: ws.getBufferedAmount(), again: ws.getBufferedAmount() };
    });
    const header = 14;
    expect(result.status).toBe(QUEUED);
    expect(result.amount).toBeGreaterThan(0);
    expect(result.amount).toBeLessThanOrEqual(MUCH + header);
    expect(await drains.take()).toBe(0);
  });

  test('loops that send until something waits come to an end, however fast the peer is, and drain follows', async () => {
    const { result, drains } = await within(connect, (ws) => {
      let bytes = 0;
      const text = 'x'.repeat(1000);
      const send = () => {
        bytes += text.length;
        return ws.send(text);
      };
      while (send() === SENT);
      while (ws.getBufferedAmount() < 100_000) send();
      return { bytes, amount: ws.getBufferedAmount() };
    });
    expect(result.bytes).toBeLessThan(MUCH);
    expect(result.amount).toBeGreaterThanOrEqual(100_000);
    expect(result.amount).toBeLessThan(result.bytes * 1.1);
    expect(await drains.take()).toBe(0);
  });

  test('empty messages without end come to one, too', async () => {
    const { result } = await within(connect, (ws) => {
      let count = 0;
      while (ws.getBufferedAmount() < 10) {
        ws.send('');
        count += 1;
      }
      return count;
    });
    expect(result).toBeLessThan(100_000);
  });
});

const RESPONSES = {
  async HTTP(handler) {
    return connectPlain(listen(createApp().get('/', handler)));
  },
  async HTTPS(handler) {
    return connectClient(listen(createSSLApp().get('/', handler)));
  },
};

describe.each(Object.entries(RESPONSES))('a response over %s', (title, connect) => {
  /** What `act` returns in the handler, and the body that the client gets. */
  async function ask(act) {
    const results = new Mailbox();
    const client = await connect((res) => {
      res.onAborted(() => {});
      results.put(act(res));
    });
    await client.send(request('GET', '/'));
    const result = await results.take();
    return { result, response: await client.response() };
  }

  describeOnLinux('and what the system takes', () => {
    test.each([['by itself', 1000, 1000], ['in large pieces', 10, 200_000], ['at once', 1, 2_000_000]])(
      'write takes it %s and says true',
      async (how, count, size) => {
        const { result, response } = await ask((res) => {
          const said = new Set();
          for (let number = 0; number < count; number++) said.add(res.write(Buffer.alloc(size, 'x')));
          const offset = res.getWriteOffset();
          res.end();
          return [[...said], offset];
        });
        expect(result).toEqual([[true], count * size]);
        expect(response.body.length).toBe(count * size);
      },
    );

    test.each([
      ['a buffer', Buffer.alloc(1_000_000, 'x')],
      ['a string', 'x'.repeat(1_000_000)],
      ['a string of many bytes per character', 'é✓😀'.repeat(111_111)],
    ])('tryEnd of %s is done at once', async (what, body) => {
      const { result, response } = await ask((res) => res.tryEnd(body, Buffer.byteLength(body)));
      expect(result).toEqual([true, true]);
      expect(response.body.equals(Buffer.from(body))).toBe(true);
    });

    test('tryEnd in parts, each larger than the last, says true to each', async () => {
      const { result, response } = await ask((res) => {
        const said = [];
        for (let size = 100_000; size <= 500_000; size += 100_000) said.push(res.tryEnd(Buffer.alloc(size, 'x'), 1_500_000));
        return said;
      });
      expect(result).toEqual([...new Array(4).fill([true, false]), [true, true]]);
      expect(response.body.length).toBe(1_500_000);
    });
  });

  test('write without end comes to one, however fast the client is, and onWritable follows', async () => {
    const { result, response } = await ask((res) => {
      while (res.write(Buffer.alloc(10_000)));
      const offset = res.getWriteOffset();
      res.onWritable(() => res.end());
      return offset;
    });
    expect(result).toBeLessThan(MUCH);
    expect(response.body.length).toBe(result);
  });
});
