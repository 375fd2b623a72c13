'use strict';

// ultimate-express with its option `http3`: the same app over HTTP/3 alone.

const assert = require('node:assert/strict');

const { afterTest, test } = require('../helpers/project.js');
const { certificate } = require('../../__test__/helpers/certificates.js');
const { Http3Client, hasAioquic } = require('../../__test__/helpers/http3.js');

const { key_file_name, cert_file_name } = certificate();

test('ultimate-express over HTTP/3: requests, bodies, streams of files and errors', async () => {
  const express = require('ultimate-express');
  const app = express({ http3: true, uwsOptions: { key_file_name, cert_file_name } });
  app.use(express.json());
  app.get('/', (req, res) => res.send(`${req.protocol} ${req.secure}`));
  app.post('/json/:name', (req, res) => res.status(201).json({ name: req.params.name, body: req.body }));
  app.get('/file', (req, res) => res.sendFile(__filename));
  app.get('/fault', () => {
    throw new Error('broken');
  });
  app.use((error, req, res, next) => {
    void next;
    res.status(500).send(error.message);
  });
  await new Promise((resolve) => {
    app.listen(0, '127.0.0.1', resolve);
  });
  afterTest(() => app.uwsApp.close());
  const client = await Http3Client.connect(app.port);
  const { status, text, headers } = await client.request('/');
  assert.deepEqual([status, text, headers['x-powered-by']], [200, 'https true', 'UltimateExpress']);
  const posted = await client.request({ ':path': '/json/a', 'content-type': 'application/json' }, JSON.stringify({ x: [1, 2] }));
  assert.deepEqual([posted.status, JSON.parse(posted.text)], [201, { name: 'a', body: { x: [1, 2] } }]);
  const file = await client.request('/file');
  assert.ok(file.text.startsWith("'use strict';") && Number(file.headers['content-length']) === file.body.length);
  const fault = await client.request('/fault');
  assert.deepEqual([fault.status, fault.text], [500, 'broken']);
  assert.equal((await client.request('/none')).status, 404);
}, { skip: hasAioquic ? false : 'there is no aioquic' });
