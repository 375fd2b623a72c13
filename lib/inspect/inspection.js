'use strict';

// `app.inspect`: see index.d.ts and docs/inspect.md.

const { readPackageFile } = require('../loading/files.js');
const { typeError } = require('../runtime/errors.js');
const { checkNames } = require('../runtime/options.js');
const { documentOf } = require('./documents.js');
const { Feed } = require('./feed.js');
const { admit, refuse } = require('./guard.js');
const { Tickets } = require('./tickets.js');

/** Address behind that of the page, file, content type. */
const FILES = [
  ['', 'index.html', 'text/html; charset=utf-8'],
  ['style.css', 'style.css', 'text/css; charset=utf-8'],
  ...['charts.js', 'closes.js', 'connections.js', 'format.js', 'live.js', 'page.js', 'patterns.js']
    .map((name) => [name, name, 'text/javascript; charset=utf-8']),
  ['icon.svg', 'icon.svg', 'image/svg+xml'],
];

/** `ws:` and `wss:` are named because older Safari does not count them as `'self'`. */
const POLICY = [
  "default-src 'none'", "script-src 'self'", "style-src 'self'", "img-src 'self'", "connect-src 'self' ws: wss:",
  "base-uri 'none'", "form-action 'none'", "frame-ancestors 'none'",
].join('; ');

const HEADERS = [
  ['Cache-Control', 'no-store'], ['Content-Security-Policy', POLICY], ['X-Content-Type-Options', 'nosniff'],
  ['Referrer-Policy', 'no-referrer'], ['X-Robots-Tag', 'noindex'],
];

/** What a page may send at once, in bytes, and how long it may be silent, in seconds. */
const MAX_MESSAGE = 4096;
const IDLE_TIMEOUT = 60;
const POLICY_VIOLATION = 1008;

/** Adds the routes of the page to an app, whose number is `number`; `owner` are its handlers. */
function inspect(app, number, owner, pattern, options) {
  const base = readPattern(pattern);
  const authorize = readAuthorize(options);
  const files = FILES.map(([address, name, type]) => [address, readFile(name), type]);
  const [feed, tickets] = [new Feed(number, owner, JSON.parse(readFile('../../../package.json')).version), new Tickets()];

  // Relative, so that a proxy may have put a path in front of it.
  app.get(base, guarded(authorize, (res) => {
    res.writeStatus('308 Permanent Redirect').writeHeader('Location', `${base.slice(base.lastIndexOf('/') + 1)}/`).end();
  }));
  for (const [address, content, type] of files) {
    app.get(`${base}/${address}`, guarded(authorize, (res) => answer(res, type, content)));
  }
  app.get(`${base}/docs/:page`, (res, req) => {
    const name = req.getParameter(0);
    admit(res, req, authorize, () => {
      const html = documentOf(name);
      if (html === undefined) refuse(res, '404 Not Found', 'There is no such page.\n');
      else answer(res, 'text/html; charset=utf-8', html);
    });
  });
  app.post(`${base}/ticket`, guarded(authorize, (res) => {
    answer(res, 'application/json', JSON.stringify({ ticket: tickets.issue() }));
  }));
  app.ws(`${base}/live`, behaviorFor(feed, tickets));
  checkNames('inspect', options, ['authorize']);
}

function guarded(authorize, serve) {
  return (res, req) => admit(res, req, authorize, () => serve(res));
}

function answer(res, type, content) {
  res.writeHeader('Content-Type', type);
  for (const [name, value] of HEADERS) res.writeHeader(name, value);
  res.end(content);
}

/** The WebSocket of the page. Who has a ticket was let in when it was issued. */
function behaviorFor(feed, tickets) {
  return {
    maxPayloadLength: MAX_MESSAGE,
    idleTimeout: IDLE_TIMEOUT,
    upgrade(res, req) {
      if (!tickets.redeem(req.getQuery('ticket'))) refuse(res, '403 Forbidden', 'The page has to ask for a ticket first.\n');
      else if (feed.isFull) refuse(res, '503 Service Unavailable', 'Too many pages are open.\n');
      else res.upgrade({});
    },
    open: (ws) => feed.open(ws),
    message(ws, message) {
      if (!feed.hear(ws, Buffer.from(message).toString())) ws.end(POLICY_VIOLATION, 'not a message of the page');
    },
    close: (ws) => feed.close(ws),
  };
}

/** The address of the page, without a slash at its end. */
function readPattern(pattern) {
  if (typeof pattern !== 'string') throw typeError('ERR_INVALID_ARG_TYPE', 'pattern must be a string');
  const base = pattern.replace(/\/$/, '');
  if (!/^(?:\/[\w.~!$&'()+,;=@%-]+)+$/.test(base)) {
    throw typeError('ERR_INVALID_ARG_VALUE', 'pattern must be a path below / without parameters and wildcards, such as /_ferrows');
  }
  return base;
}

function readAuthorize(options) {
  if (options === undefined || options === null) return undefined;
  if (typeof options !== 'object') throw typeError('ERR_INVALID_ARG_TYPE', 'options must be an object');
  const { authorize } = options;
  if (authorize !== undefined && typeof authorize !== 'function') {
    throw typeError('ERR_INVALID_ARG_TYPE', 'authorize must be a function');
  }
  return authorize;
}

function readFile(name) {
  try {
    return readPackageFile(`lib/inspect/page/${name}`);
  } catch (cause) {
    const message = `The page of app.inspect() is not where the package is (${cause.message}). In a bundle, mark \`ferrows\` as external, or copy its files beside the bundle: see docs/bundlers.md#appinspect.`;
    throw Object.assign(new Error(message, { cause }), { code: 'ERR_INVALID_STATE' });
  }
}

module.exports = { inspect };
