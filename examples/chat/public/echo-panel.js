/** The echo line: opened when it is first needed, and not reopened until it is needed again. */

import { explain } from './browser.mjs';
import { showBrowserAccount, showServerAccount } from './view.js';

/** More than the 16 KiB the server accepts in one message. */
const TOO_MUCH = 20_000;

const byId = (id) => document.getElementById(id);

export class EchoPanel {
  #visitor = '';
  #socket = null;
  /** When each unanswered message was sent, oldest first. */
  #sentAt = [];
  /** When the socket opened, or heard something for the last time. */
  #heardAt = 0;

  /** `demonstrate(what)` asks the server to end a connection in a way that a page cannot; false without a connection. */
  constructor(demonstrate) {
    byId('echo').addEventListener('submit', (event) => {
      event.preventDefault();
      this.#send(byId('echo-text').value || byId('echo-text').placeholder);
    });
    byId('echo-overflow').addEventListener('click', () => this.#send('x'.repeat(TOO_MUCH)));
    byId('go-silent').addEventListener('click', () => this.#goSilent());
    for (const button of document.querySelectorAll('[data-demonstrate]')) {
      button.addEventListener('click', () => this.#demonstrate(button.dataset.demonstrate, demonstrate));
    }
    byId('echo-close').addEventListener('click', () =>
      this.#whenOpen((socket) => socket.close(3999, 'closed by hand')),
    );
  }

  /** The id under which the server reports, over the chat, how this echo line ended. */
  set visitor(visitor) {
    this.#visitor = visitor;
  }

  /** The server's report arrived. */
  ended(closing) {
    byId('echo-end').hidden = false;
    showServerAccount('echo-server-saw', closing);
  }

  /** A line on which neither side says a word, until the server has had enough. */
  #goSilent() {
    this.#socket?.close(1000, 'going silent');
    const socket = this.#connect('/silence');
    socket.addEventListener('open', () => {
      const tick = () => { byId('echo-reply').textContent = `silent for ${Math.round((performance.now() - this.#heardAt) / 1000)} s`; };
      tick();
      const timer = setInterval(tick, 1000);
      socket.addEventListener('close', () => clearInterval(timer));
    });
  }

  #demonstrate(what, demonstrate) {
    const isAsked = demonstrate(what);
    // The end of the chat's own connection is shown where that is.
    if (what === 'restart') return;
    byId('echo-end').hidden = false;
    byId('echo-browser-saw').textContent = isAsked ? 'Nothing: pages cannot do that, so another client did.' : 'There is no connection at the moment.';
    showServerAccount('echo-server-saw', 'not told yet');
  }

  #send(text) {
    this.#whenOpen((socket) => {
      this.#sentAt.push(performance.now());
      socket.send(text);
    });
  }

  #whenOpen(act) {
    const socket = this.#socket ?? this.#connect();
    if (socket.readyState === WebSocket.OPEN) act(socket);
    else socket.addEventListener('open', () => act(socket), { once: true });
  }

  #connect(path = '/echo') {
    const url = new URL(path, location.href.replace(/^http/, 'ws'));
    url.searchParams.set('visitor', this.#visitor);
    const socket = new WebSocket(url);
    this.#socket = socket;
    this.#heardAt = 0;
    this.#sentAt = [];
    socket.onopen = () => { this.#heardAt = performance.now(); };
    socket.onmessage = ({ data }) => {
      this.#heardAt = performance.now();
      const milliseconds = performance.now() - this.#sentAt.shift();
      byId('echo-reply').textContent = `“${data}” came back in ${milliseconds.toFixed(1)} ms`;
    };
    socket.onclose = ({ code, reason, wasClean }) => {
      // Another one may have taken its place.
      if (this.#socket !== socket) return;
      this.#socket = null;
      byId('echo-reply').textContent = '';
      byId('echo-end').hidden = false;
      const silentFor = this.#heardAt === 0 ? undefined : performance.now() - this.#heardAt;
      showBrowserAccount('echo-browser-saw', { code, reason, wasClean, silentFor, explanation: explain(code, reason) });
    };
    showServerAccount('echo-server-saw', 'not told yet');
    byId('echo-end').hidden = true;
    return socket;
  }
}
