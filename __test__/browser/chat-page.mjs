/** The chat page as its visitor uses it. Every `sees…` waits until it is so, or fails with what was seen instead. */

import assert from 'node:assert/strict';

export class ChatPage {
  /** Hosts this page asked for anything, and errors it reported. */
  hosts = new Set();
  errors = [];

  constructor(page) {
    this.page = page;
    page.on('request', (request) => this.hosts.add(new URL(request.url()).host));
    page.on('pageerror', (error) => this.errors.push(error.message));
    page.on('console', (message) => {
      // The browser itself reports an attempt to connect while the server is away; that one is expected.
      const isAbsence = /WebSocket connection to .* failed/.test(message.text());
      if (message.type() === 'error' && !isAbsence) this.errors.push(message.text());
    });
  }

  async open(url) {
    await this.page.goto(url);
  }

  async join(nickname, room) {
    await this.page.fill('#nickname', nickname);
    await this.page.fill('#room', room);
    await this.page.press('#nickname', 'Enter');
  }

  async say(text) {
    await this.page.fill('#text', text);
    await this.page.press('#text', 'Enter');
  }

  async leave() {
    await this.page.click('#leave');
    await this.page.waitForSelector('#join', { state: 'visible' });
  }

  /** Waits until the element is visible and contains the text. */
  async sees(selector, text) {
    await this.#until(
      ({ selector: wanted, text: words }) => {
        const node = document.querySelector(wanted);
        return node !== null && node.checkVisibility() && node.textContent.replace(/\s+/g, ' ').includes(words);
      },
      { selector, text },
    );
  }

  async seesInLog(text) {
    await this.sees('#log', text);
  }

  /** Waits until the online list is exactly this one. */
  async seesPeople(people) {
    await this.#until(
      ({ people: wanted }) => {
        const items = [...document.querySelectorAll('#people li')].map((item) => item.textContent);
        return JSON.stringify(items) === JSON.stringify(wanted);
      },
      { people },
    );
  }

  log() {
    return this.page.textContent('#log');
  }

  async #until(condition, wanted) {
    try {
      await this.page.waitForFunction(condition, wanted);
    } catch (error) {
      const seen = this.page.isClosed() ? '(closed)' : await this.page.innerText('body');
      assert.fail(`${error.message.split('\n')[0]}: waited for ${JSON.stringify(wanted)}, the page shows:\n${seen}`);
    }
  }
}
