'use strict';

// `app.serveFiles`: finds the file of a request, decides with conditions.js how to answer, and sends the file.

const { fs } = require('../loading/builtins.js');
const { decide } = require('./conditions.js');
const { contentTypeOf } = require('./content-types.js');
const { readNames } = require('./location.js');
const { OpenFile } = require('./open-file.js');
const { Transfer } = require('./transfer.js');

/** Error codes of the system that mean 404: there is no such file, or none below the folder. */
const MISSING = new Set(['ENOENT', 'ENOTDIR', 'ENAMETOOLONG', 'ELOOP', 'EINVAL', 'ENXIO', 'EXDEV', 'EAGAIN']);

/** Status lines of the answers. */
const STATUSES = {
  200: '200 OK',
  206: '206 Partial Content',
  301: '301 Moved Permanently',
  304: '304 Not Modified',
  403: '403 Forbidden',
  404: '404 Not Found',
  412: '412 Precondition Failed',
  416: '416 Range Not Satisfiable',
  500: '500 Internal Server Error',
  503: '503 Service Unavailable',
};

/** Options of `app.serveFiles`. */
const FILE_OPTIONS = ['index', 'dotFiles', 'followSymlinks', 'fallback', 'cacheControl', 'headers', 'contentTypes'];

/** Serves the files below a folder: the handler of the GET and HEAD routes that `app.serveFiles` makes. */
class FileRoute {
  #prefix;
  #root;
  #options;

  /** Throws for invalid arguments and for a directory that cannot be served. */
  constructor(pattern, directory, options) {
    if (typeof pattern !== 'string') throw invalidType('pattern must be a string');
    if (!/^(?:\/[^/:*]+)*\/\*$/.test(pattern)) {
      throw invalidValue('pattern must consist of literal segments and end with /*');
    }
    if (typeof directory !== 'string') throw invalidType('directory must be a string');
    this.#options = readOptions(options);
    this.#prefix = pattern.length - 1;
    this.#root = realFolder(directory);
  }

  /** The handler. Rejects only with an exception of the application's functions. */
  async handle(res, req) {
    const transfer = new Transfer(res);
    const request = readRequest(req);
    let opened;
    try {
      opened = await this.#find(request);
      if (transfer.isOver) return;
      if (typeof opened === 'number') return void refuse(res, opened, request);
      await this.#serve(opened, request, res, transfer);
    } catch (error) {
      if (!transfer.isOver) fail(res);
      if (error?.syscall === undefined) throw error;
      // Mostly an error of the disk: the operator is warned, and the client gets no details.
      process.emitWarning(`a file could not be served: ${error.message}`, { type: 'FerrowsWarning', code: 'FERROWS_FILE' });
    } finally {
      opened?.file?.close();
    }
  }

  /** Returns the open file of a request, or the status that says why there is none. */
  async #find(request) {
    const { index, fallback } = this.#options;
    const names = readNames(request.path.slice(this.#prefix), this.#options);
    if (names === undefined) return 404;
    const found = await this.#open(names, index);
    if (found !== 404 || fallback === undefined || !request.acceptsPages) return found;
    return this.#open(fallback, undefined);
  }

  /** Opens a file by its names, or the index of a folder. */
  async #open(names, index) {
    const isFolder = names.at(-1) === '';
    if (isFolder && index === undefined) return 404;
    const relative = [...names.slice(0, isFolder ? -1 : undefined), ...(isFolder ? [index] : [])];
    const name = relative.join('/');
    let file;
    try {
      file = await OpenFile.open(this.#root, name, this.#options.followSymlinks);
      if (file.isFile) {
        const opened = { file, name };
        file = undefined;
        return opened;
      }
      return file.isFolder && !isFolder && index !== undefined ? 301 : 404;
    } catch (error) {
      if (MISSING.has(error.code)) return 404;
      if (error.code === 'EACCES' || error.code === 'EPERM') return 403;
      if (error.code === 'EMFILE' || error.code === 'ENFILE') return 503;
      throw error;
    } finally {
      file?.close();
    }
  }

  async #serve({ file, name }, request, res, transfer) {
    const description = describe(file);
    const { status, start, length } = decide(request, description);
    if (status === 412) return void refuse(res, status, request);
    const { size, etag, modified } = description;
    const fields = this.#fieldsOf(name, status);
    res.cork(() => {
      res.writeStatus(STATUSES[status]);
      for (const [field, value] of fields) res.writeHeader(field, value);
      res.writeHeader('ETag', etag).writeHeader('Last-Modified', new Date(modified * 1000).toUTCString());
      if (status === 206) res.writeHeader('Content-Range', `bytes ${start}-${start + length - 1}/${size}`);
      if (status === 416) res.writeHeader('Content-Range', `bytes */${size}`).end();
      else if (status === 304) res.endWithoutBody();
      else if (request.method === 'HEAD') res.endWithoutBody(length);
      else if (length === 0) res.end();
    });
    if (request.method === 'GET' && length > 0) await transfer.send(file, start, length);
  }

  /** The fields that do not depend on the state of the file. */
  #fieldsOf(name, status) {
    const { cacheControl, contentTypes, headers } = this.#options;
    const fields = [...headers];
    const caching = typeof cacheControl === 'function' ? cacheControl(name) : cacheControl;
    if (caching !== undefined && caching !== null) {
      check('what cacheControl returns', caching, ['string']);
      fields.push(checkField('Cache-Control', caching));
    }
    if (status === 200 || status === 206) {
      fields.push(['Content-Type', contentTypeOf(name, contentTypes)], ['Accept-Ranges', 'bytes']);
    }
    return fields;
  }
}

