// Many connections at a time, each with a habit that is chosen by chance.

import { AssertionError } from 'node:assert';
import { once } from 'node:events';
import net from 'node:net';

import { oneOf } from './chance.mjs';

/** How long a connection may be silent, in milliseconds, before it is stuck. */
const PATIENCE = 15_000;

/** What comes with the next event of this name. Rejects if the connection is closed before. */
export async function next(socket, event) {
  if (socket.closed) throw new Error('closed');
  const end = new AbortController();
  const stop = () => end.abort();
  socket.once('close', stop);
  try {
    return await once(socket, event, { signal: end.signal });
  } finally {
    socket.off('close', stop);
  }
}

/** One connection with one habit. Resolves once the connection is closed, to how that went. */
async function connection(port, habits) {
  const socket = net.connect({ port, host: '127.0.0.1' });
  const closed = new Promise((resolve) => socket.on('close', resolve));
  const habit = oneOf(Object.keys(habits));
  socket.on('error', () => {});
  socket.setTimeout(PATIENCE, () => socket.destroy(new Error('stuck')));
  let wrong;
  const note = (error) => {
    if (error instanceof AssertionError) wrong = `${habit}: ${error.message}`;
  };
  await habits[habit](socket, port).catch(note);
  await closed;
  return { habit, wrong, stuck: socket.errored?.message === 'stuck' };
}

/**
 * So many connections at a time until `until` (a moment of `Date.now`). Resolves to the number of each habit, and of those
 * that hung, and to what habits have asserted in vain.
 */
export async function play(habits, port, until, width) {
  const counts = { stuck: 0 };
  const wrongs = [];
  const lane = async () => {
    while (Date.now() < until) {
      const { habit, wrong, stuck } = await connection(port, habits);
      counts[habit] = (counts[habit] ?? 0) + 1;
      counts.stuck += Number(stuck);
      if (wrong !== undefined) wrongs.push(wrong);
    }
  };
  await Promise.all(Array.from({ length: width }, lane));
  return { counts, wrongs };
}
