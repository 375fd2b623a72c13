'use strict';

// TLS of HTTP/3: it is that of the app. Certificates of clients, new certificates, names that are asked for.

const { X509Certificate } = require('node:crypto');

const uWS = require('../..');
const { issue, selfSigned } = require('../helpers/authority.js');
const { afterTest } = require('../helpers/cleanup.js');
const { Http3Client, describeWithHttp3, http3Options } = require('../helpers/http3.js');
const { Mailbox } = require('../helpers/mailbox.js');
const { listen } = require('../helpers/server.js');

/** An app of HTTP/3 that answers with the name in the client's certificate, closed after the test. */
function createApp(options) {
  const app = uWS.H3App(http3Options(options));
  afterTest(() => app.close());
  return app.get('/*', (res) => {
    const pem = res.getX509Certificate();
    res.end(pem === '' ? 'nobody' : new X509Certificate(pem).subject);
  });
}

/** Options of a client that shows this certificate. */
const showing = ({ key_file_name, cert_file_name }) => ({ cert: cert_file_name, key: key_file_name });

/** The name in the certificate that a new client is shown. */
async function nameAt(port, serverName) {
  const { opened } = await Http3Client.connect(port, { serverName });
  return new X509Certificate(opened.certificate).subject;
}

describeWithHttp3('certificates of clients', () => {
  const authority = selfSigned('authority');

  test('are asked for, and need not be there', async () => {
    const port = listen(createApp({ ca: authority.cert }));
    const known = await Http3Client.connect(port, showing(issue(authority, 'ada')));
    expect((await known.request('/')).text).toBe('CN=ada');
    expect((await (await Http3Client.connect(port)).request('/')).text).toBe('nobody');
  });

  test('are required with requireClientCertificate, and must be of the authority', async () => {
    const app = createApp({ ca: authority.cert, requireClientCertificate: true });
    const port = listen(app);
    const known = await Http3Client.connect(port, showing(issue(authority, 'ada')));
    expect((await known.request('/')).text).toBe('CN=ada');
    // TLS 1.3 tells a client behind its handshake: certificate_required is 116, and what is wrong with one that is shown depends.
    const nobody = await Http3Client.connect(port);
    expect(await nobody.closed).toMatchObject({ code: 0x100 + 116 });
    const stranger = await Http3Client.connect(port, showing(issue(selfSigned('other'), 'eve')));
    const { code } = await stranger.closed;
    expect([42, 46, 48].map((alert) => 0x100 + alert)).toContain(code);
    expect((await app.getStats()).handshakeFailures.tls).toBe(2);
  });
});

describeWithHttp3('certificates of the server', () => {
  test('a new one is for new connections, and the open ones go on', async () => {
    const [one, two] = [selfSigned('one'), selfSigned('two')];
    const app = createApp({ key: one.key, cert: one.cert, key_file_name: undefined, cert_file_name: undefined });
    const port = listen(app);
    const open = await Http3Client.connect(port);
    expect(new X509Certificate(open.opened.certificate).subject).toBe('CN=one');
    app.setCertificate({ key: two.key, cert: two.cert });
    expect(await nameAt(port)).toBe('CN=two');
    expect((await open.request('/')).text).toBe('nobody');
    // What was asked of clients then is not what is asked of them now.
    const again = await Http3Client.connect(port, { resume: open });
    expect(again.opened.resumed).toBe(false);
  });

  test('sessions are resumed as long as it stays', async () => {
    const port = listen(createApp());
    const first = await Http3Client.connect(port);
    await first.request('/');
    const again = await Http3Client.connect(port, { resume: first });
    expect(again.opened.resumed).toBe(true);
    expect((await again.request('/')).text).toBe('nobody');
  });

  test('missingServerName is asked, and the handshake waits for it', async () => {
    const [own, added] = [selfSigned('own'), selfSigned('added.test')];
    const asked = new Mailbox();
    const app = createApp({ key: own.key, cert: own.cert, key_file_name: undefined, cert_file_name: undefined });
    app.missingServerName(async (name) => {
      asked.put(name);
      await new Promise(setImmediate);
      if (name === 'added.test') app.addServerName(name, { key: added.key, cert: added.cert });
    });
    const port = listen(app);
    expect(await nameAt(port, 'added.test')).toBe('CN=added.test');
    expect(await nameAt(port, 'other.test')).toBe('CN=own');
    expect(await nameAt(port, 'added.test')).toBe('CN=added.test');
    expect([await asked.take(), await asked.take(), asked.size]).toEqual(['added.test', 'other.test', 0]);
  });
});
