// The types of `ferrows/browser`. Checked by `npm run test:types`; never run.

import { explain, ReconnectingWebSocket, type ConnectionClose } from 'ferrows/browser';

const socket = new ReconnectingWebSocket('/chat', { maxAttempts: 5, probe: () => 'ping', probeTimeout: 1_000 });
new ReconnectingWebSocket(new URL('ws://localhost'), ['a', 'b'], { minDelay: 100 });
new ReconnectingWebSocket(async () => '/chat?token=1', 'chat');
new ReconnectingWebSocket('/chat', { shouldReconnect: ({ close }, usual) => usual || close?.code === 4001 });

socket.onopen = () => { if (!socket.send('hello')) console.log('not sent'); };
socket.onmessage = ({ data }) => console.log(JSON.parse(data));
socket.onclose = (close) => console.log(close satisfies ConnectionClose, close.explanation.advice satisfies string | undefined);
socket.onreconnecting = ({ attempt, delay }) => console.log(attempt + delay);
socket.addEventListener('gaveup', ({ reason, close, error }) => console.log(reason satisfies 'maxAttempts' | 'shouldReconnect', close?.code, error));
socket.binaryType = 'arraybuffer';
socket.silentFor satisfies number | undefined;
socket.close(1000, 'done');
socket.connect();
explain(1006).name satisfies string | undefined;

// @ts-expect-error a url is needed
new ReconnectingWebSocket();
// @ts-expect-error no such option
new ReconnectingWebSocket('/chat', { retries: 5 });
// @ts-expect-error no such event
socket.addEventListener('end', () => {});
