'use strict';

// What index.d.ts declares exists at run time, and nothing else does.

const { execFileSync } = require('node:child_process');
const { once } = require('node:events');
const { readdirSync, readFileSync } = require('node:fs');
const { join } = require('node:path');
const ts = require('typescript');
const WebSocket = require('ws');

const uWS = require('../..');

const ROOT = join(__dirname, '..', '..');
const declared = readDeclarations();

describe('exports', () => {
  test('require: the exported names are those of index.d.ts', () => {
    expect(Object.keys(uWS).sort()).toEqual([...declared.values.keys()].sort());
  });

  test('require: constants have the values of index.d.ts', () => {
    const constants = [...declared.values].filter(([, literal]) => literal !== undefined);
    expect(constants.length).toBeGreaterThan(0);
    expect(Object.fromEntries(constants.map(([name]) => [name, uWS[name]]))).toEqual(Object.fromEntries(constants));
  });

  test('require: enums and namespaces are the objects that TypeScript takes them for', () => {
    expect([...declared.objects.keys()]).toEqual(['ListenOptions', 'EnvironmentVariables']);
    for (const [name, object] of declared.objects) {
      expect(uWS[name]).toStrictEqual(object);
      expect(Object.isFrozen(uWS[name])).toBe(true);
    }
    for (const name of ['LIBUS_LISTEN_DEFAULT', 'LIBUS_LISTEN_EXCLUSIVE_PORT']) expect(uWS.ListenOptions[name]).toBe(uWS[name]);
  });

  test('import: the names are those of require, and the default export is the object of require', () => {
    // Jest runs no native ES modules, so another process looks.
    const script = `
      import { createRequire } from 'node:module';
      import * as namespace from 'ferrows';
      const required = createRequire(import.meta.url)('ferrows');
      const { default: main, ...named } = namespace;
      const same = Object.keys(named).filter((name) => named[name] === required[name]);
      console.log(JSON.stringify({ same, all: Object.keys(named), isDefault: main === required }));
    `;
    const output = execFileSync(process.execPath, ['--input-type=module', '--eval', script], { cwd: ROOT });
    const { same, all, isDefault } = JSON.parse(output);
    expect(isDefault).toBe(true);
    expect(same).toEqual(all);
    expect(all.sort()).toEqual([...declared.values.keys()].sort());
  });
});

describe('objects', () => {
  const live = {};
  let client;

  beforeAll(async () => {
    live.TemplatedApp = uWS.App()
      .filter((connection) => { live.HttpConnection = connection; })
      .ws('/ws', { open: (ws) => { live.WebSocket = ws; } })
      .get('/cached', (res) => {
        live.CachedHttpResponse = res;
        res.end();
      }, { upperExpiry: 1 })
      .any('/*', (res, req) => {
        Object.assign(live, { HttpResponse: res, HttpRequest: req });
        res.end();
      });
    const port = await new Promise((resolve, reject) => {
      live.TemplatedApp.listen('127.0.0.1', 0, (token, error) => {
        if (token) resolve(uWS.us_socket_local_port(token));
        else reject(error);
      });
    });
    for (const path of ['/', '/cached']) await (await fetch(`http://127.0.0.1:${port}${path}`)).text();
    live.DeclarativeResponse = new uWS.DeclarativeResponse();
    client = new WebSocket(`ws://127.0.0.1:${port}/ws`);
    await once(client, 'open');
  });

  afterAll(() => {
    client.terminate();
    live.TemplatedApp.close();
  });

  test.each([
    ['TemplatedApp', 'uWS.App'],
    ['HttpConnection', 'uWS.HttpConnection'],
    ['HttpRequest', 'uWS.HttpRequest'],
    ['HttpResponse', 'uWS.HttpResponse'],
    ['CachedHttpResponse', 'uWS.CachedHttpResponse'],
    ['WebSocket', 'uWS.WebSocket'],
    ['DeclarativeResponse', 'DeclarativeResponse'],
  ])('%s: its members are those of index.d.ts, and its constructor is called %s', (name, constructorName) => {
    expect(live[name].constructor.name).toBe(constructorName);
    expect(inheritedNames(live[name])).toEqual([...declared.members.get(name)].sort());
    expect(Object.keys(live[name])).toEqual([]);
  });
});

