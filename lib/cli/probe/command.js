'use strict';

// `ferrows probe`: opens connections side by side, and says what a WebSocket on this way has to expect.

const { once, setMaxListeners } = require('events');
const { readFileSync } = require('fs');

const { parseArguments, readSeconds, UsageError } = require('../arguments.js');
const { harmless } = require('../terminal.js');
const { deflateFor } = require('./deflate.js');
const { ProbeFailure } = require('./failure.js');
const { openWebSocket } = require('./handshake.js');
const { askForHttp2 } = require('./http2.js');
const { Line } = require('./line.js');
const { tryMessages } = require('./messages.js');
const { progressOn } = require('./progress.js');
const { reportJson, reportText } = require('./report.js');
const { respondersIn } = require('./responders.js');
const { Silences } = require('./silences.js');
const { readAddress, readTarget } = require('./target.js');
const { verdictOn } = require('./verdict.js');

/** In seconds: where products cut, and a few before, to find what cuts sooner. */
const SILENCES = [5, 10, 20, 30, 55, 60, 100, 120, 240, 300, 350, 600];
const MAX = 120;
const TIMEOUT = 10;
/** An answer takes no longer; less where the connection may not take that long. */
const ANSWER = 5;
const PINGS = 5;
const MAX_REDIRECTS = 5;
/** `--silences` are at most so many. */
const MAX_LINES = 32;

const EXIT = { FINE: 0, FOUND: 1, USAGE: 2, FAILED: 3, INTERRUPTED: 130 };

const OPTIONS = {
  max: 'text', silences: 'text', ping: 'text', timeout: 'text', header: 'texts', protocol: 'texts', origin: 'text', ca: 'text',
  insecure: 'flag', 'connect-to': 'text', 'no-messages': 'flag', json: 'flag', help: 'flag',
};

const HELP = `Usage: ferrows probe [options] <url>

Opens connections to a WebSocket server side by side, and finds out: what the handshake says; how long
the line may be silent, in each direction; who cuts it, how, and what to change; whether pings keep it
open; whether messages pass unharmed (if the server echoes). It takes a little longer than --max.

  --max SECONDS        the longest silence that is tried (${MAX}). Tried are those of
                       ${SILENCES.join(', ')} that are not longer
  --silences LIST      other silences, in seconds: 2,5,90
  --ping SECONDS       how often the line that is pinged is (half of the shortest silence)
  --timeout SECONDS    how long opening a connection may take (${TIMEOUT}); an answer, at most ${ANSWER}
  --header 'NAME: V'   a header of the handshake; may be given several times
  --origin ORIGIN      the same as --header 'Origin: …'
  --protocol NAME      a subprotocol that is offered; may be given several times
  --ca FILE            certificates to trust, as PEM
  --insecure           trusts any certificate
  --connect-to H:P     connects there instead of where the url says: past a proxy, for instance
  --no-messages        sends no messages, only pings. Otherwise the server gets a text that begins with
                       “ferrows probe”, and more if it echoes that
  --json               the results as JSON on stdout
  --help               this text

What is going on is written to stderr, the report to stdout. Ctrl+C ends it with what is known so far.
Exit code: ${EXIT.FINE} nothing has to be changed, ${EXIT.FOUND} something was found, ${EXIT.USAGE} wrong arguments, ${EXIT.FAILED} no connection, ${EXIT.INTERRUPTED} Ctrl+C.
See docs/probe.md.
`;

/** Runs the command and returns its exit code. */
async function runProbe(args, { stdout, stderr }) {
  const { options: given, values } = parseArguments(args, OPTIONS);
  if (given.help) {
    stdout.write(HELP);
    return EXIT.FINE;
  }
  const options = readOptions(given);
  if (values.length !== 1) throw new UsageError(values.length === 0 ? 'Which server? Give the url of a WebSocket.' : 'One url at a time.');
  const probe = new Probe(readTarget(values[0]), options, progressOn(stderr));

  const interrupt = () => probe.stop();
  // A second Ctrl+C ends the process, as always.
  process.once('SIGINT', interrupt);
  let result;
  try {
    result = await probe.run();
  } finally {
    process.removeListener('SIGINT', interrupt);
    probe.end();
  }

  result.verdict = result.failure === undefined ? verdictOn(result) : [{ kind: 'problem', text: result.failure.message }];
  const code = exitCodeOf(result);
  if (options.isJson) stdout.write(`${JSON.stringify(reportJson(result, code), null, 2)}\n`);
  else if (result.failure !== undefined) stderr.write(`${result.failure.message}\n`);
  else stdout.write(reportText(result, stdout));
  return code;
}

