'use strict';

// The six methods that return the peer's addresses of a response, a WebSocket or a connection, and `remoteAddress`.

/**
 * Adds the methods to a class. `address`, `text` and `port` are called with the object, and with `true` for the client's
 * address that a proxy reported instead of the socket's peer address.
 */
function addAddresses({ prototype }, { address, text, port }) {
  const methods = {
    getRemoteAddress() {
      return address(this, false);
    },

    getRemoteAddressAsText() {
      return text(this, false);
    },

    getRemotePort() {
      return port(this, false);
    },

    getProxiedRemoteAddress() {
      return address(this, true);
    },

    getProxiedRemoteAddressAsText() {
      return text(this, true);
    },

    getProxiedRemotePort() {
      return port(this, true);
    },
  };
  for (const [name, value] of Object.entries(methods)) {
    // Like the methods of a class: not enumerable.
    Object.defineProperty(prototype, name, { value, writable: true, configurable: true });
  }
}

/** Adds the property `remoteAddress` to a class; `read` is called with the object. */
function addRemoteAddress({ prototype }, read) {
  Object.defineProperty(prototype, 'remoteAddress', {
    get() {
      return read(this);
    },

    // Programs that keep a property of this name, for what a proxy has told them, go on to do so.
    set(value) {
      // Throws for any other `this`.
      read(this);
      Object.defineProperty(this, 'remoteAddress', { value, writable: true, enumerable: true, configurable: true });
    },
    configurable: true,
  });
}

module.exports = { addAddresses, addRemoteAddress };
