'use strict';

// Opens a connection and makes a WebSocket of it, a step at a time, so that each has its time and its failure.

const { createHash, randomBytes } = require('crypto');
const { lookup } = require('dns/promises');
const http = require('http');
const net = require('net');
const { performance } = require('perf_hooks');
const tls = require('tls');

const { failureFor, failureForStatus, ProbeFailure } = require('./failure.js');

const GUID = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11';
/** What browsers offer. */
const OFFER = 'permessage-deflate; client_max_window_bits';
const REDIRECTS = new Set([301, 302, 303, 307, 308]);

/**
 * Opens a WebSocket. Returns `{ socket, head, handshake }`: the socket, bytes that came behind the response, and what there is
 * to know about the handshake. Rejects with a {@link ProbeFailure}.
 *
 * `options`: `timeout` in seconds, `headers` as `[name, value]`, `protocols`, `offersCompression`, `ca`, `isInsecure`,
 * `connectTo` (`{ hostname, port }`), `address` (of an earlier handshake, so that all connections go to one machine), `signal`
 * (an AbortSignal).
 */
async function openWebSocket(target, options) {
  const attempt = { step: 'looking up the name', socket: undefined };
  let timer;
  const timeout = new Promise((_, reject) => {
    timer = setTimeout(() => {
      reject(new ProbeFailure('TIMEOUT', `${target.hostname}:${target.port} did not answer within ${options.timeout} s, while ${attempt.step}.`));
    }, options.timeout * 1000);
    options.signal?.addEventListener('abort', () => reject(new ProbeFailure('INTERRUPTED', 'Connecting was interrupted.')), { once: true });
  });
  try {
    return await Promise.race([open(target, options, attempt), timeout]);
  } catch (error) {
    attempt.socket?.destroy();
    throw failureFor(error, target, options.connectTo);
  } finally {
    clearTimeout(timer);
  }
}

async function open(target, options, attempt) {
  const handshake = { times: {} };
  const { times } = handshake;
  const started = performance.now();
  let before = started;
  const took = (step) => {
    const now = performance.now();
    times[step] = now - before;
    before = now;
  };

  const { hostname, port } = options.connectTo ?? target;
  const addresses = options.address === undefined ? await lookup(hostname, { all: true, verbatim: true }) : [{ address: options.address }];
  if (options.address === undefined && !net.isIP(hostname)) took('dns');

  attempt.step = 'connecting';
  attempt.socket = await connectTcp(addresses, port, attempt);
  took('tcp');
  handshake.address = { address: attempt.socket.remoteAddress, port };

  if (target.isSecure) {
    attempt.step = 'in the TLS handshake';
    attempt.socket = await connectTls(attempt.socket, target.hostname, options);
    took('tls');
    handshake.tls = describeTls(attempt.socket);
  }

  attempt.step = 'waiting for the response to the upgrade';
  const { head, response } = await upgrade(attempt.socket, target, options);
  took('upgrade');
  times.total = performance.now() - started;
  return { socket: attempt.socket, head, handshake: { ...handshake, ...response } };
}

/** A connection to the first of these addresses that takes one. */
async function connectTcp(addresses, port, attempt) {
  const errors = [];
  for (const { address } of addresses) {
    try {
      return await new Promise((resolve, reject) => {
        // Only with half-open connections is a FIN of the server told from an end of this side.
        const socket = net.connect({ host: address, port, allowHalfOpen: true, noDelay: true });
        attempt.socket = socket;
        socket.once('error', reject);
        socket.once('connect', () => {
          socket.removeListener('error', reject);
          resolve(socket);
        });
      });
    } catch (error) {
      errors.push(error);
    }
  }
  throw Object.assign(new Error('no address takes a connection'), { errors });
}

function connectTls(socket, hostname, { ca, isInsecure, offersHttp2 = false }) {
  return new Promise((resolve, reject) => {
    const secure = tls.connect({
      socket, allowHalfOpen: true, ca, rejectUnauthorized: !isInsecure,
      servername: net.isIP(hostname) ? undefined : hostname,
      host: hostname,
      ALPNProtocols: offersHttp2 ? ['h2', 'http/1.1'] : ['http/1.1'],
    });
    const fail = (error) => reject(error);
    const end = () => reject(Object.assign(new Error('the server closed the connection in the TLS handshake'), { code: 'ECONNRESET' }));
    secure.once('error', fail);
    secure.once('end', end);
    secure.once('secureConnect', () => {
      secure.removeListener('error', fail);
      secure.removeListener('end', end);
      resolve(secure);
    });
  });
}