function exitCodeOf({ failure, isInterrupted, verdict }) {
  if (isInterrupted) return EXIT.INTERRUPTED;
  if (failure !== undefined) return EXIT.FAILED;
  return verdict.some(({ kind }) => kind === 'problem') ? EXIT.FOUND : EXIT.FINE;
}

function readOptions(given) {
  const max = readSeconds(given, 'max', MAX);
  const silences = given.silences === undefined ? upTo(max) : readSilences(given.silences);
  const timeout = readSeconds(given, 'timeout', TIMEOUT, 600);
  const headers = (given.header ?? []).map(readHeader);
  if (given.origin !== undefined) headers.push(['Origin', readHeader(`Origin: ${given.origin}`)[1]]);
  return {
    silences, timeout, headers,
    beat: readSeconds(given, 'ping', Math.min(silences[0] / 2, 20)),
    answerTime: Math.min(timeout, ANSWER) * 1000,
    protocols: (given.protocol ?? []).flatMap((text) => text.split(',')).map((text) => readProtocol(text.trim())),
    ca: given.ca === undefined ? undefined : readFile(given.ca),
    isInsecure: given.insecure === true,
    connectTo: given['connect-to'] === undefined ? undefined : readAddress(given['connect-to']),
    isWithoutMessages: given['no-messages'] === true,
    isJson: given.json === true,
  };
}

/** The known silences that are not longer, and the longest one itself. */
function upTo(max) {
  const silences = SILENCES.filter((silence) => silence < max);
  return [...silences, max];
}

function readSilences(text) {
  const silences = text.split(',').map((one) => readSeconds({ silences: one }, 'silences'));
  if (silences.length > MAX_LINES) throw new UsageError(`--silences takes at most ${MAX_LINES}.`);
  return [...new Set(silences)].sort((a, b) => a - b);
}

const TOKEN = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/;

function readHeader(text) {
  const [, name, value] = text.match(/^([^:]+):\s*(.*)$/s) ?? [];
  if (name === undefined || !TOKEN.test(name)) throw new UsageError(`--header must be 'Name: value', not “${harmless(text)}”.`);
  if (/[^\t\u0020-\u007e\u0080-\u00ff]/.test(value)) throw new UsageError(`The value of the header ${name} has characters that no header may have.`);
  return [name, value];
}

function readProtocol(text) {
  if (!TOKEN.test(text)) throw new UsageError(`--protocol must be the name of a subprotocol, not “${harmless(text)}”.`);
  return text;
}

function readFile(path) {
  try {
    return readFileSync(path);
  } catch (error) {
    throw new UsageError(`--ca: ${path} cannot be read (${error.code}).`);
  }
}

/** One run: what is known so far is `result`. */
class Probe {
  #target;
  #options;
  #progress;
  #result = { redirects: [], watches: [], isInterrupted: false };
  #silences;
  /** Settles when all lines are done with their silences. */
  #settled;
  #lines = new Set();
  #interruption = new AbortController();

