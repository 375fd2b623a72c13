// The WebSocket to the server: opened again when it is lost, with growing pauses that are partly random.

const MIN_PAUSE = 500;
const MAX_PAUSE = 15_000;

export class Live {
  /** Called with each message, and with the state: `'connecting'`, `'live'`, `'lost'`, `'refused'`. */
  onMessage = () => {};
  onState = () => {};

  #socket;
  #failures = 0;

  connect() {
    this.onState('connecting');
    this.#open().catch((error) => this.#retry(error.message));
  }

  send(message) {
    if (this.#socket?.readyState === WebSocket.OPEN) this.#socket.send(JSON.stringify(message));
  }

  async #open() {
    // A page of another site could open the WebSocket, too, but not read this.
    const response = await fetch('ticket', { method: 'POST', cache: 'no-store' });
    if (!response.ok) {
      this.onState('refused', (await response.text()).trim());
      if (response.status < 500) return;
      throw new Error('refused');
    }
    const { ticket } = await response.json();
    const url = new URL('live', location.href);
    url.protocol = url.protocol.replace('http', 'ws');
    url.searchParams.set('ticket', ticket);
    const socket = new WebSocket(url);
    this.#socket = socket;
    socket.onopen = () => {
      this.#failures = 0;
      this.onState('live');
    };
    socket.onmessage = ({ data }) => this.onMessage(JSON.parse(data));
    socket.onclose = ({ code, reason }) => this.#retry(reason === '' ? `closed with ${code}` : `${code} ${reason}`);
  }

  #retry(reason) {
    const pause = Math.min(MAX_PAUSE, MIN_PAUSE * 2 ** this.#failures++) * (0.5 + Math.random() / 2);
    this.onState('lost', reason);
    setTimeout(() => this.connect(), pause);
  }
}
