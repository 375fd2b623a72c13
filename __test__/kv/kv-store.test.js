'use strict';

// The key-value store that all threads of a process share, and its lock.

const { once } = require('node:events');
const { join } = require('node:path');
const { Worker } = require('node:worker_threads');

const uWS = require('../..');
const { afterTest } = require('../helpers/cleanup.js');
const { failureOf } = require('../helpers/failure.js');
const { Program } = require('../helpers/program.js');

const ROOT = join(__dirname, '..', '..');
const MAIN = `
  const { parentPort } = require('node:worker_threads');
  const uWS = require(${JSON.stringify(ROOT)});
  parentPort.on('message', (source) => {
    let answer;
    try {
      answer = { value: eval(source) };
    } catch ({ code, message }) {
      answer = { code, message };
    }
    parentPort.postMessage(answer);
  });
`;

/** A thread that runs source text, in which `uWS` is defined. */
class Thread {
  #worker = new Worker(MAIN, { eval: true });

  constructor() {
    afterTest(() => this.#worker.terminate());
  }

  /** Runs `source`. Returns its value, or throws what it throws. */
  async run(source) {
    this.begin(source);
    const [{ value, code, message }] = await once(this.#worker, 'message');
    if (code !== undefined || message !== undefined) throw Object.assign(new Error(message), { code });
    return value;
  }

  /** Runs `source`, from which nothing will be heard. */
  begin(source) {
    this.#worker.postMessage(source);
  }

  terminate() {
    return this.#worker.terminate();
  }

  /** How it ends: its exit code, or 'failed' by an error. */
  end() {
    return new Promise((resolve) => {
      this.#worker.once('error', () => resolve('failed'));
      this.#worker.once('exit', resolve);
    });
  }
}

let collections = 0;
/** A collection of the current test. */
function collection() {
  collections += 1;
  return `kv-store.test ${process.pid} ${collections}`;
}

describe('strings', () => {
  test("getString: '' for what was never set or is deleted, in this collection and no other", () => {
    const [a, b] = [collection(), collection()];
    expect(uWS.getString('key', a)).toBe('');
    uWS.setString('key', 'value', a);
    expect([uWS.getString('key', a), uWS.getString('key', b)]).toEqual(['value', '']);
    uWS.setString('key', 'other', a);
    expect(uWS.getString('key', a)).toBe('other');
    expect(uWS.deleteString('key', a)).toBeUndefined();
    expect(uWS.deleteString('key', a)).toBeUndefined();
    expect(uWS.getString('key', a)).toBe('');
  });

  test('keys, values and collections are text or data, and taken as UTF-8', () => {
    const name = collection();
    const bytes = (text) => new TextEncoder().encode(text).slice().buffer;
    uWS.setString(Buffer.from('ü\0\u{1f600}'), bytes('wört'), new DataView(bytes(name)));
    const shared = new Uint8Array(new SharedArrayBuffer(2));
    shared.set([0x41, 0xff]);
    uWS.setString('', shared.buffer, name);
    expect(uWS.getStringKeys(name).sort()).toEqual(['', 'ü\0\u{1f600}']);
    expect(uWS.getString('ü\0\u{1f600}', name)).toBe('wört');
    expect(uWS.getString(undefined, name)).toBe('A\ufffd');
    for (const wrong of [null, 5, {}, true]) {
      expect(failureOf(() => uWS.getString(wrong, name)).code).toBe('ERR_INVALID_ARG_TYPE');
      expect(failureOf(() => uWS.getString('key', wrong)).code).toBe('ERR_INVALID_ARG_TYPE');
      expect(failureOf(() => uWS.setString('key', wrong, name)).code).toBe('ERR_INVALID_ARG_TYPE');
    }
  });

  test('what is longer than a string of JavaScript can be is refused', () => {
    const long = Buffer.alloc(2 ** 28 - 15);
    expect(failureOf(() => uWS.setString('key', long, collection())).code).toBe('ERR_OUT_OF_RANGE');
  });

  test('getStringKeys and deleteStringCollection: one collection, without integers', () => {
    const [a, b] = [collection(), collection()];
    for (const key of ['x', 'y', '__proto__']) uWS.setString(key, key, a);
    uWS.setString('z', 'z', b);
    uWS.setInteger('integer', 1, a);
    expect(uWS.getString('never set', a)).toBe('');
    expect(uWS.getStringKeys(a).sort()).toEqual(['__proto__', 'x', 'y']);
    expect(uWS.deleteStringCollection(a)).toBeUndefined();
    expect(uWS.getStringKeys(a)).toEqual([]);
    expect([uWS.getStringKeys(b), uWS.getInteger('integer', a)]).toEqual([['z'], 1]);
  });
});

describe('integers', () => {
  test('getInteger: 0 for what was never set or is deleted', () => {
    const name = collection();
    expect(uWS.getInteger('key', name)).toBe(0);
    expect(uWS.setInteger('key', 5, name)).toBeUndefined();
    expect(uWS.getInteger('key', name)).toBe(5);
    expect(uWS.deleteInteger('key', name)).toBeUndefined();
    expect(uWS.getInteger('key', name)).toBe(0);
    expect(uWS.getIntegerKeys(name)).toEqual([]);
  });

  test('integers have 32 bits without a sign: what does not fit wraps', () => {
    const name = collection();
    expect(uWS.incInteger('key', 1, name)).toBe(1);
    expect(uWS.incInteger('key', -2, name)).toBe(4294967295);
    expect(uWS.getInteger('key', name)).toBe(4294967295);
    expect(uWS.incInteger('key', 6, name)).toBe(5);
    for (const [value, kept] of [[-1, 4294967295], [2 ** 32 + 3, 3], [-0, 0], [Number.MIN_SAFE_INTEGER, 1]]) {
      uWS.setInteger('key', value, name);
      expect(uWS.getInteger('key', name)).toBe(kept);
    }
  });

  test('what is no safe integer is refused, and changes nothing', () => {
    const name = collection();
    uWS.setInteger('key', 5, name);
    for (const call of [uWS.setInteger, uWS.incInteger]) {
      for (const value of [0.5, NaN, Infinity, 2 ** 53]) {
        const failure = failureOf(() => call('key', value, name));
        expect(failure).toMatchObject({ name: 'RangeError', code: 'ERR_OUT_OF_RANGE' });
      }
      for (const value of ['5', undefined, null, 5n, {}]) {
        const failure = failureOf(() => call('key', value, name));
        expect(failure).toMatchObject({ name: 'TypeError', code: 'ERR_INVALID_ARG_TYPE' });
      }
    }
    expect(uWS.getInteger('key', name)).toBe(5);
  });

  test('getIntegerKeys and deleteIntegerCollection: one collection, without strings', () => {
    const name = collection();
    for (const key of ['x', 'y']) uWS.incInteger(key, 1, name);
    uWS.setString('string', 's', name);
    expect(uWS.getIntegerKeys(name).sort()).toEqual(['x', 'y']);
    expect(uWS.deleteIntegerCollection(name)).toBeUndefined();
    expect([uWS.getIntegerKeys(name), uWS.getString('string', name)]).toEqual([[], 's']);
  });
});

describe('threads', () => {
  test('share what they keep, and leave it behind when they end', async () => {
    const name = collection();
    const thread = new Thread();
    uWS.setString('here', 'from the main thread', name);
    expect(await thread.run(`uWS.getString('here', '${name}')`)).toBe('from the main thread');
    await thread.run(`uWS.setString('there', 'from a worker', '${name}')`);
    await thread.terminate();
    expect(uWS.getString('there', name)).toBe('from a worker');
  });

  test('incInteger: no change is lost between threads', async () => {
    const name = collection();
    const threads = Array.from({ length: 3 }, () => new Thread());
    const source = `for (let count = 0; count < 10000; count++) uWS.incInteger('key', 1, '${name}')`;
    await Promise.all(threads.map((thread) => thread.run(source)));
    expect(uWS.getInteger('key', name)).toBe(30_000);
  });

  test('lock: one thread at a time is in its section', async () => {
    const name = collection();
    const threads = Array.from({ length: 3 }, () => new Thread());
    const source = `
      for (let count = 0; count < 2000; count++) {
        uWS.lock();
        uWS.setInteger('key', uWS.getInteger('key', '${name}') + 1, '${name}');
        uWS.unlock();
      }`;
    await Promise.all(threads.map((thread) => thread.run(source)));
    expect(uWS.getInteger('key', name)).toBe(6000);
  });

  test('lock: single functions of other threads are not kept out', async () => {
    const name = collection();
    const thread = new Thread();
    uWS.lock();
    try {
      expect(await thread.run(`uWS.incInteger('key', 1, '${name}')`)).toBe(1);
    } finally {
      uWS.unlock();
    }
  });
});

describe('lock and unlock', () => {
  const free = async () => new Thread().run('uWS.lock(); uWS.unlock(); "free"');

  test('a second lock of the same thread is refused, and the section goes on', async () => {
    uWS.lock();
    expect(failureOf(() => uWS.lock())).toMatchObject({ name: 'Error', code: 'ERR_INVALID_STATE' });
    expect(uWS.unlock()).toBeUndefined();
    expect(await free()).toBe('free');
  });

  test('unlock without lock is refused, also while another thread is in its section', async () => {
    expect(failureOf(() => uWS.unlock())).toMatchObject({ name: 'Error', code: 'ERR_INVALID_STATE' });
    const thread = new Thread();
    await thread.run('uWS.lock()');
    expect(failureOf(() => uWS.unlock()).code).toBe('ERR_INVALID_STATE');
    await thread.run('uWS.unlock()');
    expect(await free()).toBe('free');
  });

  test('a thread that is terminated leaves its section', async () => {
    const thread = new Thread();
    await thread.run('uWS.lock()');
    await thread.terminate();
    expect(await free()).toBe('free');
  });

  test('a thread that is terminated in the middle of its section leaves it', async () => {
    const name = collection();
    const thread = new Thread();
    thread.begin(`uWS.lock(); uWS.setInteger('inside', 1, '${name}'); for (;;);`);
    while (uWS.getInteger('inside', name) === 0) await new Promise(setImmediate);
    await thread.terminate();
    expect(await free()).toBe('free');
  });

  test('a thread that exits or fails leaves its section', async () => {
    const fail = "setImmediate(() => { throw new Error('failed'); })";
    for (const [source, end] of [['process.exit(3)', 3], [fail, 'failed']]) {
      const thread = new Thread();
      const ended = thread.end();
      thread.begin(`uWS.lock(); ${source}`);
      expect(await ended).toBe(end);
      await thread.terminate();
      expect(await free()).toBe('free');
    }
  });

  test('a thread that is terminated while it waits for the lock does not keep it', async () => {
    const name = collection();
    const thread = new Thread();
    uWS.lock();
    thread.begin(`uWS.setInteger('there', 1, '${name}'); uWS.lock(); for (;;);`);
    while (uWS.getInteger('there', name) === 0) await new Promise(setImmediate);
    const ended = thread.terminate();
    uWS.unlock();
    await ended;
    expect(await free()).toBe('free');
  });

  test('a section that is never left does not stop other threads for ever', async () => {
    const [holder, other] = [new Thread(), new Thread()];
    await holder.run('uWS.lock()');
    await expect(other.run('uWS.lock()')).rejects.toMatchObject({ code: 'ERR_LOCK_TIMEOUT' });
    await expect(other.run('uWS.unlock()')).rejects.toMatchObject({ code: 'ERR_INVALID_STATE' });
    await holder.run('uWS.unlock()');
    expect(await other.run('uWS.lock(); uWS.unlock(); "free"')).toBe('free');
  });

  test('a process ends although it is in a section and a thread waits for it', async () => {
    const program = new Program(`
      const { Worker } = require('node:worker_threads');
      uWS.lock();
      const source = "const uWS = require('ferrows'); uWS.setInteger('there', 1, 'program'); uWS.lock(); for (;;);";
      new Worker(source, { eval: true });
      const look = () => uWS.getInteger('there', 'program') === 1 ? process.exit(7) : setImmediate(look);
      look();
    `);
    expect(await program.end()).toEqual({ code: 7, signal: null, stderr: '' });
  });
});
