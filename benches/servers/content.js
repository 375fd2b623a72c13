'use strict';

/** What is streamed: 100 MB. */
const CONTENT = Buffer.alloc(100_000_000, 'ferrows ');
/** How much of it is offered at a time, as a file stream would. */
const PIECE = 64 * 1024;

module.exports = { CONTENT, PIECE };
