'use strict';

/**
 * A header of the PROXY protocol, version 2. Without a client it is one that a proxy sends for itself (LOCAL). `tlvs` are
 * bytes behind the addresses.
 */
function proxyHeader(client, tlvs = Buffer.alloc(0)) {
  const signature = Buffer.from('0d0a0d0a000d0a515549540a', 'hex');
  const addresses = client === undefined ? Buffer.alloc(0) : addressesOf(client);
  const fixed = Buffer.alloc(4);
  fixed[0] = client === undefined ? 0x20 : 0x21;
  fixed[1] = { 0: 0x00, 12: 0x11, 36: 0x21 }[addresses.length];
  fixed.writeUInt16BE(addresses.length + tlvs.length, 2);
  return Buffer.concat([signature, fixed, addresses, tlvs]);
}

/** Client and server: addresses, then ports. `ip` is dotted, or IPv6 as eight groups of four digits. */
function addressesOf({ ip, port }) {
  const address = ip.includes(':') ? Buffer.from(ip.replaceAll(':', ''), 'hex') : Buffer.from(ip.split('.').map(Number));
  const ports = Buffer.alloc(4);
  ports.writeUInt16BE(port, 0);
  ports.writeUInt16BE(443, 2);
  return Buffer.concat([address, Buffer.alloc(address.length, 1), ports]);
}

module.exports = { proxyHeader };
