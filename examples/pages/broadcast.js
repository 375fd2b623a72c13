/** The page of examples/broadcast.js. */

import { addLine, byId, connect, post } from './show.js';

connect(() => {}, ({ kind, text }) => {
  if (kind === 'time') byId('clock').textContent = new Date(text).toLocaleTimeString();
  else addLine(byId('log'), text);
});

byId('announce').addEventListener('submit', async (event) => {
  event.preventDefault();
  try {
    byId('result').textContent = await post('/announcements', byId('text'));
  } catch (error) {
    byId('result').textContent = `Not announced: ${error.message}`;
  }
});