  constructor(target, options, progress) {
    this.#target = target;
    this.#options = options;
    this.#progress = progress;
    this.#result.url = target.url;
    this.#result.options = { isWithoutMessages: options.isWithoutMessages };
    setMaxListeners(0, this.#interruption.signal);
  }

  /** Ends it with what is known. */
  stop() {
    this.#result.isInterrupted = true;
    this.#silences?.stop();
    this.#interruption.abort();
  }

  /** Leaves all connections. */
  end() {
    this.#progress.end();
    for (const line of this.#lines) line.leave();
  }

  async run() {
    await Promise.race([this.#run(), once(this.#interruption.signal, 'abort')]);
    // The lines know how long they have been silent once they have stopped.
    await this.#settled;
    return this.#result;
  }

  async #run() {
    let first;
    try {
      first = await this.#openFirst();
    } catch (error) {
      if (!(error instanceof ProbeFailure)) throw error;
      if (this.#result.isInterrupted) return;
      this.#result.failure = error;
      return;
    }
    const asked = this.#target.isSecure ? askForHttp2(this.#target, this.#options) : undefined;
    this.#result.roundTrip = await this.#measure(first);
    first.leave();
    const { roundTrip } = this.#result;
    this.#progress.say(roundTrip === undefined ? 'the server does not answer pings' : `round trip ${roundTrip.median.toFixed(1)} ms`);
    this.#result.answersPings = roundTrip !== undefined;
    this.#result.http2 = await asked;
    if (this.#result.isInterrupted) return;
    await Promise.all([this.#beSilent(), this.#sendMessages()]);
  }

  /** The first connection, which shows what the handshake says, and where redirects lead. */
  async #openFirst() {
    const seen = new Set();
    for (;;) {
      seen.add(this.#target.url);
      try {
        const line = await this.#open({ offersCompression: true }, (handshake) => {
          this.#result.handshake = handshake;
          this.#result.responders = respondersIn(handshake.headers);
          this.#options.address = handshake.address.address;
          this.#progress.say(`connected to ${harmless(this.#target.url)} in ${Math.round(handshake.times.total)} ms`);
        });
        return line;
      } catch (error) {
        const { location } = error.details ?? {};
        if (location === undefined) throw error;
        this.#redirect(location, seen);
      }
    }
  }

  #redirect(location, seen) {
    let next;
    try {
      next = readTarget(location, this.#target.url.replace(/^ws/, 'http'));
    } catch (error) {
      throw new ProbeFailure('REDIRECT', `${this.#target.url} redirects to “${harmless(location)}”, which is no address of a WebSocket. ${error.message}`);
    }
    if (seen.has(next.url)) throw new ProbeFailure('REDIRECT', `${this.#target.url} redirects in a circle, by ${next.url}.`);
    if (seen.size > MAX_REDIRECTS) throw new ProbeFailure('REDIRECT', `${this.#result.redirects[0]} redirects more than ${MAX_REDIRECTS} times.`);
    this.#result.redirects.push(this.#target.url);
    this.#progress.say(`redirected to ${harmless(next.url)}`);
    // Credentials are for the server that they were given for.
    if (next.host === this.#target.host) next.authorization ??= this.#target.authorization;
    this.#target = next;
    this.#result.url = next.url;
  }

  /** Opens a line; `tell` gets the handshake. */
  async #open({ offersCompression = false, answersPings }, tell = () => {}) {
    const { socket, head, handshake } = await openWebSocket(this.#target, {
      ...this.#options, offersCompression, signal: this.#interruption.signal,
    });
    tell(handshake);
    const line = new Line({ socket, head }, { answersPings, deflate: offersCompression ? deflateFor(handshake.extensions) : undefined });
    this.#lines.add(line);
    line.once('end', () => this.#lines.delete(line));
    if (this.#result.isInterrupted) line.leave();
    return line;
  }

  async #measure(line) {
    const times = [];
    for (let count = 0; count < PINGS; count++) {
      const time = await line.roundTrip(this.#options.answerTime);
      if (time === undefined) break;
      times.push(time);
    }
    if (times.length === 0) return undefined;
    times.sort((a, b) => a - b);
    return { min: times[0], median: times[times.length >> 1], max: times.at(-1), count: times.length };
  }

  #beSilent() {
    const { silences, beat, answerTime } = this.#options;
    this.#silences = new Silences({
      silences, beat, answerTime, answersPings: this.#result.answersPings, open: (how) => this.#open(how),
      report: (watch) => this.#progress.watch(watch),
    });
    this.#result.watches = this.#silences.watches;
    this.#progress.begin(this.#silences);
    this.#settled = this.#silences.run();
    return this.#settled;
  }

  async #sendMessages() {
    if (this.#options.isWithoutMessages) return;
    this.#result.messages = {};
    await tryMessages({
      open: (how) => this.#open(how), time: this.#options.answerTime, isOver: () => this.#result.isInterrupted,
      report: (name, value) => {
        this.#result.messages[name] = value;
        this.#progress.say(`messages: ${name} ${value.outcome}`);
      },
    });
  }
}

module.exports = { runProbe };
