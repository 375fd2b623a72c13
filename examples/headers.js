'use strict';

/**
 * Headers of requests and responses. `/` shows what the client sent, `/language` answers in the language it prefers,
 * `/visits` counts its visits in a cookie, `/download?name=…` lets it choose a name, which has to be checked.
 */

const uWS = require('../index.js');

const port = Number(process.env.PORT ?? 9001);

const GREETINGS = { en: 'Good day', fr: 'Bonjour', de: 'Guten Tag' };

/** A cookie of a request. Clients may send several `Cookie` fields, so `getHeader`, which gives the first, is not enough. */
function cookieOf(req, name) {
  const pairs = [];
  req.forEach((key, value) => {
    if (key === 'cookie') pairs.push(...value.split(/; */));
  });
  return pairs.find((pair) => pair.startsWith(`${name}=`))?.slice(name.length + 1);
}

/** The first language of `Accept-Language` that there is a greeting for. */
function languageOf(req) {
  const wishes = req.getHeader('accept-language').split(',').map((wish) => {
    const [tag, quality = 'q=1'] = wish.trim().split(/ *; */);
    return { language: tag.slice(0, 2).toLowerCase(), quality: Number(quality.slice(2)) };
  });
  wishes.sort((one, other) => other.quality - one.quality);
  return wishes.find(({ language, quality }) => Object.hasOwn(GREETINGS, language) && quality > 0)?.language ?? 'en';
}

uWS
  .App()
  .get('/', (res, req) => {
    // In the order of arrival, names in lower case, repeated ones repeatedly.
    const lines = [];
    req.forEach((key, value) => lines.push(`${key}: ${value}`));
    res.writeHeader('Content-Type', 'text/plain; charset=utf-8').end(`${lines.join('\n')}\n`);
  })
  .get('/language', (res, req) => {
    const language = languageOf(req);
    res.writeHeader('Vary', 'Accept-Language').writeHeader('Content-Language', language).end(GREETINGS[language]);
  })
  .get('/visits', (res, req) => {
    const visits = (Number(cookieOf(req, 'visits')) || 0) + 1;
    res
      .writeStatus('200 OK') // before the headers, or not at all
      .writeHeader('Set-Cookie', `visits=${visits}; Path=/; HttpOnly; SameSite=Lax`)
      .writeHeader('Set-Cookie', 'seen=yes; Path=/') // a second field of that name
      .end(`Visit ${visits}`);
  })
  .get('/download', (res, req) => {
    try {
      res.writeHeader('Content-Disposition', `attachment; filename=${req.getQuery('name') ?? 'file'}`);
      res.end('content');
    } catch (error) {
      // A line break in the name would have added a header of the client's choice.
      if (error.code !== 'ERR_HTTP_INVALID_HEADER') throw error;
      res.writeStatus('400 Bad Request').end('That is no name for a file.');
    }
  })
  .listen(port, (token, error) => {
    if (!token) throw error;
    console.log(`http://localhost:${uWS.us_socket_local_port(token)}`);
  });
