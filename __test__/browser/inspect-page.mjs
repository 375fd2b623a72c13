/** The page of `app.inspect` as its visitor uses it, on a server of its own. */

import assert from 'node:assert/strict';
import { once } from 'node:events';

import WebSocket from 'ws';

import uWS from '../../index.mjs';

const TIMEOUT = 15_000;

/** The contrast that WCAG 2.2 wants of text, at least. */
const CONTRAST = 4.5;

/** In the page: the colours of texts that stand on a background, with their contrast. */
const CONTRASTS = `(() => {
  const parse = (text) => text.match(/[\\d.]+/g).map(Number);
  const luminance = ([r, g, b]) => [r, g, b].map((value) => value / 255)
    .map((value) => (value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4))
    .reduce((sum, value, index) => sum + value * [0.2126, 0.7152, 0.0722][index], 0);
  const background = (node) => {
    for (let at = node; at !== null; at = at.parentElement) {
      const color = parse(getComputedStyle(at).backgroundColor);
      if (color.length === 3 || color[3] > 0) return color;
    }
    return [255, 255, 255];
  };
  return [...document.querySelectorAll('h1, h2, p, a, button, figcaption, li, th, td, label, input')].filter((node) => node.checkVisibility())
    .filter((node) => !node.disabled && !node.matches('.skip') && [...node.childNodes].some(({ nodeType, data }) => nodeType === 3 && data.trim() !== ''))
    .map((node) => {
      const [one, other] = [parse(getComputedStyle(node).color), background(node)].map(luminance).sort((a, b) => b - a);
      return [node.textContent.trim().slice(0, 30), (one + 0.05) / (other + 0.05)];
    });
})()`;

/** Visits the page. */
export async function visitInspector(context) {
  const visit = new Visit();
  try {
    await visit.start(context);
    for (const step of [
      'seesNumbers', 'seesConnections', 'sortsByKeyboard', 'searches', 'seesCloses', 'pauses', 'readsDocuments', 'fitsScreens',
      'isNamedForScreenReaders', 'comesBack',
    ]) {
      try {
        await visit[step]();
      } catch (error) {
        throw new Error(`${step}: ${error.message}; the page shows:\n${await visit.page.innerText('body')}`, { cause: error });
      }
    }
    assert.deepEqual(visit.elsewhere, []);
    assert.deepEqual(visit.errors, []);
  } finally {
    await visit.end();
  }
}

class Visit {
  elsewhere = [];
  errors = [];
  #clients = [];

  async start(context) {
    await this.#serve(0);
    this.page = await context.newPage();
    this.page.setDefaultTimeout(TIMEOUT);
    this.page.on('request', (request) => {
      const { host } = new URL(request.url());
      if (host !== `localhost:${this.port}`) this.elsewhere.push(request.url());
    });
    this.page.on('pageerror', (error) => this.errors.push(error.message));
    this.page.on('console', (message) => {
      // The browser itself reports that the server is away, which it is once.
      if (message.type() === 'error' && !/ERR_CONNECTION_REFUSED|WebSocket connection to/.test(message.text())) this.errors.push(message.text());
    });
    await this.page.goto(`http://localhost:${this.port}/_ferrows`);
    assert.equal(new URL(this.page.url()).pathname, '/_ferrows/');
  }