function describeTls(socket) {
  const { subject, issuer, valid_to: validTo } = socket.getPeerCertificate();
  return {
    version: socket.getProtocol(),
    cipher: socket.getCipher()?.standardName,
    alpn: socket.alpnProtocol || undefined,
    certificate: subject === undefined ? undefined : {
      subject: subject.CN, issuer: issuer?.O ?? issuer?.CN, validTo: new Date(validTo).toISOString(),
    },
    isTrusted: socket.authorized,
    fault: socket.authorized ? undefined : String(socket.authorizationError?.code ?? socket.authorizationError),
  };
}

/** The opening handshake of RFC 6455 §4.1. */
function upgrade(socket, target, { headers = [], protocols = [], offersCompression = false }) {
  const key = randomBytes(16).toString('base64');
  return new Promise((resolve, reject) => {
    const request = http.request({
      createConnection: () => socket, host: target.hostname, port: target.port, path: target.path, setHost: false,
      // In the order of browsers: some middleboxes are particular. What the user gives replaces ours.
      headers: mergeHeaders([
        ['Host', target.host], ['Connection', 'Upgrade'], ['User-Agent', `ferrows-probe/${require('../../../package.json').version}`],
        ['Upgrade', 'websocket'], ['Sec-WebSocket-Version', '13'], ['Sec-WebSocket-Key', key],
        ...(offersCompression ? [['Sec-WebSocket-Extensions', OFFER]] : []),
        ...(protocols.length > 0 ? [['Sec-WebSocket-Protocol', protocols.join(', ')]] : []),
        ...(target.authorization === undefined ? [] : [['Authorization', target.authorization]]),
      ], headers),
    });
    request.once('upgrade', (response, _, head) => {
      try {
        checkResponse(response, key, { protocols, offersCompression });
        resolve({ head, response: describeResponse(response) });
      } catch (error) {
        reject(error);
      }
    });
    request.once('response', (response) => {
      response.destroy();
      const { statusCode: status, statusMessage, headers: { location } } = response;
      const failure = failureForStatus(status, statusMessage, pairsOf(response.rawHeaders), target);
      if (REDIRECTS.has(status) && location !== undefined) failure.details.location = location;
      reject(failure);
    });
    request.once('error', (error) => {
      // Node's text for a FIN before the response.
      if (error.code === 'ECONNRESET' && error.message === 'socket hang up') {
        reject(new ProbeFailure('ENDED', `${target.hostname}:${target.port} closed the connection instead of answering: it speaks another protocol, or there is no server behind the proxy.`));
      } else {
        reject(error);
      }
    });
    request.end();
  });
}

/** `{ name: value }`, ours first; those of the user replace ours of the same name. */
function mergeHeaders(ours, theirs) {
  const given = new Set(theirs.map(([name]) => name.toLowerCase()));
  const merged = {};
  for (const [name, value] of [...ours.filter(([name]) => !given.has(name.toLowerCase())), ...theirs]) {
    merged[name] = merged[name] === undefined ? value : [].concat(merged[name], value);
  }
  return merged;
}

function checkResponse({ headers }, key, { protocols, offersCompression }) {
  const expected = createHash('sha1').update(key + GUID).digest('base64');
  if (headers['sec-websocket-accept'] !== expected) {
    throw new ProbeFailure('ACCEPT', 'The response has a Sec-WebSocket-Accept that does not answer the key: a cache, or a server that does not speak WebSocket.');
  }
  const extensions = headers['sec-websocket-extensions'];
  if (extensions !== undefined && !offersCompression) {
    throw new ProbeFailure('EXTENSION', 'The server uses an extension that was not offered, which makes browsers fail.');
  }
  const protocol = headers['sec-websocket-protocol'];
  if (protocol !== undefined && !protocols.includes(protocol)) {
    throw new ProbeFailure('SUBPROTOCOL', 'The server selected a subprotocol that was not offered, which makes browsers fail.');
  }
}

function describeResponse({ httpVersion, statusCode: status, rawHeaders, headers }) {
  return {
    httpVersion, status, headers: pairsOf(rawHeaders),
    extensions: headers['sec-websocket-extensions'], protocol: headers['sec-websocket-protocol'],
  };
}

function pairsOf(raw) {
  return Array.from({ length: raw.length / 2 }, (_, index) => [raw[2 * index], raw[2 * index + 1]]);
}

module.exports = { connectTcp, connectTls, openWebSocket };
