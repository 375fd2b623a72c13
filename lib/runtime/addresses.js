'use strict';

// The six methods that tell whom a response, a WebSocket or a connection speaks to.

/**
 * Gives a class its methods. `address`, `text` and `port` are called with the object and whether the client is meant that a
 * proxy has reported, instead of the other end of the socket.
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
    // As the methods of a class are.
    Object.defineProperty(prototype, name, { value, writable: true, configurable: true });
  }
}

module.exports = { addAddresses };