/** Reads what the route needs of a request, before the request becomes invalid. */
function readRequest(req) {
  const header = (name) => fields.get(name) ?? '';
  const fields = new Map();
  req.forEach((name, value) => fields.set(name, fields.has(name) ? `${fields.get(name)}, ${value}` : value));
  const query = req.getQuery();
  return {
    method: req.getCaseSensitiveMethod(),
    path: req.getUrl(),
    query: query === undefined ? '' : `?${query}`,
    header,
    acceptsPages: header('accept').includes('text/html'),
  };
}

/** The properties of a file that HTTP uses: size, ETag and time of modification. */
function describe({ size, modified }) {
  return {
    size,
    // One of them changes with every write, unless two writes fall into one tick of the file system's clock.
    etag: `"${size.toString(16)}-${modified.toString(16)}"`,
    // RFC 9110 §8.8.2.1: never later than the response.
    modified: Math.floor(Math.min(Number(modified / 1_000_000n), Date.now()) / 1000),
  };
}

/** Answers without a file. */
function refuse(res, status, { method, path: from, query }) {
  res.cork(() => {
    res.writeStatus(STATUSES[status]);
    if (status === 301) res.writeHeader('Location', `${from}/${query}`);
    if (status === 503) res.writeHeader('Retry-After', '1');
    const text = `${STATUSES[status].slice(4)}\n`;
    res.writeHeader('Content-Type', 'text/plain; charset=utf-8');
    if (method === 'HEAD') res.endWithoutBody(text.length);
    else res.end(text);
  });
}

/** Answers 500 after an unexpected error. A response that has started can only be aborted. */
function fail(res) {
  try {
    res.writeStatus(STATUSES[500]).writeHeader('Content-Type', 'text/plain; charset=utf-8');
    res.end(`${STATUSES[500].slice(4)}\n`);
  } catch {
    closeIfOpen(res);
  }
}

function closeIfOpen(res) {
  try {
    res.close();
  } catch {
    // It was over.
  }
}

function readOptions(options) {
  if (options !== undefined && options !== null && (typeof options !== 'object')) {
    throw invalidType('options must be an object');
  }
  const { index = 'index.html', dotFiles = false, followSymlinks = false, fallback } = options ?? {};
  const { cacheControl = 'no-cache', headers = {}, contentTypes = {} } = options ?? {};
  if (index !== false) checkName('index', index, dotFiles);
  check('dotFiles', dotFiles, ['boolean']);
  check('followSymlinks', followSymlinks, ['boolean']);
  if (cacheControl !== null) check('cacheControl', cacheControl, ['string', 'function']);
  if (typeof cacheControl === 'string') checkField('Cache-Control', cacheControl);
  return {
    index: index === false ? undefined : index,
    dotFiles,
    followSymlinks,
    cacheControl,
    fallback: fallback === undefined ? undefined : checkName('fallback', fallback, dotFiles),
    headers: readTable('headers', headers).map(([name, value]) => checkField(name, value)),
    contentTypes: new Map(readTable('contentTypes', contentTypes).map(([extension, type]) => {
      return [extension.replace(/^\./, '').toLowerCase(), checkField('Content-Type', type)[1]];
    })),
  };
}

function check(name, value, types) {
  if (!types.includes(typeof value)) throw invalidType(`${name} must be a ${types.join(' or a ')}`);
}

/** Checks an option that is the path of a file, and returns the names of the path. */
function checkName(option, value, dotFiles) {
  check(option, value, ['string']);
  const names = value.includes('%') ? undefined : readNames(value, { dotFiles });
  if (names === undefined || names.at(-1) === '') {
    throw invalidValue(`${option} must be the path of a file below the directory, without leading slash`);
  }
  return names;
}

function readTable(option, table) {
  if (typeof table !== 'object' || table === null) throw invalidType(`${option} must be an object`);
  const entries = Object.entries(table);
  for (const [key, value] of entries) check(`${option}[${JSON.stringify(key)}]`, value, ['string']);
  return entries;
}

/** Checks a field (RFC 9110 §5.1, §5.5) when the route is made, and not with the first request. */
function checkField(name, value) {
  if (/^[!#$%&'*+\-.^_`|~\w]+$/.test(name) && !/[\0-\x08\x0a-\x1f\x7f]/.test(value)) return [name, value];
  throw Object.assign(new TypeError(`${name} must be a token, and its value without line breaks`), { code: 'ERR_HTTP_INVALID_HEADER' });
}

/** The real path of the folder. A symbolic link that is found on it later has replaced one of its folders. */
function realFolder(directory) {
  if (directory.includes('\0')) throw invalidValue('directory must not contain NUL');
  let real;
  try {
    real = fs.realpathSync(directory);
  } catch (error) {
    throw invalidValue(`directory cannot be served: ${error.message}`);
  }
  if (!fs.statSync(real).isDirectory()) throw invalidValue(`directory is no directory: ${directory}`);
  return real;
}

function invalidType(message) {
  return Object.assign(new TypeError(message), { code: 'ERR_INVALID_ARG_TYPE' });
}

function invalidValue(message) {
  return Object.assign(new TypeError(message), { code: 'ERR_INVALID_ARG_VALUE' });
}

module.exports = { FILE_OPTIONS, FileRoute };
