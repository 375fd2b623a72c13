'use strict';

/** All examples on one page: `node examples/index.js`. Those with a page of their own are started when it is asked for. */

const { spawn } = require('node:child_process');
const { readFileSync } = require('node:fs');
const { join } = require('node:path');
const { createInterface } = require('node:readline');

const uWS = require('../index.js');

const port = Number(process.env.PORT ?? 9001);

/** Examples with a page, by name. Only these are ever started. */
const WITH_PAGE = new Map(['chat/server', 'server-sent-events', 'upload', 'pub-sub', 'broadcast'].map((name) => [name, undefined]));

/** What examples/README.md says: `[name, text]`. */
const ROWS = Array.from(
  readFileSync(join(__dirname, 'README.md'), 'utf8').matchAll(/^\| `node examples\/([\w/-]+)\.js`[^|]*\| (.*) \|$/gm),
  ([, name, text]) => [name, text],
).filter(([name]) => name !== 'index');

const escape = (text) => text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('"', '&quot;');

/** A cell of the table: code is marked, links become their text. */
const htmlOf = (text) => escape(text).replace(/\[([^\]]+)\]\([^)]*\)/g, '$1').replace(/`([^`]+)`/g, '<code>$1</code>');

const PAGE = `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8" />
<meta name="viewport" content="width=device-width, initial-scale=1" />
<meta name="color-scheme" content="light dark" />
<title>Examples · Ferrows</title>
<link rel="icon" href="/icon.svg" type="image/svg+xml" />
<link rel="stylesheet" href="/style.css" />
</head>
<body>
<header><h1><img src="/icon.svg" alt="" width="28" height="28" />Examples of Ferrows</h1></header>
<main>
<section><h2>With a page</h2><table><tbody>
${rows(([name]) => WITH_PAGE.has(name), (name) => `<a href="/start/${name}">${name.split('/')[0]}</a>`)}
</tbody></table></section>
<section><h2>For the terminal</h2><table><tbody>
${rows(([name]) => !WITH_PAGE.has(name), (name) => `<code>node examples/${name}.js</code>`)}
</tbody></table></section>
</main>
</body>
</html>
`;

function rows(isWanted, linkOf) {
  return ROWS.filter(isWanted).map(([name, text]) => `<tr><td>${linkOf(name)}</td><td>${htmlOf(text)}</td></tr>`).join('\n');
}

/** The port of a running example, once it has printed it. */
function start(name) {
  const running = WITH_PAGE.get(name);
  if (running !== undefined) return running;
  const started = new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [join(__dirname, `${name}.js`)], {
      env: { ...process.env, PORT: '0' }, stdio: ['ignore', 'pipe', 'inherit'],
    });
    createInterface(child.stdout).on('line', (line) => {
      console.log(`${name}: ${line}`);
      const found = /http:\/\/localhost:(\d+)/.exec(line);
      if (found !== null) resolve(Number(found[1]));
    });
    child.on('error', reject);
    child.on('exit', (code, signal) => {
      WITH_PAGE.set(name, undefined);
      reject(new Error(`${name} has ended (${signal ?? code})`));
    });
    process.once('exit', () => child.kill());
  });
  WITH_PAGE.set(name, started);
  return started;
}

for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => process.exit());

function send(file, type) {
  const content = readFileSync(join(__dirname, file));
  return (res) => res.writeHeader('Content-Type', type).end(content);
}

uWS
  .App()
  .get('/', (res) => res.writeHeader('Content-Type', 'text/html; charset=utf-8').end(PAGE))
  .get('/style.css', send('pages/style.css', 'text/css; charset=utf-8'))
  .get('/icon.svg', send('chat/public/icon.svg', 'image/svg+xml'))
  .get('/start/*', async (res, req) => {
    const name = req.getUrl().slice('/start/'.length);
    // Where the browser found this page, without the port: it may be another machine.
    const [host] = req.getHeader('host').match(/^(?:\[[\da-fA-F:.]+\]|[\w.-]+)/) ?? ['localhost'];
    res.onAborted(() => {});
    if (!WITH_PAGE.has(name)) return void res.writeStatus('404 Not Found').end('There is no such example.\n');
    try {
      const found = await start(name);
      if (!res.aborted) res.cork(() => res.writeStatus('303 See Other').writeHeader('Location', `http://${host}:${found}/`).end());
    } catch (error) {
      if (!res.aborted) res.cork(() => res.writeStatus('502 Bad Gateway').end(`${error.message}\n`));
    }
  })
  .listen(port, (token, error) => {
    if (!token) throw error;
    console.log(`http://localhost:${uWS.us_socket_local_port(token)}`);
  });
