'use strict';

// Certificates and server names of apps that speak TLS: see index.d.ts.

const { abi, apps, native, readable, registers } = require('../runtime/border.js');
const { run } = require('../runtime/call.js');
const { typeError } = require('../runtime/errors.js');

const { APP, HANDSHAKE } = abi.register;

/** Options that the addon reads, in its order. */
const { tls: TLS_OPTIONS } = abi.options;

/** Sets the TLS options of an app, which then speaks TLS. */
function secure(app, options) {
  native.appSecure(app, readTlsOptions(options), options?.handshakeTimeout, options?.maxHandshakes);
}

function addServerName(app, hostname, options) {
  native.appServerName(app, readable(hostname), readTlsOptions(options));
}

/** Returns the numbers of the routes that are removed with it. */
function removeServerName(app, hostname) {
  return native.appRemoveServerName(app, readable(hostname));
}

/** Replaces the certificate of a server name, or without a name the default one. */
function setCertificate(app, hostname, options) {
  native.appCertificate(app, readable(hostname), readTlsOptions(options));
}

function readTlsOptions(options) {
  if (options !== undefined && options !== null && typeof options !== 'object') {
    throw typeError('ERR_INVALID_ARG_TYPE', 'Options must be an object.');
  }
  return TLS_OPTIONS.map((name) => readable(options?.[name]));
}

function answerMissingNames(app) {
  native.appAskForNames(app);
}

/** A handshake waits until the handler has returned and, if that is a promise, until what it returned has settled. */
function handleServerName(name) {
  const handshake = registers[HANDSHAKE];
  const app = registers[APP];
  const resume = () => native.handshakeResume(handshake);
  try {
    const result = run(apps.get(app).nameHandler, name);
    if (typeof result === 'object' && result !== null && typeof result.then === 'function') {
      // Nothing handles the rejection of this promise, so it raises 'unhandledRejection'.
      new Promise((resolve) => { resolve(result); }).finally(resume);
      return;
    }
  } catch (error) {
    native.reportUncaught(error);
  }
  resume();
}

module.exports = {
  secure, addServerName, removeServerName, setCertificate, answerMissingNames, handleServerName,
};
