'use strict';

/**
 * Topics; open the printed address to try them. Clients send JSON: `{"subscribe":"news"}`, `{"unsubscribe":"news"}`, or
 * `{"publish":"news","text":"…"}`, which reaches all other subscribers. Subscribers also get their number, whenever it changes.
 */

const uWS = require('../index.js');
const { servePage } = require('./pages/serve.js');

const port = Number(process.env.PORT ?? 9001);

/** Topics of one client. */
const MOST_TOPICS = 20;

/** What a client says, or `undefined` if that is none of the three. */
function parse(message) {
  try {
    const { subscribe, unsubscribe, publish, text } = JSON.parse(message);
    const [topic, ...others] = [subscribe, unsubscribe, publish].filter((name) => name !== undefined);
    const isValid = typeof topic === 'string' && /^[\w/-]{1,50}$/.test(topic) && others.length === 0;
    return isValid && (publish === undefined || typeof text === 'string') ? { subscribe, unsubscribe, publish, text } : undefined;
  } catch {
    return undefined;
  }
}

const app = uWS.App();
servePage(app, 'pub-sub');

app
  .ws('/*', {
    text: 'string',

    message(ws, message, isBinary) {
      const request = isBinary ? undefined : parse(message);
      if (request === undefined) return ws.end(1008, 'not understood');
      const { subscribe, unsubscribe, publish, text } = request;
      if (publish !== undefined) return void ws.publish(publish, JSON.stringify({ topic: publish, text }));
      if (unsubscribe !== undefined) return void ws.unsubscribe(unsubscribe);
      if (ws.getTopics().length >= MOST_TOPICS) return ws.end(1008, 'too many topics');
      return void ws.subscribe(subscribe);
    },

    // Runs for whatever changes the number: `subscribe`, `unsubscribe`, and the end of a WebSocket.
    subscription(ws, topic, subscribers) {
      const name = Buffer.from(topic).toString();
      app.publish(name, JSON.stringify({ topic: name, subscribers }));
    },

    // Somebody reads slower than the others write. Better no news than old news; the others do not notice.
    dropped: (ws) => console.log(`a message did not reach ${Buffer.from(ws.getRemoteAddressAsText())}`),
  })
  .listen(port, (token, error) => {
    if (!token) throw error;
    console.log(`http://localhost:${uWS.us_socket_local_port(token)}`);
  });
