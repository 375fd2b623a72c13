'use strict';

// Converts the path of a request to the path of a file below a folder; never to one outside of it.

const isWindows = process.platform === 'win32';

/**
 * Names with another meaning on Windows: streams and drives, wildcards, trailing dots and blanks that it drops,
 * devices.
 */
const NO_WINDOWS_NAME = /[:*?"<>|]|[. ]$|^(?:con|prn|aux|nul|com\d|lpt\d)(?:\.|$)/i;

/**
 * Reads the names of folders and file from the part of a raw path that a wildcard matches. An empty last name means
 * that the path ends with a slash, so it is a folder's. Returns `undefined` if there can be no such file.
 *
 * Every name is decoded by itself, once, so that no decoded character becomes a separator. Only names of entries of a
 * folder are accepted (no `..`). Two paths never name the same file, apart from different percent-encodings.
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
