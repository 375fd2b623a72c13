'use strict';

// Why no WebSocket could be opened, a sentence for each case.

const { harmless } = require('../terminal.js');

/** No WebSocket was opened. `code` is for programs, the message is a sentence. */
class ProbeFailure extends Error {
  constructor(code, message, details = {}) {
    super(message);
    this.code = code;
    /** What the server answered, where it did: `{ status, headers, location }`. */
    this.details = details;
  }
}

/** Errors of sockets and of TLS, by code; each makes a sentence of the target. */
const BY_CODE = {
  ENOTFOUND: ({ hostname }) => `The name ${hostname} does not exist: a typing error, or a record that is missing from the DNS.`,
  EAI_AGAIN: ({ hostname }) => `The name ${hostname} cannot be looked up now: is there a network, and a DNS server that answers?`,
  ENODATA: ({ hostname }) => `The name ${hostname} exists but has no address.`,
  ECONNREFUSED: ({ hostname, port }) => `${hostname} refuses connections to port ${port}: the server is down, or listens on another port or address.`,
  ECONNRESET: ({ hostname, port, isSecure }) => `${hostname}:${port} reset the connection before it had answered: ${isSecure
    ? 'a firewall, or a port that does not speak TLS.' : 'a firewall, or a port that speaks another protocol (TLS? Then the url begins with wss://).'}`,
  EPIPE: ({ hostname, port }) => `${hostname}:${port} closed the connection before it had answered.`,
  EHOSTUNREACH: ({ hostname }) => `There is no route to ${hostname}: a VPN that is down, or an address of another network.`,
  ENETUNREACH: ({ hostname }) => `There is no route to the network of ${hostname}: often IPv6 on a machine without it.`,
  ETIMEDOUT: ({ hostname, port }) => `${hostname}:${port} does not answer: a firewall that drops packets, or a machine that is down.`,
  EACCES: ({ hostname, port }) => `The system does not permit a connection to ${hostname}:${port}.`,
  EMFILE: () => 'This process may not open more files: raise the limit (ulimit -n).',
  CERT_HAS_EXPIRED: ({ name }) => `The certificate of ${name} has expired: renew it, and let the server load the new one.`,
  CERT_NOT_YET_VALID: ({ name }) => `The certificate of ${name} is not valid yet: is the clock of this machine right?`,
  CERT_REVOKED: ({ name }) => `The certificate of ${name} was revoked.`,
  DEPTH_ZERO_SELF_SIGNED_CERT: ({ name }) => `The certificate of ${name} is self-signed, so browsers refuse it. To trust it here, give it as --ca FILE.`,
  SELF_SIGNED_CERT_IN_CHAIN: ({ name }) => `The certificate of ${name} is of an authority that is not known here. To trust it, give the authority's certificate as --ca FILE.`,
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: ({ name }) => `${name} does not send the intermediate certificates of its authority: configure the server with the whole chain (fullchain.pem). Some browsers forgive that, most clients do not.`,
  UNABLE_TO_GET_ISSUER_CERT: ({ name }) => `The certificate of ${name} is of an authority that is not known here: use --ca FILE if it is your own.`,
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: ({ name }) => `The certificate of ${name} is of an authority that is not known here: an intermediate certificate is missing on the server, or the authority is your own (--ca FILE).`,
  ERR_TLS_CERT_ALTNAME_INVALID: ({ name }, { cert }) => `The certificate is not for ${name}${cert?.subjectaltname ? ` but for ${namesIn(cert)}` : ''}: a wrong name in the url, or a server (or load balancer) without a certificate for it.`,
};

