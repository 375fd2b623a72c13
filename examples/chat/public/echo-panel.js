/** The echo line: opened when it is first needed, and not reopened until it is needed again. */

import { showBrowserAccount, showServerAccount } from './view.js';

/** More than the 16 KiB the server accepts in one message. */
const TOO_MUCH = 20_000;

const byId = (id) => document.getElementById(id);

export class EchoPanel {
  #visitor = '';
  #socket = null;
  /** When each unanswered message was sent, oldest first. */
  #sentAt = [];

  constructor() {
    byId('echo').addEventListener('submit', (event) => {
      event.preventDefault();
      this.#send(byId('echo-text').value || byId('echo-text').placeholder);
    });
    byId('echo-overflow').addEventListener('click', () => this.#send('x'.repeat(TOO_MUCH)));
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
    showServerAccount('echo-server-saw', closing);
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

  #connect() {
    const url = new URL('/echo', location.href.replace(/^http/, 'ws'));
    url.searchParams.set('visitor', this.#visitor);
    const socket = new WebSocket(url);
    this.#socket = socket;
    this.#sentAt = [];
    socket.onmessage = ({ data }) => {
      const milliseconds = performance.now() - this.#sentAt.shift();
      byId('echo-reply').textContent = `“${data}” came back in ${milliseconds.toFixed(1)} ms`;
    };
    socket.onclose = (end) => {
      this.#socket = null;
      byId('echo-reply').textContent = '';
      byId('echo-end').hidden = false;
      showBrowserAccount('echo-browser-saw', end);
    };
    showServerAccount('echo-server-saw', 'not told yet');
    byId('echo-end').hidden = true;
    return socket;
  }
}