  async #serve(port) {
    this.app = uWS.App({ threads: 1 })
      .ws('/chat/*', { message: (ws, message, isBinary) => ws.send(message, isBinary) })
      .ws('/odd/:<b>name', {})
      .inspect('/_ferrows');
    this.port = uWS.us_socket_local_port(await this.app.listen(port));
  }

  async end() {
    await this.page?.close();
    for (const client of this.#clients) client.terminate();
    this.app.close();
  }

  async #connect(path) {
    const client = new WebSocket(`ws://localhost:${this.port}${path}`);
    this.#clients.push(client);
    client.on('error', () => {});
    await once(client, 'open');
    return client;
  }

  sees(selector, text) {
    return this.page.locator(selector, { hasText: text }).first().waitFor();
  }

  /** Waits until there are so many rows. */
  async hasRows(table, count) {
    await this.page.waitForFunction(([id, wanted]) => document.querySelectorAll(`${id} tbody tr`).length === wanted, [table, count]);
  }

  async seesNumbers() {
    await this.sees('#state-text', 'Live');
    await this.sees('#about', `process ${process.pid}, up for`);
    await this.sees('#chart-connections .legend', 'WebSockets 1');
    await this.sees('#patterns', 'None: no cause repeats');
    await this.sees('#chart-cpu .legend', 'event loop');
  }

  async seesConnections() {
    for (const path of ['/chat/a', '/chat/b', '/odd/one']) await this.#connect(path);
    this.#clients[0].send('hello');
    await once(this.#clients[0], 'message');
    await this.hasRows('#connections', 4);
    await this.sees('#count', '4 WebSockets');
    await this.sees('#range', '1 to 4 of 4');
    // Names of routes are texts, not markup.
    await this.sees('#connections td', '/odd/:<b>name');
    assert.equal(await this.page.locator('#connections b').count(), 0);
  }

  async sortsByKeyboard() {
    const heading = this.page.getByRole('columnheader', { name: 'Messages in' });
    await heading.getByRole('button').focus();
    await this.page.keyboard.press('Enter');
    assert.equal(await heading.getAttribute('aria-sort'), 'descending');
    await this.#isSorted(9, -1);
    await this.page.keyboard.press('Space');
    assert.equal(await heading.getAttribute('aria-sort'), 'ascending');
    await this.#isSorted(9, 1);
  }

  /** Waits until the numbers of a column rise (1) or fall (-1). */
  async #isSorted(column, direction) {
    await this.page.waitForFunction(([at, sign]) => {
      const numbers = [...document.querySelectorAll('#connections tbody tr')].map(({ cells }) => Number(cells[at].textContent));
      return new Set(numbers).size > 1 && numbers.every((number, index) => index === 0 || sign * (number - numbers[index - 1]) >= 0);
    }, [column, direction]);
  }

  async searches() {
    await this.page.getByRole('searchbox', { name: 'Search address and route' }).fill('CHAT');
    await this.hasRows('#connections', 2);
    await this.sees('#count', '2 of 4 WebSockets');
    await this.page.getByRole('searchbox').fill('nothing of the kind');
    await this.hasRows('#connections', 0);
    await this.sees('#range', 'none');
    await this.page.getByRole('searchbox').fill('');
    await this.hasRows('#connections', 4);
  }

  async seesCloses() {
    this.#clients[1].close(4001, '<img src=x onerror="window.harmed=1">');
    this.#clients[2].terminate();
    await this.hasRows('#closes', 2);
    await this.sees('#closes td.reason', '<img src=x');
    await this.sees('#closes .by-transport', 'ERR_FIN_WITHOUT_CLOSE');
    await this.sees('#closes .by-peer', 'CLOSED_BY_PEER');
    await this.sees('#chart-causes', 'ERR_FIN_WITHOUT_CLOSE');
    // Cut, others, and those that were not silent.
    await this.page.waitForFunction(() => {
      const numbers = [...document.querySelectorAll('#chart-silence li')].map(({ textContent }) => Number(textContent.match(/(\d+)(?:,|$)/)[1]));
      return numbers.length === 3 && numbers.reduce((sum, number) => sum + number, 0) === 2;
    });
    assert.equal(await this.page.evaluate('window.harmed'), undefined);
  }

  async pauses() {
    const button = this.page.getByRole('button', { name: 'Pause' });
    await button.click();
    assert.equal(await button.getAttribute('aria-pressed'), 'true');
    await this.sees('#state-text', 'Paused');
    await button.click();
    await this.sees('#state-text', 'Live');
  }

  async readsDocuments() {
    await this.page.locator('#closes a', { hasText: 'ERR_FIN_WITHOUT_CLOSE' }).first().click();
    await this.sees('h1', 'Why did this connection end?');
    await this.sees('td', 'Received TCP FIN before WebSocket close frame');
    await this.page.getByRole('link', { name: 'load-balancers' }).first().click();
    await this.sees('h1', 'Behind load balancers and proxies');
    await this.page.getByRole('link', { name: 'Inspector' }).click();
    await this.sees('#state-text', 'Live');
  }

  async fitsScreens() {
    const colors = new Set();
    for (const colorScheme of ['light', 'dark']) {
      await this.page.emulateMedia({ colorScheme });
      for (const width of [390, 768, 1400, 2200]) {
        await this.page.setViewportSize({ width, height: 844 });
        const overflow = await this.page.evaluate('document.documentElement.scrollWidth - document.documentElement.clientWidth');
        assert.equal(overflow, 0, `${width} px`);
      }
      const weak = (await this.page.evaluate(CONTRASTS)).filter(([, contrast]) => contrast < CONTRAST);
      assert.deepEqual(weak, [], colorScheme);
      colors.add(await this.page.evaluate('getComputedStyle(document.body).backgroundColor'));
    }
    assert.equal(colors.size, 2);
    await this.page.setViewportSize({ width: 1280, height: 900 });
  }

  async isNamedForScreenReaders() {
    const unnamed = await this.page.evaluate(`[...document.querySelectorAll('button, input, a')]
      .filter((node) => (node.labels?.[0]?.textContent ?? node.textContent).trim() === '').map((node) => node.outerHTML)`);
    assert.deepEqual(unnamed, []);
    for (const name of ['Patterns', 'Numbers', 'Connections', 'Closes']) {
      assert.equal(await this.page.getByRole('heading', { level: 2, name, exact: true }).count(), 1, name);
    }
    // What the pictures show stands beside them as text.
    await this.sees('#chart-bytes .legend', 'received');
    for (const figure of await this.page.locator('figure').all()) {
      assert.equal(await figure.locator('svg:not([aria-hidden="true"])').count(), 0);
      assert.notEqual((await figure.locator('ul, ol').first().innerText()).trim(), '');
    }
    // Regions that scroll can be reached by keyboard.
    assert.equal(await this.page.locator('.scroll:not([tabindex="0"])').count(), 0);
  }

  async comesBack() {
    this.app.close();
    await this.sees('#state-text', 'Connection lost');
    await this.#serve(this.port);
    await this.sees('#state-text', 'Live');
    await this.hasRows('#connections', 1);
  }
}
