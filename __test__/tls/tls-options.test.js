'use strict';

const crypto = require('node:crypto');

const uWS = require('../..');
const { fileOf, issue, selfSigned, selfSignedFor } = require('../helpers/authority.js');
const { afterTest } = require('../helpers/cleanup.js');
const { Log } = require('../helpers/log.js');

let good;
let other;
beforeAll(() => {
  good = selfSigned('localhost');
  other = selfSigned('localhost');
});

/** Makes an app, to be closed after the test. */
function construct(options) {
  const app = uWS.SSLApp({ threads: 1, ...options });
  afterTest(() => app.close());
  return app;
}

/** What making an app with these options throws. */
function refusal(options) {
  try {
    construct(options);
  } catch (error) {
    return error;
  }
  throw new Error('the options were accepted');
}

function expectRefusal(options, code, text) {
  const error = refusal(options);
  expect(error).toMatchObject({ name: 'Error', code });
  expect(error.message.startsWith('App construction failed: ')).toBe(true);
  expect(error.message).toContain(text);
}

const fromMemory = ({ key, cert }) => ({ key, cert });
const fromFiles = ({ key_file_name, cert_file_name }) => ({ key_file_name, cert_file_name });

describe('where key and certificate come from', () => {
  test('files are read within the call', () => {
    construct(fromFiles(good));
    construct({ key_file_name: Buffer.from(good.key_file_name), cert_file_name: good.cert_file_name });
  });

  test('documents are taken as string, Buffer, ArrayBuffer or SharedArrayBuffer', () => {
    construct(fromMemory(good));
    construct({ key: good.key.toString(), cert: good.cert.toString() });
    const shared = new Uint8Array(new SharedArrayBuffer(good.key.length));
    shared.set(good.key);
    construct({ key: new Uint8Array(good.key).buffer, cert: new Uint8Array(good.cert) });
    construct({ key: shared.buffer, cert: good.cert });
    construct({ key: good.key, cert_file_name: good.cert_file_name });
  });

  test('options left out, undefined and null are the same', () => {
    construct({ ...fromMemory(good), key_file_name: undefined, cert_file_name: null, ca: undefined, ssl_ciphers: null });
  });

  test('the certificates above the first one are sent along, in the same document', () => {
    const authority = selfSigned('authority');
    const leaf = issue(authority, 'localhost');
    construct({ key: leaf.key, cert: Buffer.concat([leaf.cert, authority.cert]) });
    expectRefusal({ key: leaf.key, cert: Buffer.concat([authority.cert, leaf.cert]) }, 'ERR_TLS_KEY_MISMATCH', 'cert');
  });
});

describe('private keys', () => {
  test.each([
    ['RSA', ['rsa:2048'], ['pkcs1', 'pkcs8']],
    ['ECDSA P-256', ['ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1'], ['sec1', 'pkcs8']],
    ['ECDSA P-384', ['ec', '-pkeyopt', 'ec_paramgen_curve:secp384r1'], ['sec1', 'pkcs8']],
    ['Ed25519', ['ed25519'], ['pkcs8']],
  ])('%s: every form, with and without passphrase', (_, kind, forms) => {
    const { key, cert } = selfSigned('localhost', kind);
    const object = crypto.createPrivateKey(key);
    for (const type of forms) {
      construct({ key: object.export({ type, format: 'pem' }), cert });
      const ciphers = ['aes-128-cbc', 'aes-192-cbc', 'aes-256-cbc', 'des-ede3-cbc'];
      for (const cipher of ciphers) {
        const encrypted = object.export({ type, format: 'pem', cipher, passphrase: 'geheim é' });
        construct({ key: encrypted, cert, passphrase: 'geheim é' });
        construct({ key: encrypted, cert, passphrase: Buffer.from('geheim é') });
        expectRefusal({ key: encrypted, cert, passphrase: 'other' }, 'ERR_TLS_PASSPHRASE', 'key: ');
        expectRefusal({ key: encrypted, cert }, 'ERR_TLS_PASSPHRASE', 'set the passphrase');
      }
    }
  });

  test('a passphrase does not matter to a key that is not encrypted', () => {
    construct({ ...fromMemory(good), passphrase: 'any' });
  });

  test('one of another kind is refused', () => {
    const small = selfSigned('localhost', ['rsa:1024']);
    expectRefusal(fromMemory(small), 'ERR_TLS_KEY', '2048 to 4096');
    const curve = selfSigned('localhost', ['ec', '-pkeyopt', 'ec_paramgen_curve:secp521r1']);
    expectRefusal(fromMemory(curve), 'ERR_TLS_KEY', 'P-384');
  });

  test('one that belongs to another certificate is refused', () => {
    expectRefusal({ key: good.key, cert: other.cert }, 'ERR_TLS_KEY_MISMATCH', 'first certificate of cert');
    const files = { key_file_name: good.key_file_name, cert_file_name: other.cert_file_name };
    expectRefusal(files, 'ERR_TLS_KEY_MISMATCH', good.key_file_name);
  });
});

