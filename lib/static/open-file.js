'use strict';

// A file that is open for a response. It is opened by the addon, which makes sure that it is below its folder: Node.js can
// open a path only, which may mean another file by the time it is opened.

const { abi, native } = require('../runtime/border.js');

const { FILE, FOLDER } = abi.file;

class OpenFile {
  #handle;

  /**
   * Opens what lies at `relative` below the folder `root`, which is a real path. Symbolic links may lead anywhere with
   * `anywhere`, else only to what is below `root`. Rejects with what the system says, as Node.js does.
   */
  static async open(root, relative, anywhere) {
    return new OpenFile(settled(await native.fileOpen(root, relative, anywhere), 'open', relative));
  }

  constructor([handle, kind, size, seconds, nanoseconds]) {
    this.#handle = handle;
    this.isFile = kind === FILE;
    this.isFolder = kind === FOLDER;
    /** Bytes. */
    this.size = size;
    /** When it was modified last, in nanoseconds since 1970. */
    this.modified = BigInt(seconds) * 1_000_000_000n + BigInt(nanoseconds);
  }

  /** A fresh Buffer with the bytes from `position` on: `length`, or fewer if the file ends before. */
  async read(position, length) {
    return settled(await native.fileRead(this.#handle, position, length), 'read');
  }

  /** Closes it, once what is being read is read. */
  close() {
    native.fileClose(this.#handle);
  }
}

/** What the addon resolves to, unless that is a text that says what went wrong. */
function settled(result, syscall, path) {
  if (typeof result !== 'string') return result;
  const [code] = result.split(':', 1);
  throw Object.assign(new Error(path === undefined ? `${result}, ${syscall}` : `${result}, ${syscall} '${path}'`), { code, syscall, path });
}

module.exports = { OpenFile };
