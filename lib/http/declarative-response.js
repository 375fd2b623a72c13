'use strict';

// `DeclarativeResponse`: builds a response once, which the addon then sends for every request without calling
// JavaScript. It is encoded as instructions; src/node/state/routes/declarative.rs defines their layout and checks them
// when a route is added.

/** The stages of writing a response. */
const HEAD = 'head';
const BODY = 'body';
const NOTHING = 'nothing';

/**
 * Returns the class. `native` is the addon, `abi` its numbers, `readable` converts data that Node-API cannot read, and
 * `invalidThis` makes an error.
 */
module.exports = ({ abi, native, readable, invalidThis }) => {
  const { declarativeBeginning: BEGINNING } = abi;
  const { END, HEADER, LITERAL, PARAMETER, QUERY, REQUEST_HEADER, STATUS } = abi.instruction;

  /** The bytes of text or data. */
  function bytesOf(value) {
    return new Uint8Array(native.copy(readable(value)));
  }

  /** A length of one byte, and then the bytes. */
  function short(bytes) {
    if (bytes.length > 0xff) throw tooLong(0xff);
    return [Uint8Array.of(bytes.length), bytes];
  }

  return class DeclarativeResponse {
    /** The instructions so far. */
    #parts = [Uint8Array.from(BEGINNING)];
    #stage = HEAD;

    /** Returns the response on which a method is called; throws if it may not be written any more. */
    static #open(response) {
      if (typeof response !== 'object' || response === null || !(#stage in response)) {
        throw invalidThis('DeclarativeResponse');
      }
      if (response.#stage === NOTHING) throw invalidState('a declarative response must not be used after end');
      return response;
    }

    #isEmpty() {
      return this.#parts.length === 1;
    }

    #append(instruction, ...operands) {
      this.#parts.push(Uint8Array.of(instruction), ...operands);
    }

    #appendToBody(instruction, ...operands) {
      this.#append(instruction, ...operands);
      this.#stage = BODY;
    }

    #appendLiteral(value) {
      const bytes = bytesOf(value);
      if (bytes.length > 0xffff) throw tooLong(0xffff);
      if (bytes.length > 0) this.#appendToBody(LITERAL, Uint8Array.of(bytes.length & 0xff, bytes.length >> 8), bytes);
    }

    writeStatus(status) {
      const response = DeclarativeResponse.#open(this);
      const bytes = bytesOf(status);
      const operand = short(bytes);
      native.checkStatus(bytes);
      if (response.#isEmpty()) response.#append(STATUS, ...operand);
      return this;
    }

    writeHeader(key, value) {
      const response = DeclarativeResponse.#open(this);
      const name = bytesOf(key);
      const content = bytesOf(typeof value === 'number' ? String(value) : value);
      const operands = [...short(name), ...short(content)];
      native.checkHeader(name, content);
      if (response.#stage !== HEAD) throw invalidState('headers must be written before the first piece of the body');
      response.#append(HEADER, ...operands);
      return this;
    }

    write(value) {
      DeclarativeResponse.#open(this).#appendLiteral(value);
      return this;
    }

    writeBody() {
      DeclarativeResponse.#open(this);
      return this;
    }

    writeQueryValue(key) {
      DeclarativeResponse.#open(this).#appendToBody(QUERY, ...short(bytesOf(key)));
      return this;
    }

    writeHeaderValue(key) {
      DeclarativeResponse.#open(this).#appendToBody(REQUEST_HEADER, ...short(bytesOf(key)));
      return this;
    }

    writeParameterValue(key) {
      DeclarativeResponse.#open(this).#appendToBody(PARAMETER, ...short(bytesOf(key)));
      return this;
    }

    end(value) {
      const response = DeclarativeResponse.#open(this);
      response.#appendLiteral(value);
      response.#append(END);
      response.#stage = NOTHING;
      const bytes = new Uint8Array(response.#parts.reduce((length, part) => length + part.length, 0));
      let offset = 0;
      for (const part of response.#parts) {
        bytes.set(part, offset);
        offset += part.length;
      }
      response.#parts = [];
      return bytes.buffer;
    }
  };
};

function invalidState(message) {
  return Object.assign(new Error(message), { code: 'ERR_INVALID_STATE' });
}

/** The message is that of uWebSockets.js. */
function tooLong(max) {
  return Object.assign(new RangeError(`Data length exceeds ${max}`), { code: 'ERR_OUT_OF_RANGE' });
}