describe('what cannot be used is named', () => {
  test('nothing at all', () => {
    for (const options of [undefined, null, {}]) {
      expect(() => uWS.SSLApp(options)).toThrow(expect.objectContaining({ code: 'ERR_TLS_KEY' }));
    }
    expectRefusal({ key: good.key }, 'ERR_TLS_CERTIFICATE', 'cert_file_name');
    expect(() => uWS.SSLApp(5)).toThrow('Options must be an object.');
  });

  test('a file that cannot be read', () => {
    const missing = { ...fromFiles(good), key_file_name: '/no/such/file' };
    expectRefusal(missing, 'ERR_TLS_FILE', "key_file_name '/no/such/file'");
    const directory = { ...fromFiles(good), cert_file_name: __dirname };
    expectRefusal(directory, 'ERR_TLS_FILE', `cert_file_name '${__dirname}'`);
    const endless = { ...fromFiles(good), ca_file_name: '/dev/zero' };
    expectRefusal(endless, 'ERR_TLS_FILE', "ca_file_name '/dev/zero'");
  });

  test('a document without what is looked for', () => {
    expectRefusal({ key: good.cert, cert: good.cert }, 'ERR_TLS_KEY', 'no private key');
    expectRefusal({ key: good.key, cert: good.key }, 'ERR_TLS_CERTIFICATE', 'no certificate');
    expectRefusal({ key: good.key, cert: 'garbage' }, 'ERR_TLS_CERTIFICATE', 'no PEM block');
    expectRefusal({ ...fromMemory(good), ca: 'garbage' }, 'ERR_TLS_CA', 'ca: ');
    const parameters = fileOf('no-dh.pem', good.cert);
    expectRefusal({ ...fromMemory(good), dh_params_file_name: parameters }, 'ERR_TLS_DH_PARAMS', parameters);
  });

  test('a certificate that is cut off', () => {
    const cut = good.cert.toString().replace(/\n[^\n]*\n[^\n]*\n-----END/, '\n-----END');
    expectRefusal({ key: good.key, cert: cut }, 'ERR_TLS_CERTIFICATE', 'cert');
  });

  test('requireClientCertificate without anybody to trust', () => {
    const options = { ...fromMemory(good), requireClientCertificate: true };
    expectRefusal(options, 'ERR_TLS_CA', 'requireClientCertificate');
    construct({ ...options, ca: other.cert });
  });

  test('a cipher suite that nobody knows, and a list that leaves none', () => {
    expectRefusal({ ...fromMemory(good), ssl_ciphers: 'ECDHE-RSA-AES129-GCM-SHA256' }, 'ERR_TLS_CIPHERS', 'AES129');
    expectRefusal({ ...fromMemory(good), ssl_ciphers: 'RC4-SHA:AES128-SHA' }, 'ERR_TLS_CIPHERS', 'none');
    construct({ ...fromMemory(good), ssl_ciphers: require('node:tls').DEFAULT_CIPHERS });
  });

  test('an option of the wrong type, and two that contradict each other', () => {
    for (const name of ['key', 'cert', 'ca', 'passphrase', 'ssl_ciphers', 'key_file_name', 'dh_params_file_name']) {
      for (const value of [5, true, {}, [], Symbol('s'), () => {}]) {
        const rest = { key_file_name: undefined, [name]: value };
        expect(refusal({ ...fromMemory(good), ...rest })).toMatchObject({ name: 'TypeError' });
      }
    }
    const unclear = refusal({ ...fromMemory(good), requireClientCertificate: 1 });
    expect(unclear).toMatchObject({ name: 'TypeError', code: 'ERR_INVALID_ARG_TYPE' });
    const both = refusal({ ...fromMemory(good), key_file_name: good.key_file_name });
    expect(both).toMatchObject({ name: 'TypeError', code: 'ERR_INVALID_ARG_VALUE' });
  });

  test('a getter that throws throws, and a Proxy is an object like any other', () => {
    const options = { get cert() { throw new Error('mine'); } };
    expect(() => uWS.SSLApp(options)).toThrow('mine');
    construct(new Proxy(fromMemory(good), {}));
  });
});

describe('what is logged', () => {
  const MESSAGE = 'questionable TLS option';

  test('a certificate that has expired, or is not valid yet, is used all the same', async () => {
    const log = new Log('warn');
    construct(fromMemory(selfSignedFor('localhost', '20200101000000Z', '20210101000000Z')));
    construct(fromMemory(selfSignedFor('localhost', '20900101000000Z', '20910101000000Z')));
    const records = await log.until(MESSAGE, ({ fields }) => fields.remark.includes('not valid before 2090-01-01'));
    expect(records.some(({ fields }) => fields.remark?.includes('cert: the certificate expired at 2021-01-01'))).toBe(true);
  });

  test('suites in a list that are not available', async () => {
    const log = new Log('warn');
    construct({ ...fromMemory(good), ssl_ciphers: 'ECDHE-ECDSA-AES128-GCM-SHA256:AES128-SHA' });
    await log.until(MESSAGE, ({ fields }) => fields.remark.includes('AES128-SHA'));
  });
});

test('an app that speaks plain HTTP takes the options and has no use for them', () => {
  const app = uWS.App({ threads: 1, key_file_name: '/no/such/file', ssl_ciphers: 5 });
  afterTest(() => app.close());
  expect(app.constructor.name).toBe('uWS.App');
});
