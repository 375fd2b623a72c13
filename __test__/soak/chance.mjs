// Chance and time, for the habits of the clients.

/** A whole number from 0 to `most`. */
export const upTo = (most) => Math.floor(Math.random() * (most + 1));

/** One of the items. */
export const oneOf = (items) => items[upTo(items.length - 1)];

/** Resolves after so many milliseconds. */
export function pause(milliseconds) {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}
