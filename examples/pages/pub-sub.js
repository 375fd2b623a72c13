/** The page of examples/pub-sub.js. */

import { addLine, byId, connect, element } from './show.js';

/** Subscribers by topic: what this page wants to hear, whatever becomes of its connection. */
const topics = new Map();

const socket = connect(
  // The server knows nothing of an earlier connection.
  () => topics.forEach((_, topic) => send({ subscribe: topic })),
  ({ topic, text, subscribers }) => {
    if (text !== undefined) addLine(byId('log'), `${topic}: ${text}`);
    else if (topics.has(topic)) topics.set(topic, subscribers);
    showTopics();
  },
);

function send(request) {
  const isSent = socket.send(JSON.stringify(request));
  if (!isSent) addLine(byId('log'), 'Not sent: there is no connection at the moment.', 'bad');
  return isSent;
}

function showTopics() {
  byId('topics').replaceChildren(...Array.from(topics, ([topic, subscribers]) => {
    const button = element('button', { type: 'button', className: 'plain' }, `Leave ${topic}`);
    button.addEventListener('click', () => {
      topics.delete(topic);
      send({ unsubscribe: topic });
      showTopics();
    });
    return element('li', {}, element('strong', {}, topic), element('span', { className: 'number' }, `${subscribers} listening`), button);
  }));
}

byId('subscribe').addEventListener('submit', (event) => {
  event.preventDefault();
  const topic = byId('topic').value;
  if (topics.has(topic)) return;
  topics.set(topic, 0);
  send({ subscribe: topic });
  showTopics();
});

byId('publish').addEventListener('submit', (event) => {
  event.preventDefault();
  if (!send({ publish: byId('to').value, text: byId('text').value })) return;
  addLine(byId('log'), `to ${byId('to').value}: ${byId('text').value}`);
  byId('text').value = '';
});
