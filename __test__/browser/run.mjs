/**
 * The examples with a page and that of `app.inspect` in a real browser, `ferrows/browser`, and compression: `npm run
 * test:browser`. Needs Debian's `chromium` or the path of one in CHROMIUM. The tests are one story and run in order; a screenshot of a failing one is left in `reports/`.
 */

import assert from 'node:assert/strict';
import { existsSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { chromium } from 'playwright-core';
import { ChatPage } from './chat-page.mjs';
import { serveEcho } from '../interop/echo-server.mjs';
import { exchange } from '../interop/exchange.mjs';
import { handshake, request, textFrame } from './raw.mjs';
import { ChatServer } from './server.mjs';
import { visitExamples } from './example-pages.mjs';
import { visitInspector } from './inspect-page.mjs';
import { findHttp3, visitOverHttp2, visitOverHttp3 } from './http2.mjs';
import { visitOverTls } from './tls.mjs';

/** For one condition, and for the whole run, in milliseconds. */
const CONDITION_TIMEOUT = 15_000;
const RUN_TIMEOUT = 240_000;

const REPORTS = fileURLToPath(new URL('../../reports/', import.meta.url));
const FLAGS = [
  '--headless',
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
];

/** A browser of its own, with further flags. */
function launchWithQuic(flags) {
  const allowed = FLAGS.filter((flag) => flag !== '--disable-quic');
  return chromium.launch({ executablePath: browserPath(), args: [...allowed, ...flags] });
}

/** The markup a hostile visitor would type. Every part of it would set `window.harmed` if it were taken for markup. */
const HOSTILE = '<img src=x onerror="window.harmed=1"><script>window.harmed=1</script>';

/** What the story has so far: the server, the browser and its pages. */
const stage = { server: null, context: null, anna: null, ben: null, echo: serveEcho(), echoPage: null };

const tests = {
  async 'the files of the page have their content types, and there are no others'() {
    const expected = {
      '/': 'text/html; charset=utf-8',
      '/style.css': 'text/css; charset=utf-8',
      '/client.js': 'text/javascript; charset=utf-8',
      '/icon.svg': 'image/svg+xml',
    };
    for (const [path, type] of Object.entries(expected)) {
      const response = await fetch(new URL(path, stage.server.url));
      assert.equal(response.status, 200, path);
      assert.equal(response.headers.get('content-type'), type, path);
      assert.ok((await response.text()).length > 0, path);
    }
    // `fetch` would tidy these paths up before sending them.
    for (const path of ['/../server.js', '/%2e%2e/server.js', '/public/../../server.js', '//etc/passwd']) {
      const { port } = stage.server;
      const { head, socket } = await request(port, [`GET ${path} HTTP/1.1`, `Host: localhost:${port}`]);
      socket.destroy();
      assert.match(head, /^HTTP\/1\.1 404 /, path);
    }
  },

  async 'a page of another origin may not connect'() {
    const { port } = stage.server;
    const { head, socket } = await request(port, handshake(port, '/chat', ['Origin: http://evil.example']));
    socket.destroy();
    assert.match(head, /^HTTP\/1\.1 403 /);
  },

  async 'join: the room, the state and the own nickname are shown'() {
    await stage.anna.open(stage.server.url);
    await stage.anna.join('anna', 'lobby');
    await stage.anna.sees('#room-name', '#lobby');
    await stage.anna.sees('#state-text', 'Connected');
    await stage.anna.seesPeople(['anna (you)']);
  },

  async 'a nickname that is taken is refused, whatever its case, and another can be chosen'() {
    await stage.ben.open(stage.server.url);
    await stage.ben.join('ANNA', 'lobby');
    await stage.ben.sees('#nickname-error', 'ANNA is taken in this room');
    await stage.ben.join('ben', 'lobby');
    await stage.ben.sees('#room-name', '#lobby');
  },

  async 'a nickname with illegal characters is refused'() {
    await stage.carl.open(stage.server.url);
    await stage.carl.join('<b>carl</b>', 'lobby');
    await stage.carl.sees('#nickname-error', 'A nickname is 2 to 20 letters or digits');
    await stage.carl.page.close();
  },

  async 'the online list follows who comes'() {
    await stage.anna.seesInLog('ben joined');
    await stage.anna.seesPeople(['anna (you)', 'ben']);
    await stage.ben.seesPeople(['anna', 'ben (you)']);
    await stage.anna.sees('#headcount', '2 people');
  },

  async 'what one says is seen by the other and by its author'() {
    await stage.anna.say('Hello, Ben!');
    await stage.ben.seesInLog('Hello, Ben!');
    await stage.anna.seesInLog('Hello, Ben!');
  },

  async 'markup in a message is shown as text'() {
    await stage.anna.say(HOSTILE);
    await stage.ben.seesInLog(HOSTILE);
    for (const { page } of [stage.anna, stage.ben]) {
      assert.equal(await page.locator('#log img, #log script').count(), 0);
      assert.equal(await page.evaluate('window.harmed'), undefined);
    }
  },

  async 'who leaves is seen to leave, with code, reason and cause'() {
    await stage.ben.leave();
    await stage.anna.seesInLog('ben left: 1000 left the room (CLOSED_BY_PEER)');
    await stage.anna.seesPeople(['anna (you)']);
    await stage.server.line(/ben left: 1000 left the room \(CLOSED_BY_PEER\), by peer/);
  },

  async 'rooms are separate'() {
    await stage.ben.join('ben', 'attic');
    await stage.ben.say('said in the attic');
    await stage.ben.seesInLog('said in the attic');
    await stage.anna.say('said in the lobby');
    await stage.ben.leave();
    await stage.ben.join('ben', 'lobby');
    await stage.ben.say('back in the lobby');
    // Messages arrive in order: had the attic been audible, it would stand before this one.
    await stage.anna.seesInLog('back in the lobby');
    assert.doesNotMatch(await stage.anna.log(), /said in the attic/);
    assert.doesNotMatch(await stage.ben.log(), /said in the attic/);
    await stage.ben.seesInLog('said in the lobby');
  },

  async 'a connection that ends without a word is reported as such'() {
    const socket = await joinByHand('carl', '0'.repeat(32));
    socket.end();
    await stage.anna.seesInLog('carl left: 1006 Received TCP FIN before WebSocket close frame (ERR_FIN_WITHOUT_CLOSE)');
    await stage.anna.sees('#departures li:first-child', 'ERR_FIN_WITHOUT_CLOSE by transport, not clean');
    await stage.server.line(/carl left: 1006 Received TCP FIN before WebSocket close frame \(ERR_FIN_WITHOUT_CLOSE\)/);
  },

  async 'who comes back before the server has noticed the loss gets the nickname back'() {
    const session = '1'.repeat(32);
    const lost = await joinByHand('dora', session);
    const found = await joinByHand('dora', session);
    await stage.anna.seesInLog('dora left: 4001 replaced by a newer connection of yours (CLOSED_BY_END)');
    await stage.anna.seesPeople(['anna (you)', 'ben', 'dora']);
    lost.destroy();
    found.end();
    await stage.anna.seesPeople(['anna (you)', 'ben']);
  },

  async 'the echo line repeats what it hears'() {
    await stage.anna.page.fill('#echo-text', 'anybody there?');
    await stage.anna.page.press('#echo-text', 'Enter');
    await stage.anna.sees('#echo-reply', '“anybody there?” came back in');
  },

  async 'too much for the echo line: 1009 for the browser, the broken limit for the server'() {
    await stage.anna.page.click('#echo-overflow');
    await stage.anna.sees('#echo-browser-saw', '1009 Received too big message');
    await stage.anna.sees('#echo-server-saw', '1006 Received too big message');
    await stage.anna.sees('#echo-server-saw', 'ERR_FRAME_TOO_BIG by peer, not clean');
  },

  async 'closing the echo line by hand: both sides saw the same code and reason'() {
    await stage.anna.page.click('#echo-close');
    await stage.anna.sees('#echo-browser-saw', '3999 closed by hand');
    await stage.anna.sees('#echo-server-saw', '3999 closed by hand');
    await stage.anna.sees('#echo-server-saw', 'CLOSED_BY_PEER by peer, clean');
  },

  async 'faults that no page can make: another client of the server makes them, and their causes lead to their texts'() {
    for (const [what, code, cause] of [['reset', '1006 Connection reset by peer', 'ERR_CONNECTION_RESET'], ['bad-frame', '1006 Received invalid WebSocket frame', 'ERR_FRAME_UNMASKED']]) {
      await stage.anna.page.click(`[data-demonstrate="${what}"]`);
      await stage.anna.sees('#echo-server-saw', code);
      await stage.anna.sees('#echo-browser-saw', 'another client did');
      const href = await stage.anna.page.locator('#echo-server-saw a', { hasText: cause }).getAttribute('href');
      assert.equal(href, `/_ferrows/docs/close-reasons#:~:text=${cause}`);
      const response = await fetch(new URL(href, stage.server.url));
      assert.deepEqual([response.status, (await response.text()).includes(cause)], [200, true]);
    }
  },

  async 'a server that restarts: the page comes back, and says what the code means'() {
    await stage.anna.page.click('[data-demonstrate="restart"]');
    await stage.anna.sees('#browser-saw', '1012 server restarts, for you alone');
    await stage.anna.seesInLog('Connected again.');
    await stage.anna.sees('#server-saw', '1012 server restarts, for you alone');
    await stage.anna.page.click('#own-end summary');
    await stage.anna.sees('#browser-saw details', 'The server restarts. Connect again after a pause.');
    await stage.anna.sees('#silence', 'silent for');
  },

  async 'silence: both sides are told for how long, and by whom it was ended'() {
    await stage.anna.page.click('#go-silent');
    await stage.anna.sees('#echo-reply', 'silent for');
    await stage.anna.sees('#echo-browser-saw', '1001 WebSocket timed out from inactivity');
    await stage.anna.sees('#echo-server-saw', 'ERR_IDLE_TIMEOUT by local, not clean, after 8 s of silence');
    await stage.anna.sees('#echo-browser-saw', 'after 8 s of silence');
  },

  async 'who talks too fast is shown the code and the reason, and does not reconnect'() {
    await stage.ben.page.evaluate(() => {
      for (let count = 0; count < 30; count += 1) {
        document.getElementById('text').value = `message ${count}`;
        document.getElementById('say').requestSubmit();
      }
    });
    await stage.ben.sees('#last-words', '4008 too many messages');
    await stage.ben.sees('#state-text', 'Stopped: too many messages');
    await stage.anna.seesInLog('ben left: 4008 too many messages');
    await stage.ben.join('ben', 'lobby');
    await stage.anna.seesPeople(['anna (you)', 'ben']);
  },

  async 'a server that restarts says so, ends by itself, and its visitors come back to their rooms'() {
    const { port } = stage.server;
    const ended = await stage.server.stop();
    assert.deepEqual(ended, { code: 0, signal: null });
    for (const visitor of [stage.anna, stage.ben]) {
      await visitor.sees('#browser-saw', '1001 server is restarting');
      await visitor.seesInLog('Connection ended: 1001 server is restarting');
    }

    stage.server = await ChatServer.start(port);
    for (const visitor of [stage.anna, stage.ben]) {
      await visitor.seesInLog('Connected again.');
      await visitor.sees('#state-text', 'Connected');
      await visitor.sees('#room-name', '#lobby');
    }
    await stage.anna.seesPeople(['anna (you)', 'ben']);
    await stage.ben.say('we are back');
    await stage.anna.seesInLog('we are back');
  },

  async 'a reloaded page is in its room again under its nickname'() {
    await stage.ben.page.reload();
    await stage.ben.seesPeople(['anna', 'ben (you)']);
    await stage.ben.seesInLog('we are back');
  },

  async 'a closed tab is seen as 1001'() {
    await stage.ben.page.close();
    await stage.anna.seesInLog('ben left: 1001 Peer closed without a reason');
    await stage.anna.sees('#departures li:first-child', 'CLOSED_BY_PEER by peer, clean');
  },

  async 'on a phone the page is not wider than the screen'() {
    await stage.anna.page.setViewportSize({ width: 390, height: 844 });
    const overflow = 'document.documentElement.scrollWidth - document.documentElement.clientWidth';
    assert.equal(await stage.anna.page.evaluate(overflow), 0);
    assert.ok(await stage.anna.page.locator('#text').isVisible());
  },

  async 'the pages of the examples, from their index'() {
    await visitExamples(stage.context);
  },

  async 'over TLS: a page, a request with a body, a WebSocket'() {
    await visitOverTls(stage.context);
  },

  async 'over HTTP/2: a page of a hundred files, twenty streams of events, WebSockets, on one connection'() {
    await visitOverHttp2(stage.context);
  },

  async 'over HTTP/3: the same page'() {
    await visitOverHttp3(launchWithQuic);
  },

  async 'by TCP first, and then over HTTP/3, because the response says so'() {
    await findHttp3(launchWithQuic);
  },

  async 'the page of app.inspect: numbers, connections, closes, documents, on every screen, by keyboard'() {
    await visitInspector(stage.context);
  },

  async 'the chat leads to the page of app.inspect'() {
    const { page } = stage.anna;
    assert.equal(await page.locator('#inspect').isVisible(), true);
    assert.equal(new URL(await page.locator('#inspect').getAttribute('href'), page.url()).pathname, '/_ferrows/');
    assert.equal((await fetch(new URL('/_ferrows/', stage.server.url))).status, 200);
  },

  async 'the page loaded nothing from elsewhere and reported no error'() {
    for (const visitor of [stage.anna, stage.ben]) {
      assert.deepEqual([...visitor.hosts], [`localhost:${stage.server.port}`]);
      assert.deepEqual(visitor.errors, []);
    }
  },
};

/** Every way to compress, in both directions, whole and in fragments. */
for (const [path, url] of stage.echo.urls) {
  tests[`compressed messages: ${path}`] = async () => {
    assert.match(await stage.echoPage.evaluate(exchange, url), /^permessage-deflate/);
  };
}

/** Joins the lobby over a bare socket; resolves to it when anna has seen that somebody joined. */
async function joinByHand(nickname, session) {
  const { port } = stage.server;
  const { head, socket } = await request(port, handshake(port, '/chat'));
  assert.match(head, /^HTTP\/1\.1 101 /);
  socket.write(textFrame(JSON.stringify({ type: 'join', room: 'lobby', nickname, session })));
  await stage.server.line(new RegExp(`${nickname} joined #lobby`));
  await stage.anna.seesInLog(`${nickname} joined`);
  return socket;
}

async function run() {
  const profile = mkdtempSync(join(tmpdir(), 'ferrows-browser-'));
  let passed = 0;
  let failed = 0;
  try {
    stage.server = await ChatServer.start();
    stage.context = await chromium.launchPersistentContext(profile, {
      executablePath: browserPath(),
      args: FLAGS,
      // The tests sign their certificates themselves.
      ignoreHTTPSErrors: true,
    });
    stage.context.setDefaultTimeout(CONDITION_TIMEOUT);
    for (const name of ['anna', 'ben', 'carl']) stage[name] = new ChatPage(await stage.context.newPage());
    stage.echoPage = await stage.context.newPage();

    for (const [title, test] of Object.entries(tests)) {
      try {
        await test();
        passed += 1;
        console.log(`ok     ${title}`);
      } catch (error) {
        failed += 1;
        console.log(`FAILED ${title}\n${error.stack}`);
        await photograph(failed);
      }
    }
  } finally {
    await stage.context?.close();
    stage.server?.kill();
    await stage.server?.exited;
    stage.echo.close();
    rmSync(profile, { recursive: true, force: true });
  }
  console.log(`${passed} passed, ${failed} failed`);
  return failed === 0;
}

/** Leaves a picture of every open page of the story in `reports/`. */
async function photograph(number) {
  mkdirSync(REPORTS, { recursive: true });
  for (const name of ['anna', 'ben', 'carl']) {
    const { page } = stage[name];
    if (page.isClosed()) continue;
    const path = join(REPORTS, `browser-failure-${number}-${name}.png`);
    await page.screenshot({ path }).catch((error) => console.log(`no screenshot of ${name}: ${error.message}`));
  }
}

function browserPath() {
  const path = process.env.CHROMIUM ?? '/usr/bin/chromium';
  if (!existsSync(path))
    throw new Error(`no browser at ${path}: install Debian's chromium, or name another in CHROMIUM`);
  return path;
}

const watchdog = setTimeout(() => {
  stage.server?.kill();
  console.log(`the run took longer than ${RUN_TIMEOUT / 1000} s\n0 passed, 1 failed`);
  process.exit(1);
}, RUN_TIMEOUT);

run()
  .catch((error) => {
    console.log(`${error.stack}\n0 passed, 1 failed`);
    return false;
  })
  .then((isGood) => {
    clearTimeout(watchdog);
    process.exitCode = isGood ? 0 : 1;
  });
