'use strict';

/**
 * Which handler gets a request: literals before parameters before wildcards, whatever the order of registration, and the
 * routes of a method before `any`. A handler that does not answer a request yields it to the next one.
 */

const uWS = require('../index.js');

const port = Number(process.env.PORT ?? 9001);

const users = new Map([['1', 'Ada'], ['2', 'Grace']]);

/** Paths are not decoded by the router. `undefined` if this is no percent-encoded text. */
function decoded(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return undefined;
  }
}

const app = uWS
  .App()
  .get('/users', (res) => res.end([...users.values()].join('\n')))
  .get('/users/newest', (res) => res.end([...users.values()].at(-1)))
  .get('/users/:id', (res, req) => {
    const id = req.getParameter('id');
    if (!/^\d+$/.test(id)) return req.setYield(true); // to the next that matches, which is '/users/*'
    if (!users.has(id)) return res.writeStatus('404 Not Found').end('No such user.');
    return res.end(users.get(id));
  })
  .get('/users/*', (res, req) => {
    const beginning = decoded(req.getUrl().slice('/users/'.length))?.toLowerCase() ?? '';
    res.end([...users.values()].filter((name) => name.toLowerCase().startsWith(beginning)).join('\n'));
  })
  .put('/users/:id/:name', (res, req) => {
    const name = decoded(req.getParameter('name'));
    if (name === undefined) return res.writeStatus('400 Bad Request').end('That is no name.');
    users.set(req.getParameter('id'), name);
    return res.writeStatus('201 Created').end();
  })
  .del('/users/:id', (res, req) => {
    if (users.delete(req.getParameter('id'))) res.writeStatus('204 No Content').endWithoutBody();
    else res.writeStatus('404 Not Found').end('No such user.');
  })
  .any('/users/:id', (res) => {
    res.writeStatus('405 Method Not Allowed').writeHeader('Allow', 'GET, DELETE').end();
  })
  .get('/files/*', (res, req) => {
    res.end(`a file called ${req.getUrl().slice('/files/'.length)}`);
  })
  .any('/*', (res, req) => {
    res.writeStatus('404 Not Found').end(`Nothing at ${req.getCaseSensitiveMethod()} ${req.getUrl()}`);
  });

// Routes may come and go at any time: this one answers once.
app.get('/once', (res) => {
  app.get('/once', null);
  res.end('Once, and never again.');
});

app.listen(port, (token, error) => {
  if (!token) throw error;
  console.log(`http://localhost:${uWS.us_socket_local_port(token)}/users`);
});
