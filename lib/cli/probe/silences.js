'use strict';

// How long a line may be silent: lines side by side, each silent for another time, in each direction.

const { setMaxListeners } = require('events');
const { setTimeout: sleep } = require('timers/promises');
const { performance } = require('perf_hooks');

/** Each silence is a little longer than its name, so that a cut-off at 60 s is over when the line of 60 s is looked at. */
const MARGIN = 1.04;
/** Between the beginnings of two lines, so that a server is not overrun. */
const STAGGER = 20;
/** A silence is good enough if it was that much of what was asked for: the server may have said something. */
const SILENT_ENOUGH = 0.98;
/** Between a silence that was survived and one that was not there may be this factor before it is looked at closer. */
const FINE = 1.12;
const REFINEMENTS = 4;
/** How much longer than asked for it may take to find something out. */
const LATER = 1.1;
/** What of the cut-off a ping is sent after. */
const BEFORE_THE_CUT = 0.75;
/** The lines on which only the client sends do so after at most so many seconds. */
const MAX_BEAT = 10;
const NOTHING = Buffer.alloc(0);

/** Who sends on a line, while it is watched. */
const MODES = ['quiet', 'sending', 'pinged', 'deaf'];

/**
 * A line that is watched: `{ mode, silence, state, … }`.
 *
 * `mode`: `'quiet'` (nobody sends, but the client answers pings), `'sending'` (only the client sends, what has no answer),
 * `'pinged'` (the client pings every `beat` seconds), `'deaf'` (the client does not even answer pings).
 *
 * `state`: `'opening'`, `'waiting'`, `'asking'`, then one of `'survived'`, `'cut'` (with `end`), `'forgotten'` (it ended when it was
 * used again, with `end`), `'silent'` (no answer came), `'unknown'` (the server answers no pings), `'refused'` (with `reason`),
 * `'stopped'` (the user has had enough). `silentFor` is the longest silence, in seconds, that was had: of both sides,
 * or for `'sending'` of the server.
 */
class Watch {
  state = 'opening';
  silentFor;
  age;
  end;
  line;
  heard = { pings: 0, messages: 0, firstPing: undefined };

  constructor(mode, silence, beat) {
    this.mode = mode;
    /** Seconds that the line is watched, by name; undefined for those that are watched to the end. */
    this.silence = silence;
    this.beat = beat;
  }
}

class Silences {
  watches = [];
  #open;
  #report;
  #answerTime;
  #answersPings;
  #stop = new AbortController();
  #running = [];
  #max;
  #started;
  #beat;
  /** When the last line that was begun later is over, in ms from the beginning. */
  #latest = 0;