/** Errors of OpenSSL, by what their codes contain. */
const BY_TLS_CODE = [
  [/WRONG_VERSION_NUMBER|PACKET_LENGTH_TOO_LONG|HTTP_REQUEST|UNKNOWN_PROTOCOL|RECORD_LAYER_FAILURE/, ({ hostname, port }) => `${hostname}:${port} does not speak TLS: does the url begin with ws://, or is it another port?`],
  [/HANDSHAKE_FAILURE|NO_SHARED_CIPHER|UNSUPPORTED_PROTOCOL|PROTOCOL_VERSION|INAPPROPRIATE_FALLBACK/, ({ hostname }) => `${hostname} and this program have no TLS version or cipher in common.`],
  [/UNRECOGNIZED_NAME/, ({ name }) => `The server has no certificate for ${name} (it does not know the name).`],
  [/CERTIFICATE_REQUIRED|BAD_CERTIFICATE|UNKNOWN_CA/, ({ hostname }) => `${hostname} requires a certificate of the client, which this program does not have.`],
  [/NO_APPLICATION_PROTOCOL/, ({ hostname }) => `${hostname} does not speak HTTP/1.1 (it refused it in the TLS handshake).`],
];

/** A failure for an error of a socket, of TLS, or of Node's HTTP parser. `connectTo` is where it connected to, if elsewhere. */
function failureFor(error, url, connectTo) {
  if (error instanceof ProbeFailure) return error;
  const target = { ...url, ...connectTo, name: url.hostname };
  // Of several addresses that were tried, the first is the one that the system prefers.
  const { code = 'UNKNOWN', message } = error.errors?.[0] ?? error;
  if (Object.hasOwn(BY_CODE, code)) return new ProbeFailure(code, BY_CODE[code](target, error));
  const known = BY_TLS_CODE.find(([pattern]) => pattern.test(code));
  if (known !== undefined) return new ProbeFailure(code, known[1](target));
  if (code.startsWith('HPE_')) {
    const hint = target.isSecure ? '' : ' (TLS? Then the url begins with wss://)';
    return new ProbeFailure(code, `${target.hostname}:${target.port} answers, but not with HTTP/1.1: it speaks another protocol${hint}.`);
  }
  return new ProbeFailure(code, `Connecting to ${target.hostname}:${target.port} failed: ${harmless(message)}.`);
}

/** What statuses usually mean when they answer an upgrade. */
const BY_STATUS = {
  200: 'what answers there does not know WebSockets, or a proxy has removed the headers Upgrade and Connection',
  400: 'the server did not accept the request as an upgrade: a proxy that removes Upgrade and Connection (nginx without proxy_set_header), or a server of TLS that was asked without (wss://)',
  401: 'it wants credentials: --header "Authorization: …", or user:password@ in the url',
  403: 'it refuses this client: credentials (--header), the origin (--origin), or a firewall for web applications',
  404: 'there is no WebSocket at this path',
  405: 'this path takes no GET, so there is no WebSocket',
  407: 'a proxy of this network wants credentials',
  421: 'the server does not serve this name',
  426: 'it wants another protocol or version, or a proxy has removed the headers Upgrade and Connection',
  429: 'it has had enough of this client for now',
  500: 'the server failed',
  502: 'a proxy got no proper answer from the server behind it: it is down, or speaks another protocol',
  503: 'no server is ready, or a limit is reached',
  504: 'a proxy waited for the server behind it in vain',
};

/** A failure for a response that is no upgrade. */
function failureForStatus(status, reason, headers, { url }) {
  const meaning = BY_STATUS[status] ?? (status >= 500 ? 'the server, or a proxy before it, failed' : 'it is no upgrade');
  const phrase = harmless(reason ?? '', 60);
  const text = `${url} answers ${status}${phrase === '' ? '' : ` ${phrase}`} instead of 101: ${meaning}.`;
  return new ProbeFailure(`HTTP_${status}`, text, { status, headers });
}

function namesIn({ subjectaltname }) {
  const names = subjectaltname.split(', ').map((name) => name.replace(/^(?:DNS|IP Address):/, ''));
  return harmless(names.length > 4 ? `${names.slice(0, 4).join(', ')} and ${names.length - 4} more` : names.join(', '));
}

module.exports = { failureFor, failureForStatus, ProbeFailure };
