'use strict';

// The six methods that return the peer's addresses of a response, a WebSocket or a connection, and those that are properties.

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

/** Adds properties that are addresses as text to a class; each is read by a function that is called with the object. */
function addTextAddresses({ prototype }, properties) {
  for (const [name, read] of Object.entries(properties)) {
    Object.defineProperty(prototype, name, {
      get() {
        return read(this);
      },

      // Programs that keep a property of this name, for what a proxy has told them, go on to do so.
      set(value) {
        // Throws for any other `this`.
        read(this);
        Object.defineProperty(this, name, { value, writable: true, enumerable: true, configurable: true });
      },
      configurable: true,
    });
  }
}

module.exports = { addAddresses, addTextAddresses };
