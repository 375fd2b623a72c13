'use strict';

const { execFileSync } = require('node:child_process');
const { generateKeyPairSync, sign } = require('node:crypto');
const { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } = require('node:fs');
const { tmpdir } = require('node:os');
const { join } = require('node:path');

/** Where this process keeps what it made. */
let directory;

/** Certificates made so far. */
let count = 0;

const EC = ['ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1'];

function openssl(...args) {
  execFileSync('openssl', args, { stdio: 'pipe' });
}

/** The path of a file that does not exist yet. */
function path(name) {
  if (directory === undefined) {
    directory = mkdtempSync(join(tmpdir(), 'ferrows-authority-'));
    process.once('exit', () => rmSync(directory, { recursive: true, force: true }));
  }
  return join(directory, name);
}

/** Puts a document into a file, and returns its path. */
function fileOf(name, text) {
  const file = path(name);
  writeFileSync(file, text);
  return file;
}

/** Key and certificate in files, and read: `{ key_file_name, cert_file_name, key, cert }`. */
function identity(key_file_name, cert_file_name) {
  return { key_file_name, cert_file_name, key: readFileSync(key_file_name), cert: readFileSync(cert_file_name) };
}

/** A certificate that is its own authority, with a new key of this kind. */
function selfSigned(name, kind = EC) {
  count += 1;
  const [key, cert] = [path(`${count}.key`), path(`${count}.crt`)];
  openssl(
    'req', '-x509', '-newkey', ...kind, '-nodes', '-days', '2', '-subj', `/CN=${name}`,
    '-addext', `subjectAltName=DNS:${name}`, '-keyout', key, '-out', cert,
  );
  return identity(key, cert);
}

/** A certificate for these names, under an authority. */
function issue(authority, ...names) {
  count += 1;
  const [key, request, cert] = [path(`${count}.key`), path(`${count}.csr`), path(`${count}.crt`)];
  const extensions = fileOf(`${count}.ext`, [
    'basicConstraints=CA:FALSE', `subjectAltName=${names.map((name) => `DNS:${name}`)}`,
  ].join('\n'));
  openssl('req', '-new', '-newkey', ...EC, '-nodes', '-subj', `/CN=${names[0]}`, '-keyout', key, '-out', request);
  openssl(
    'x509', '-req', '-in', request, '-CA', authority.cert_file_name, '-CAkey', authority.key_file_name,
    '-set_serial', String(count), '-days', '2', '-extfile', extensions, '-out', cert,
  );
  return identity(key, cert);
}

/** A certificate for the time between these moments (`20200101000000Z`). */
function selfSignedFor(name, from, until) {
  count += 1;
  const place = path(`ca-${count}`);
  mkdirSync(place);
  const [key, request, cert] = ['key', 'csr', 'crt'].map((kind) => join(place, kind));
  const config = join(place, 'config');
  writeFileSync(join(place, 'index'), '');
  writeFileSync(config, [
    '[ca]', 'default_ca=it', '[it]', `database=${join(place, 'index')}`, `new_certs_dir=${place}`, 'rand_serial=yes',
    'default_md=sha256', 'policy=any', 'x509_extensions=v3', '[any]', 'commonName=supplied',
    '[v3]', `subjectAltName=DNS:${name}`, '',
  ].join('\n'));
  openssl('req', '-new', '-newkey', ...EC, '-nodes', '-subj', `/CN=${name}`, '-keyout', key, '-out', request);
  openssl(
    'ca', '-config', config, '-batch', '-selfsign', '-notext', '-keyfile', key, '-in', request, '-out', cert,
    '-startdate', from, '-enddate', until,
  );
  return identity(key, cert);
}

/** A value of DER. */
function der(tag, ...contents) {
  const content = Buffer.concat(contents);
  const digits = content.length < 256 ? [content.length] : [content.length >> 8, content.length & 0xff];
  const length = content.length < 128 ? digits : [0x80 | digits.length, ...digits];
  return Buffer.concat([Buffer.of(tag, ...length), content]);
}

/**
 * A self-signed certificate of version 1, with a new key. Made by hand: whether `openssl x509 -req` makes one of version 1
 * depends on its own version.
 */
function selfSignedVersion1(name) {
  count += 1;
  const [key, cert] = [path(`${count}.key`), path(`${count}.crt`)];
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'prime256v1' });
  const oid = (hex) => der(0x06, Buffer.from(hex, 'hex'));
  const names = der(0x30, der(0x31, der(0x30, oid('550403'), der(0x0c, Buffer.from(name)))));
  const time = (ahead) => der(0x18, Buffer.from(new Date(Date.now() + ahead).toISOString().replace(/[-:T]|\.\d+/g, '')));
  const day = 24 * 60 * 60 * 1000;
  const ecdsaWithSha256 = der(0x30, oid('2a8648ce3d040302'));
  const fields = der(
    0x30, der(0x02, Buffer.of(1)), ecdsaWithSha256, names, der(0x30, time(-day), time(day)), names,
    publicKey.export({ type: 'spki', format: 'der' }),
  );
  const signature = der(0x03, Buffer.of(0), sign('sha256', fields, privateKey));
  const lines = der(0x30, fields, ecdsaWithSha256, signature).toString('base64').replace(/.{64}/g, '$&\n');
  writeFileSync(cert, `-----BEGIN CERTIFICATE-----\n${lines}\n-----END CERTIFICATE-----\n`);
  writeFileSync(key, privateKey.export({ type: 'pkcs8', format: 'pem' }));
  return identity(key, cert);
}

module.exports = { fileOf, issue, selfSigned, selfSignedFor, selfSignedVersion1 };
