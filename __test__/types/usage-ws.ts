// Programs that are written for `ws` and its types compile against `ferrows/ws`.

import { createServer, IncomingMessage } from 'node:http';
import { Duplex } from 'node:stream';

import WebSocket = require('ferrows/ws');
import { createWebSocketStream, RawData, Server, WebSocketServer } from 'ferrows/ws';

interface Client extends WebSocket {
  isAlive?: boolean;
}

class Session extends WebSocket {
  user = 'nobody';
}

const server = createServer();
const wss = new WebSocketServer({ noServer: true, perMessageDeflate: { threshold: 10, serverMaxWindowBits: 10 }, topics: true });
const older: WebSocket.Server = new Server({ server, verifyClient: ({ origin, req, secure }, done) => done(secure && origin === req.url, 401, 'no') });
const own = new WebSocketServer({ port: 0, WebSocket: Session, handleProtocols: (protocols) => (protocols.has('chat') ? 'chat' : false) });

wss.on('connection', (client: Client, request: IncomingMessage) => {
  client.isAlive = true;
  client.on('message', (data: RawData, isBinary: boolean) => {
    for (const other of wss.clients) {
      if (other !== client && other.readyState === WebSocket.OPEN) other.send(data, { binary: isBinary, compress: false }, (error) => error?.message);
    }
  });
  client.on('pong', function heartbeat(this: Client) { this.isAlive = true; });
  client.on('close', (code: number, reason: Buffer) => [code, reason.toString(), client.closeInfo?.initiator, request.url]);
  client.on('error', (error) => error.message);
  client.subscribe('news');
  client.ping('x', false, () => {});
  client.close(1000, 'bye');
});
wss.on('headers', (headers, request) => { headers.push(`X-Path: ${request.url}`); });
wss.on('wsClientError', (error, socket: Duplex) => { socket.end(error.message); });
const isHeard: boolean = wss.publish('news', 'hello', { binary: false });
server.on('upgrade', (request, socket, head) => {
  wss.handleUpgrade(request, socket, head, (client) => wss.emit('connection', client, request));
});
own.on('connection', (session) => session.user.toUpperCase());

const ws = new WebSocket('ws://localhost', ['a', 'b'], { headers: { cookie: 'a=b' }, handshakeTimeout: 100, rejectUnauthorized: false });
const other = new WebSocket(new URL('wss://localhost'), { perMessageDeflate: false, maxPayload: 1 });
ws.binaryType = 'arraybuffer';
ws.onmessage = ({ data, target, type }) => [data, target.url, type];
ws.addEventListener('close', ({ code, reason, wasClean }) => [code, reason, wasClean], { once: true });
ws.on('unexpected-response', (request, response) => [request.path, response.statusCode]);
ws.once('upgrade', (response) => response.headers['set-cookie']);
ws.on('redirect', (url, request) => [url.length, request.removeHeader('cookie')]);
ws.send([1, 2, 3]);
ws.send(new Uint8Array(1));
ws.send('text', (error) => error);
const stream: Duplex = createWebSocketStream(ws, { encoding: 'utf8' });
stream.pipe(stream);
const states: number[] = [ws.OPEN, WebSocket.CLOSED, other.readyState];
// @ts-expect-error: the state is not for programs to set
ws.readyState = 1;
// @ts-expect-error: a symbol cannot be sent
ws.send(Symbol('no'));

export { isHeard, older, states };
