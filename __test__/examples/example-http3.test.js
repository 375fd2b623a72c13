'use strict';

// The example of HTTP/3, run as a user would run it.

const { spawnSync } = require('node:child_process');
const { once } = require('node:events');
const { join } = require('node:path');

const { certificate } = require('../helpers/certificates.js');
const { Example } = require('../helpers/example.js');
const { Http3Client, describeWithHttp3, openWebSocket } = require('../helpers/http3.js');
const { connectClient } = require('../helpers/tls.js');

describeWithHttp3('http3.js', () => {
  test('a client that came by TCP finds the same app by HTTP/3', async () => {
    const { key_file_name, cert_file_name } = certificate();
    const example = await Example.start('http3.js', { CERT: cert_file_name, KEY: key_file_name });
    expect(example.line).toBe(`https://localhost:${example.port}`);
    const answer = await (await connectClient(example.port)).get('/');
    expect(answer.text).toContain('This page came over');
    const [, port] = answer.values('alt-svc')[0].match(/^h3=":(\d+)"; ma=86400$/);
    const client = await Http3Client.connect(Number(port));
    expect((await client.request('/')).text).toBe(answer.text);
    expect((await client.request('/time')).text).toMatch(/^\d{4}-\d\d-\d\dT/);
    const { socket } = await openWebSocket(client, '/echo');
    socket.send('hello');
    expect(String((await once(socket, 'message'))[0])).toBe('hello');
  });
});

test('without a certificate, http3.js says what it needs', () => {
  const { status, stderr } = spawnSync(process.execPath, [join(__dirname, '../../examples/http3.js')], {
    encoding: 'utf8', env: { ...process.env, CERT: undefined, KEY: undefined },
  });
  expect({ status, stderr }).toStrictEqual({ status: 1, stderr: expect.stringContaining('CERT=cert.pem KEY=key.pem') });
});
