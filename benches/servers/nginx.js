'use strict';

// The same 12 bytes as a file, by nginx, as Debian has it: a worker for each core, HTTP/2 in clear.

const { spawn } = require('node:child_process');
const { chmodSync, mkdtempSync, rmSync, writeFileSync } = require('node:fs');
const { connect, createServer } = require('node:net');
const { tmpdir } = require('node:os');
const path = require('node:path');
const { createInterface } = require('node:readline');

const folder = mkdtempSync(path.join(tmpdir(), 'ferrows-nginx-'));
// Its workers are somebody else, if it is started by root.
chmodSync(folder, 0o755);
const probe = createServer().listen(0, '127.0.0.1', () => {
  const { port } = probe.address();
  probe.close(() => start(port));
});

function start(port) {
  writeFileSync(path.join(folder, 'hello.txt'), 'Hello World!');
  writeFileSync(path.join(folder, 'nginx.conf'), `
    daemon off;
    worker_processes auto;
    pid ${folder}/pid;
    error_log stderr error;
    events { worker_connections 4096; }
    http {
      access_log off;
      sendfile on;
      open_file_cache max=100;
      keepalive_requests 1000000000;
      ${['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map((name) => `${name}_temp_path ${folder}/${name};`).join('\n      ')}
      server {
        listen 127.0.0.1:${port} http2;
        root ${folder};
        location / { try_files /hello.txt =404; }
      }
    }`);
  const nginx = spawn('nginx', ['-c', path.join(folder, 'nginx.conf'), '-p', folder], { stdio: ['ignore', 'inherit', 'inherit'] });
  process.on('exit', () => rmSync(folder, { recursive: true, force: true }));
  nginx.on('exit', () => process.exit());
  const lines = createInterface({ input: process.stdin });
  // Its processes are not counted.
  lines.on('line', () => say({ main: null, workers: null, rss: null }));
  lines.on('close', () => nginx.kill('SIGTERM'));
  announce(port);
}

/** Says the port once somebody listens there. */
function announce(port) {
  const socket = connect(port, '127.0.0.1');
  socket.on('error', () => setTimeout(announce, 20, port));
  socket.on('connect', () => {
    socket.destroy();
    say({ port });
  });
}

function say(object) {
  process.stdout.write(`${JSON.stringify(object)}\n`);
}
