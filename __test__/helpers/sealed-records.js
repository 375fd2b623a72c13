'use strict';

const { createCipheriv, createHmac } = require('node:crypto');
const { once } = require('node:events');
const net = require('node:net');
const tls = require('node:tls');

const { certificate } = require('./certificates.js');
const { afterTest } = require('./cleanup.js');

/** Content types of records (RFC 8446 §5.1). */
const TYPES = { alert: 21, handshake: 22, data: 23 };

/**
 * Seals records of TLS 1.3 that no library would send, for a client that has not sent any data yet. What it seals is to be
 * written to the socket `below`, and in this order.
 */
class Sealer {
  /** A client of a port of 127.0.0.1, and a sealer for it. */
  static async connect(port) {
    const below = net.connect({ port, host: '127.0.0.1' });
    const socket = tls.connect({
      socket: below, ca: certificate().ca, servername: 'localhost',
      minVersion: 'TLSv1.3', ciphers: 'TLS_AES_128_GCM_SHA256',
    });
    afterTest(() => socket.destroy());
    // The alert that a test has provoked.
    socket.on('error', () => {});
    let secret;
    socket.on('keylog', (line) => {
      const [label, , value] = line.toString().trim().split(' ');
      if (label === 'CLIENT_TRAFFIC_SECRET_0') secret = Buffer.from(value, 'hex');
    });
    // A ticket: the server has what the client says last in the handshake.
    await once(socket, 'session');
    return new Sealer(Object.assign(socket, { below }), secret);
  }

  #secret;
  #key;
  #iv;
  #sequence = 0;

  constructor(socket, secret) {
    /** What the server says is read from this. */
    this.socket = socket;
    this.#use(secret);
  }

  /** One record. `padding` is zeros behind the type of the content. */
  seal(content, type = TYPES.data, padding = 0) {
    const inner = Buffer.concat([Buffer.from(content), Buffer.of(type), Buffer.alloc(padding)]);
    const head = Buffer.of(23, 3, 3, (inner.length + 16) >> 8, (inner.length + 16) & 0xff);
    const nonce = Buffer.from(this.#iv);
    nonce.writeUInt32BE((nonce.readUInt32BE(8) ^ this.#sequence++) >>> 0, 8);
    const cipher = createCipheriv('aes-128-gcm', this.#key, nonce).setAAD(head);
    return Buffer.concat([head, cipher.update(inner), cipher.final(), cipher.getAuthTag()]);
  }

  /** Many times the same. */
  sealTimes(count, content, type) {
    return Buffer.concat(Array.from({ length: count }, () => this.seal(content, type)));
  }

  /** A KeyUpdate (RFC 8446 §4.6.3); what is sealed from now on has the next key. */
  updateKey({ requested = true } = {}) {
    const record = this.seal([24, 0, 0, 1, requested ? 1 : 0], TYPES.handshake);
    this.#use(expand(this.#secret, 'traffic upd', 32));
    return record;
  }

  #use(secret) {
    this.#secret = secret;
    this.#key = expand(secret, 'key', 16);
    this.#iv = expand(secret, 'iv', 12);
    this.#sequence = 0;
  }
}

/** HKDF-Expand-Label with SHA-256 and no context, of up to 32 bytes (RFC 8446 §7.1). */
function expand(secret, label, length) {
  const name = Buffer.from(`tls13 ${label}`);
  const info = Buffer.concat([Buffer.of(0, length, name.length), name, Buffer.of(0, 1)]);
  return createHmac('sha256', secret).update(info).digest().subarray(0, length);
}

module.exports = { Sealer, TYPES };
