'use strict';

// A file that is open for a response. The addon opens it and makes sure that it is below its folder: Node.js can open
// paths only, and a path that was checked may name another file when it is opened.

const { abi, native } = require('../runtime/border.js');

const { FILE, FOLDER } = abi.file;

class OpenFile {
  #handle;

  /**
   * Opens the file or folder `relative` below the folder `root`, which is a real path. With `anywhere` symbolic links
   * may lead out of `root`. Rejects with the error of the system, as Node.js does.
   */
  static async open(root, relative, anywhere) {
    return new OpenFile(settled(await native.fileOpen(root, relative, anywhere), 'open', relative));
  }

  constructor([handle, kind, size, seconds, nanoseconds]) {
    this.#handle = handle;
    this.isFile = kind === FILE;
    this.isFolder = kind === FOLDER;
    /** In bytes. */
    this.size = size;
    /** When it was modified last, in nanoseconds since 1970. */
    this.modified = BigInt(seconds) * 1_000_000_000n + BigInt(nanoseconds);
  }

  /** A fresh Buffer with the bytes from `position` on: `length`, or fewer if the file ends before. */
  async read(position, length) {
    return settled(await native.fileRead(this.#handle, position, length), 'read');
  }

  /** Closes the file once pending reads are complete. */
  close() {
    native.fileClose(this.#handle);
  }
}

/** Returns the result of the addon; throws if it is a string, which describes an error. */
function settled(result, syscall, path) {
  if (typeof result !== 'string') return result;
  const [code] = result.split(':', 1);
  throw Object.assign(new Error(path === undefined ? `${result}, ${syscall}` : `${result}, ${syscall} '${path}'`), { code, syscall, path });
}

module.exports = { OpenFile };
