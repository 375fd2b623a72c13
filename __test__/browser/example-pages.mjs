/** The examples with a page, as their visitor uses them: from the index, on every screen. */

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

const INDEX = fileURLToPath(new URL('../../examples/index.js', import.meta.url));
const HOSTILE = '<img src=x onerror="window.harmed=1">';

/** Visits the index and all pages that it leads to. `photograph(page, name)`, if given, is called with each. */
export async function visitExamples(context, photograph = async () => {}) {
  const child = spawn(process.execPath, [INDEX], { env: { ...process.env, PORT: '0' }, stdio: ['ignore', 'pipe', 'inherit'] });
  try {
    const [url] = await once(createInterface(child.stdout), 'line');
    for (const [name, visit] of Object.entries(VISITS)) {
      const errors = [];
      const open = async () => {
        const page = await context.newPage();
        page.setDefaultTimeout(15_000);
        page.on('pageerror', ({ message }) => errors.push(message));
        // The browser itself reports the upload that is refused.
        page.on('console', (message) => { if (message.type() === 'error' && !/status of 413/.test(message.text())) errors.push(message.text()); });
        await page.goto(url);
        if (name !== 'index') await page.getByRole('link', { name, exact: true }).click();
        return page;
      };
      const pages = [await open(), await open()];
      try {
        await visit(...pages);
        await fitsScreens(pages[0]);
        await photograph(pages[0], name);
        assert.deepEqual(errors, []);
      } catch (error) {
        throw new Error(`${name}: ${error.message}; the page shows:\n${await pages[0].innerText('body')}`, { cause: error });
      } finally {
        for (const page of pages) await page.close();
      }
    }
  } finally {
    child.kill();
    await once(child, 'exit');
  }
}

const sees = (page, selector, hasText) => page.locator(selector, { hasText }).first().waitFor();

const VISITS = {
  async index(page) {
    await sees(page, 'td', 'one HTTP route');
    await sees(page, 'td code', 'node examples/hello.js');
    assert.equal(await page.locator('a').count(), 5);
  },

  async broadcast(page, other) {
    await sees(page, '#state', 'Connected');
    await sees(other, '#state', 'Connected');
    await sees(page, '#clock', ':');
    await page.getByLabel('Announcement', { exact: true }).fill(HOSTILE);
    await page.getByRole('button', { name: 'Announce' }).click();
    await sees(page, '#result', 'told 2');
    for (const one of [page, other]) {
      await sees(one, '#log li', HOSTILE);
      assert.equal(await one.evaluate('window.harmed'), undefined);
    }
  },

  async 'server-sent-events'(page, other) {
    await sees(page, '#state', 'Listening');
    await sees(other, '#state', 'Listening');
    await page.getByLabel('Event', { exact: true }).fill('first');
    await page.keyboard.press('Enter');
    await sees(page, '#result', '2 listening');
    await sees(other, '#log li', '1: first');
  },

  async 'pub-sub'(page, other) {
    for (const one of [page, other]) {
      await sees(one, '#state', 'Connected');
      await one.getByLabel('Topic', { exact: true }).fill('news');
      await one.getByRole('button', { name: 'Subscribe' }).click();
    }
    await sees(page, '#topics li', '2 listening');
    await page.getByLabel('Text').fill('hello');
    await page.getByRole('button', { name: 'Publish' }).click();
    await sees(other, '#log li', 'news: hello');
    await sees(page, '#log li', 'to news: hello');
    await other.getByRole('button', { name: 'Leave news' }).click();
    await sees(page, '#topics li', '1 listening');
    assert.equal(await other.locator('#topics li').count(), 0);
  },

  async upload(page) {
    const file = { name: 'a "strange" näme.txt', mimeType: 'text/plain', buffer: Buffer.from('hello') };
    await page.getByLabel('Files').setInputFiles([file, { ...file, name: 'other.bin', buffer: Buffer.alloc(100_000) }]);
    await page.getByRole('button', { name: 'Upload the form' }).click();
    await sees(page, '#log li', 'other.bin: 100000 bytes');
    await page.getByLabel('File', { exact: true }).setInputFiles({ ...file, buffer: Buffer.alloc(1_000_000) });
    await page.getByRole('button', { name: 'Upload the file' }).click();
    await sees(page, '#log li', '1000000 bytes');
    await page.getByLabel('Files').setInputFiles([{ ...file, buffer: Buffer.alloc(11 * 1024 * 1024) }]);
    await page.getByRole('button', { name: 'Upload the form' }).click();
    await sees(page, '#log li.bad', '');
    await sees(page, '#state', 'Failed');
  },

  async chat(page) {
    await page.getByLabel('Nickname').fill('anna');
    await page.getByRole('button', { name: 'Join' }).click();
    await sees(page, '#log', 'You joined #lobby as anna.');
    await sees(page, '#state-text', 'Connected');
  },
};

async function fitsScreens(page) {
  for (const width of [390, 768, 1400]) {
    await page.setViewportSize({ width, height: 844 });
    assert.equal(await page.evaluate('document.documentElement.scrollWidth - document.documentElement.clientWidth'), 0, `${width} px`);
  }
  const unnamed = await page.evaluate(`[...document.querySelectorAll('button, input, a')]
    .filter((node) => (node.labels?.[0]?.textContent ?? node.textContent).trim() === '').map((node) => node.outerHTML)`);
  assert.deepEqual(unnamed, []);
}
