/**
 * What a client with the browsers' `WebSocket` says to an echo server, and expects to hear: texts and bytes of lengths
 * around every border, one by one and then all at once, each twice because earlier messages may be referred to. Resolves
 * to the extensions that were agreed on. It runs inside a browser too, so it uses nothing from outside.
 */
export async function exchange(url) {
  const LENGTHS = [0, 1, 48, 49, 125, 126, 1000, 16_384, 16_385, 65_535, 65_536, 100_000];
  const WORDS = ['price', 'κόσμε', '😀', '"id":', '{"open":true},', 'x', ' '];
  let state = 1;
  const random = () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state >>> 16;
  };
  const text = (length) => {
    let words = '';
    while (words.length < length) words += WORDS[random() % WORDS.length] + (random() % 1000);
    // Not inside a character of two units.
    return words.slice(0, length).replace(/[\ud800-\udbff]$/, 'x');
  };
  const bytes = (length, variety) => Uint8Array.from({ length }, () => random() % variety);
  const messages = LENGTHS.flatMap((length) => [text(length), bytes(length, 256), bytes(length, 3)]);

  const socket = new WebSocket(url);
  socket.binaryType = 'arraybuffer';
  const heard = [];
  let wake = () => {};
  const tell = (event) => {
    heard.push(event);
    wake();
  };
  for (const type of ['open', 'message', 'close']) socket.addEventListener(type, tell);
  const next = async (type) => {
    while (heard.length === 0) await new Promise((resolve) => (wake = resolve));
    const event = heard.shift();
    if (event.type !== type) throw new Error(`${event.type} (${event.code} ${event.reason}) instead of ${type}`);
    return event.data;
  };
  const expectEcho = async (message) => {
    const echo = await next('message');
    const isSame =
      typeof message === 'string'
        ? echo === message
        : echo instanceof ArrayBuffer &&
          echo.byteLength === message.length &&
          new Uint8Array(echo).every((byte, index) => byte === message[index]);
    if (!isSame) throw new Error(`${typeof message} of ${message.length}: something else came back`);
  };

  await next('open');
  for (const message of messages) {
    socket.send(message);
    await expectEcho(message);
  }
  for (const message of messages) socket.send(message);
  for (const message of messages) await expectEcho(message);
  socket.close();
  await next('close');
  return socket.extensions;
}