  /**
   * `silences` in seconds, ascending; `beat` is how often the line with pings is pinged, in seconds. `open(options)` opens a
   * line; `answerTime` is how long an answer may take, in ms; `report(watch)` is called whenever the state of one changes.
   */
  constructor({ silences, beat, open, report, answerTime, answersPings }) {
    this.#open = open;
    this.#report = report;
    this.#answerTime = answerTime;
    this.#answersPings = answersPings;
    this.#beat = beat;
    this.#max = silences.at(-1);
    this.silences = silences;
    setMaxListeners(0, this.#stop.signal);
  }

  /** When all is over, in ms from the beginning, if nothing else is found: what progress is measured by. */
  get length() {
    return Math.max(this.#max * MARGIN * 1000, this.#latest) + this.#answerTime;
  }

  /** Stops: what is known so far is what there is. */
  stop() {
    this.#stop.abort();
  }

  async run() {
    this.#started = performance.now();
    const { silences } = this;
    for (const silence of silences) this.#begin(new Watch('quiet', silence));
    // Half of them: how long it takes is known from the quiet ones, here it counts whether.
    for (const silence of silences.filter((_, index) => (silences.length - 1 - index) % 2 === 0)) {
      this.#begin(new Watch('sending', silence, Math.min(silences[0] / 2, MAX_BEAT)));
    }
    this.#begin(new Watch('pinged', this.#max, this.#beat));
    this.#begin(new Watch('deaf', this.#max));
    // Some begin later, because of what is found.
    for (let index = 0; index < this.#running.length; index++) await this.#running[index];
  }

  #begin(watch) {
    this.watches.push(watch);
    this.#running.push(this.#watch(watch, this.#running.length * STAGGER));
  }

  async #watch(watch, delay) {
    await this.#sleep(Math.min(delay, 500));
    if (this.#stop.signal.aborted) {
      this.#set(watch, 'stopped');
      return;
    }
    this.#report(watch);
    try {
      watch.line = await this.#open({ answersPings: watch.mode !== 'deaf' });
    } catch (error) {
      watch.reason = error.message;
      this.#set(watch, 'refused');
      return;
    }
    await this.#waitIn(watch);
    this.#conclude(watch);
    watch.line.leave();
    this.#follow(watch);
  }

  /** Lets the line be silent, or keeps it busy, and looks what has become of it. */
  async #waitIn(watch) {
    const { line, mode, silence, beat } = watch;
    line.on('ping', () => {
      watch.heard.pings++;
      watch.heard.firstPing ??= line.age / 1000;
    });
    line.on('message', () => watch.heard.messages++);
    this.#set(watch, 'waiting');
    const ended = new Promise((resolve) => {
      if (!line.isOpen) resolve();
      line.once('end', resolve);
    });
    let timer;
    if (mode === 'pinged') timer = setInterval(() => line.ping(NOTHING), beat * 1000);
    if (mode === 'sending') timer = setInterval(() => line.pong(NOTHING), beat * 1000);
    const length = watch.length ?? silence * MARGIN * 1000;
    await Promise.race([ended, this.#sleep(length)]);
    clearInterval(timer);
    const { both, server } = line.silences;
    watch.silentFor = (mode === 'sending' ? server : both) / 1000;
    if (!line.isOpen) {
      this.#set(watch, 'cut');
    } else if (this.#stop.signal.aborted) {
      this.#set(watch, 'stopped');
    } else if (!this.#answersPings) {
      this.#set(watch, 'unknown');
    } else {
      this.#set(watch, 'asking');
      const answer = await line.roundTrip(this.#answerTime);
      if (answer !== undefined) this.#set(watch, 'survived');
      else if (!line.isOpen) this.#set(watch, 'forgotten');
      else this.#set(watch, 'silent');
    }
  }

  /** Notes how it ended, if it did. */
  #conclude(watch) {
    const { line, mode, state } = watch;
    watch.age = (line.end?.age ?? line.age) / 1000;
    watch.end = line.end;
    if (state === 'cut') watch.silentFor = (mode === 'sending' ? line.end.heardFor : line.end.silentFor) / 1000;
    this.#report(watch);
  }

  /** What a result gives rise to: a closer look, and a line that is pinged in time. */
  #follow(watch) {
    if (watch.mode !== 'quiet' || watch.isFollowUp) return;
    const { state } = watch;
    if (!['cut', 'forgotten', 'silent'].includes(state) || this.#stop.signal.aborted) return;
    const { shortest, longest } = cutIn(this.watches);
    if (state !== 'cut' && longest === watch.silentFor && longest / Math.max(shortest, longest / 10) > FINE) {
      const from = Math.max(shortest, longest / 10);
      const step = (longest - from) / (REFINEMENTS + 1);
      for (let index = 1; index <= REFINEMENTS; index++) this.#beginLater('quiet', (from + index * step) / MARGIN);
    }
    if (!this.watches.some(({ mode, isFollowUp }) => mode === 'pinged' && isFollowUp)) {
      const beat = pingFor(shortest > 0 && state !== 'cut' ? shortest : watch.silentFor);
      if (beat < this.#beat * 0.9 || beat > this.#beat * 1.1) this.#beginLater('pinged', longest * 1.05, beat);
    }
  }

  /** Begins a line if it will be over about as soon as the others. */
  #beginLater(mode, silence, beat) {
    const watch = new Watch(mode, silence, beat);
    watch.isFollowUp = true;
    const elapsed = performance.now() - this.#started;
    const end = this.#max * MARGIN * 1000;
    const length = silence * MARGIN * 1000;
    if (elapsed + length > end * LATER) return;
    watch.length = mode === 'pinged' ? Math.max(length, end - elapsed) : length;
    this.#latest = Math.max(this.#latest, elapsed + watch.length);
    this.#begin(watch);
  }

  #set(watch, state) {
    watch.state = state;
    this.#report(watch);
  }

  async #sleep(milliseconds) {
    try {
      await sleep(milliseconds, undefined, { signal: this.#stop.signal });
    } catch {
      // Stopped.
    }
  }
}

/** A good time of silence to ping after, for a cut-off after so many seconds. */
function pingFor(cut) {
  // A cut after 60 s is measured a little before that.
  const seconds = cut * BEFORE_THE_CUT * 1.001;
  if (seconds >= 20) return Math.floor(seconds / 5) * 5;
  return seconds >= 2 ? Math.floor(seconds) : seconds;
}

const LOST = new Set(['cut', 'forgotten', 'silent']);

/**
 * What the quiet lines (or those of another mode) say together: undefined if none was lost, otherwise
 * `{ shortest, longest, lost, survived, hows }`: the longest silence that was survived, and the shortest that was not, in
 * seconds. They are nearly the same where the cut was seen as it happened.
 */
function cutIn(watches, mode = 'quiet') {
  const lost = watches.filter((watch) => watch.mode === mode && LOST.has(watch.state) && watch.silentFor !== undefined);
  if (lost.length === 0) return undefined;
  const longest = Math.min(...lost.map(({ silentFor }) => silentFor));
  const survivors = watches.filter((watch) => watch.mode === mode && watch.state === 'survived' && watch.silentFor < longest);
  const shortest = Math.max(0, ...survivors.map(({ silentFor }) => silentFor));
  const seen = lost.filter(({ state }) => state === 'cut').map(({ silentFor }) => silentFor).sort((a, b) => a - b);
  return {
    shortest: seen.length > 0 ? longest : shortest, longest, lost, isSeen: seen.length > 0,
    // The middle one: a timer that looks around once a second finds some a little later.
    typical: seen.length > 0 ? seen[Math.floor((seen.length - 1) / 2)] : undefined,
  };
}

module.exports = { cutIn, MARGIN, MODES, pingFor, SILENT_ENOUGH, Silences };
