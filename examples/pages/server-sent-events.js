/** The page of examples/server-sent-events.js. */

import { addLine, byId, post, showState } from './show.js';

const source = new EventSource('/events');
showState('waiting', 'Connecting…');
source.onopen = () => showState('open', 'Listening');
source.onerror = () => {
  if (source.readyState === EventSource.CLOSED) showState('stopped', 'Refused by the server');
  else showState('waiting', 'Lost: the browser connects again');
};
source.onmessage = ({ data, lastEventId }) => addLine(byId('log'), `${lastEventId}: ${data}`);
source.addEventListener('missed', ({ data }) => addLine(byId('log'), `${data} events are gone for good`, 'bad'));

byId('publish').addEventListener('submit', async (event) => {
  event.preventDefault();
  try {
    byId('result').textContent = await post('/events', byId('text'));
  } catch (error) {
    byId('result').textContent = `Not published: ${error.message}`;
  }
});
