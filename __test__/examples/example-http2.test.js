'use strict';

// The example of HTTP/2, run as a user would run it.

const { once } = require('node:events');

const { certificate } = require('../helpers/certificates.js');
const { Example } = require('../helpers/example.js');
const { ask, connectHttp2 } = require('../helpers/http2-client.js');

test.each([['in clear', false], ['over TLS', true]])('%s, one connection has the page and twenty clocks at a time', async (title, isSecure) => {
  const { key_file_name, cert_file_name } = certificate();
  const example = await Example.start('http2.js', isSecure ? { CERT: cert_file_name, KEY: key_file_name } : {});
  expect(example.line).toBe(`${isSecure ? 'https' : 'http'}://localhost:${example.port}`);
  const session = await connectHttp2(example.port, { isSecure });
  const clocks = Array.from({ length: 20 }, (_, index) => session.request({ ':path': `/clock/${index + 1}` }));
  await Promise.all(clocks.map(async (clock) => {
    let text = '';
    for await (const piece of clock) {
      text += piece;
      if (text.includes('data: ')) break;
    }
    expect(text).toMatch(/^retry: 1000\n\ndata: \d{4}-\d\d-\d\dT/);
  }));
  await expect(ask(session)).resolves.toMatchObject({ status: 200, text: expect.stringContaining('Twenty clocks') });
  // Whoever stops reading resets its stream; the connection stays.
  expect(await example.nextLine()).toMatch(/^clock \d+: Peer reset the stream: CANCEL \(8\)$/);
  const again = session.request({ ':path': '/clock/1' });
  const [headers] = await once(again, 'response');
  expect(headers[':status']).toBe(200);
});