describe('vocabulary', () => {
  test('CloseCauseName lists the names of src/protocol/cause.rs', () => {
    const names = declared.unions.get('CloseCauseName');
    expect([...names].sort()).toEqual(codesIn(/["']((?:ERR|CLOSED)_[A-Z0-9_]+)["']/g, ['src/protocol/cause.rs']));
  });

  test('ConnectErrorCode lists the names of src/protocol/connect.rs', () => {
    const names = declared.unions.get('ConnectErrorCode');
    expect([...names].sort()).toEqual(codesIn(/"(ERR_CONNECT_[A-Z0-9]+)"/g, ['src/protocol/connect.rs']));
  });

  test('BrokerCauseCode lists the names of src/broker/cause.rs', () => {
    const names = declared.unions.get('BrokerCauseCode');
    expect([...names].sort()).toEqual(codesIn(/"(ERR_BROKER_[A-Z_]+)"/g, ['src/broker/cause.rs']));
  });

  test('ErrorCode and ListenErrorCode list the codes that src/node and the JavaScript files use', () => {
    const rust = readdirSync(join(ROOT, 'src/node'), { recursive: true }).filter((file) => file.endsWith('.rs'));
    // What lib/static and lib/cli know of codes are those of the system, which they throw at nobody; for lib/ws/errors.js see
    // the next tests.
    const library = readdirSync(join(ROOT, 'lib'), { recursive: true })
      .filter((file) => file.endsWith('.js') && !/^(?:static|cli)\b|^ws.errors\.js$|^websocket.reconnect\.js$/.test(file));
    const scripts = library.map((file) => join('lib', file));
    const files = ['index.js', 'binding.js', 'src/tls/error.rs', ...scripts, ...rust.map((file) => join('src/node', file))];
    const codes = new Set([...declared.unions.get('ErrorCode'), ...declared.unions.get('ListenErrorCode')]);
    expect([...codes].sort()).toEqual(codesIn(/["'](E(?:RR_)?[A-Z0-9_]+)["']/g, files));
  });

  test('what lib/websocket/reconnect.js takes for temporary are failures of connect', () => {
    const known = codesIn(/'(ERR_CONNECT_[A-Z]+)'/g, [join('lib', 'websocket', 'reconnect.js')]);
    expect(known).toHaveLength(7);
    expect(known.filter((name) => !declared.unions.get('ConnectErrorCode').has(name))).toEqual([]);
  });

  test('what lib/ws/errors.js knows are causes', () => {
    const causes = [...declared.unions.get('CloseCauseName'), ...declared.unions.get('ConnectErrorCode')];
    const known = codesIn(/["']((?:ERR|CLOSED)_[A-Z0-9_]+)["']/g, [join('lib', 'ws', 'errors.js')]);
    expect(known.length).toBeGreaterThan(15);
    expect(known.filter((name) => !causes.includes(name))).toEqual([]);
    // All rules of frames and messages that a peer can break.
    const rules = causes.filter((name) => /^ERR_(?:FRAME|CLOSE_[CPR]|MESSAGE|INFLATED|INVALID)/.test(name));
    expect(rules.filter((name) => !known.includes(name))).toEqual([]);
  });
});

/**
 * What index.d.ts declares: exported values with their literal types, enums and namespaces as the objects that they are, interfaces and classes with the names of their
 * members, those of interfaces above them included,
 * unions of string literals.
 */
function readDeclarations() {
  const path = join(ROOT, 'index.d.ts');
  const source = ts.createSourceFile(path, readFileSync(path, 'utf8'), ts.ScriptTarget.Latest);
  const values = new Map();
  const members = new Map();
  const unions = new Map();
  const objects = new Map();
  for (const statement of source.statements) {
    if (!statement.modifiers?.some(({ kind }) => kind === ts.SyntaxKind.ExportKeyword)) continue;
    if (ts.isFunctionDeclaration(statement)) {
      values.set(statement.name.text, undefined);
    } else if (ts.isVariableStatement(statement)) {
      for (const { name, type } of statement.declarationList.declarations) {
        values.set(name.text, Number(type.literal.text));
      }
    } else if (ts.isEnumDeclaration(statement)) {
      const entries = statement.members.map(({ name, initializer }) => [name.text, Number(initializer.text)]);
      values.set(statement.name.text, undefined);
      objects.set(statement.name.text, Object.fromEntries(entries.flatMap(([name, value]) => [[name, value], [value, name]])));
    } else if (ts.isModuleDeclaration(statement)) {
      const names = statement.body.statements.flatMap(({ declarationList }) => declarationList.declarations.map(({ name }) => name.text));
      values.set(statement.name.text, undefined);
      objects.set(statement.name.text, Object.fromEntries(names.map((name) => [name, undefined])));
    } else if (ts.isInterfaceDeclaration(statement) || ts.isClassDeclaration(statement)) {
      if (ts.isClassDeclaration(statement)) values.set(statement.name.text, undefined);
      const named = statement.members.filter(({ name }) => name !== undefined && ts.isIdentifier(name));
      const bases = (statement.heritageClauses ?? []).flatMap(({ types }) => [...types]);
      const inherited = bases.flatMap(({ expression }) => [...members.get(expression.text) ?? []]);
      members.set(statement.name.text, new Set([...inherited, ...named.map(({ name }) => name.text)]));
    } else if (ts.isTypeAliasDeclaration(statement) && ts.isUnionTypeNode(statement.type)) {
      const literals = statement.type.types.filter(ts.isLiteralTypeNode);
      unions.set(statement.name.text, new Set(literals.map(({ literal }) => literal.text)));
    }
  }
  return { values, members, unions, objects };
}

/** The names an object inherits from its classes, sorted. */
function inheritedNames(object) {
  const names = new Set();
  let prototype = Object.getPrototypeOf(object);
  while (prototype !== Object.prototype) {
    Object.getOwnPropertyNames(prototype).forEach((name) => names.add(name));
    prototype = Object.getPrototypeOf(prototype);
  }
  names.delete('constructor');
  return [...names].sort();
}

/** The string literals of source files that `pattern` finds, sorted. */
function codesIn(pattern, files) {
  const texts = files.map((file) => readFileSync(join(ROOT, file), 'utf8'));
  const found = texts.join('\n').matchAll(pattern);
  return [...new Set(Array.from(found, ([, code]) => code))].sort();
}
