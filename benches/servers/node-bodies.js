'use strict';

// The same on node:http or node:https.

const { obey } = require('./control.js');
const { CONTENT, PIECE } = require('./content.js');
const { createServer } = require('./secure.js');

function count(request, response) {
  let length = 0;
  request.on('data', (chunk) => {
    length += chunk.length;
  });
  request.on('end', () => response.end(String(length)));
}

function stream(response) {
  let offset = 0;
  response.writeHead(200, { 'Content-Length': CONTENT.length });
  const send = () => {
    while (offset < CONTENT.length) {
      const goesOn = response.write(CONTENT.subarray(offset, offset + PIECE));
      offset += PIECE;
      if (!goesOn) return;
    }
    response.end();
  };
  response.on('drain', send);
  send();
}

const server = createServer((request, response) => {
  if (request.method === 'POST') count(request, response);
  else if (request.url === '/stream') stream(response);
  else response.end('Hello World!');
});
server.listen(0, '127.0.0.1', () => obey(server.address().port));
