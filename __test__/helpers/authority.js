'use strict';

const { execFileSync } = require('node:child_process');
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

module.exports = { fileOf, issue, selfSigned, selfSignedFor };
