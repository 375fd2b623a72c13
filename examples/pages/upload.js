/** The page of examples/upload.js. */

import { addLine, byId, showState } from './show.js';

/** Sends a body and shows how far it is; `fetch` does not tell that. */
function upload(method, address, body, done) {
  const request = new XMLHttpRequest();
  const progress = byId('progress');
  progress.hidden = false;
  progress.value = 0;
  showState('waiting', 'Uploading…');
  request.open(method, address);
  request.upload.onprogress = ({ loaded, total }) => { progress.value = loaded / total; };
  request.onloadend = () => {
    progress.hidden = true;
    const isGood = request.status >= 200 && request.status < 300;
    showState(isGood ? 'open' : 'stopped', isGood ? 'Done' : 'Failed');
    // Without a status there was no answer: the server is away, or has cut the line.
    const text = request.status === 0 ? 'The connection was lost.' : request.responseText.trim();
    for (const line of text.split('\n')) addLine(byId('log'), isGood ? done(line) : `${request.status || ''} ${line}`.trim(), isGood ? '' : 'bad');
  };
  request.send(body);
}

byId('form').addEventListener('submit', (event) => {
  event.preventDefault();
  upload('POST', '/', new FormData(event.target), (line) => line);
});

byId('stream').addEventListener('submit', (event) => {
  event.preventDefault();
  const [file] = byId('file').files;
  upload('PUT', `/${encodeURIComponent(file.name)}`, file, (line) => `${file.name}: ${line}`);
});

showState('open', 'Ready');
