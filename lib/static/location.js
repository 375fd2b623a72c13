'use strict';

// From the path of a request to the path of a file below a folder, and nowhere else.

const isWindows = process.platform === 'win32';

/** What Windows takes for something else than a name: streams and drives, wildcards, names that lose their end, devices. */
const NO_WINDOWS_NAME = /[:*?"<>|]|[. ]$|^(?:con|prn|aux|nul|com\d|lpt\d)(?:\.|$)/i;

/**
 * The names on the way to a file, read from the part of a raw path that a wildcard stands for. An empty last name means
 * that the path ends with a slash, and so means a folder. `undefined`: there can be no such file here.
 *
 * Every name is decoded by itself, once, so that nothing that a name contains becomes a separator; and no name is left
 * that means anything but an entry of its folder. Two paths never mean the same file, apart from the ways to write a
 * character.
 */
function readNames(rest, { dotFiles = false, windows = isWindows } = {}) {
  const names = [];
  const parts = rest.split('/');
  for (const [index, part] of parts.entries()) {
    const name = decode(part);
    if (name === '' && index === parts.length - 1) names.push('');
    else if (name === undefined || !isName(name, windows) || (!dotFiles && name.startsWith('.'))) return undefined;
    else names.push(name);
  }
  return names;
}

function decode(part) {
  if (!part.includes('%')) return part;
  try {
    return decodeURIComponent(part);
  } catch {
    return undefined;
  }
}

function isName(name, windows) {
  if (name === '' || name === '.' || name === '..' || /[/\\\0]/.test(name)) return false;
  return !windows || !NO_WINDOWS_NAME.test(name);
}

module.exports = { readNames };
