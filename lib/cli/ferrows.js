#!/usr/bin/env node
'use strict';

// The program `ferrows`: `npx ferrows probe` and `npx ferrows explain`. Neither loads the native addon, so both run on
// machines for which there is none.

const { UsageError } = require('./arguments.js');
const { harmless } = require('./terminal.js');

const COMMANDS = {
  explain: () => require('./explain.js').runExplain,
  probe: () => require('./probe/command.js').runProbe,
};

const HELP = `Usage: ferrows <command> ...

  ferrows probe wss://example.com/chat     finds out how long a WebSocket may be silent, who cuts it, and what to change
  ferrows explain 1006 ERR_FIN_WITHOUT_CLOSE
                                           says what a close code or a cause means and what to do

“ferrows <command> --help” says more.
`;

/** Bad arguments. */
const USAGE = 2;

async function main([name, ...args], streams) {
  if (name === '--version' || name === '-v') {
    streams.stdout.write(`${require('../../package.json').version}\n`);
    return 0;
  }
  if (name === undefined || name === '--help' || name === '-h' || name === 'help') {
    (name === undefined ? streams.stderr : streams.stdout).write(HELP);
    return name === undefined ? USAGE : 0;
  }
  if (!Object.hasOwn(COMMANDS, name)) {
    streams.stderr.write(`There is no command “${harmless(name)}”.\n\n${HELP}`);
    return USAGE;
  }
  try {
    return await COMMANDS[name]()(args, streams);
  } catch (error) {
    if (!(error instanceof UsageError)) throw error;
    streams.stderr.write(`${error.message}\n“ferrows ${name} --help” lists the options.\n`);
    return USAGE;
  }
}

// A reader such as `head` may leave before everything is written.
process.stdout.on('error', (error) => {
  if (error.code !== 'EPIPE') throw error;
  process.exit();
});

main(process.argv.slice(2), { stdout: process.stdout, stderr: process.stderr }).then((code) => {
  process.exitCode = code;
});
