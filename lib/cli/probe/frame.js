'use strict';

// Frames of WebSocket (RFC 6455 §5.2), as a client writes and reads them.

const { randomBytes } = require('crypto');

const OPCODE = { CONTINUATION: 0, TEXT: 1, BINARY: 2, CLOSE: 8, PING: 9, PONG: 10 };

/** No message that this program asks for is longer. */
const MAX_LENGTH = 64 * 1024 * 1024;

/** A frame of a client: masked. */
function encodeFrame(opcode, payload, { isFinal = true, isCompressed = false } = {}) {
  const { length } = payload;
  const extended = length < 126 ? 0 : length < 65536 ? 2 : 8;
  const frame = Buffer.allocUnsafe(2 + extended + 4 + length);
  frame[0] = (isFinal ? 0x80 : 0) | (isCompressed ? 0x40 : 0) | opcode;
  frame[1] = 0x80 | (extended === 0 ? length : extended === 2 ? 126 : 127);
  if (extended === 2) frame.writeUInt16BE(length, 2);
  if (extended === 8) frame.writeBigUInt64BE(BigInt(length), 2);
  const mask = randomBytes(4);
  const start = 2 + extended + 4;
  mask.copy(frame, start - 4);
  for (let index = 0; index < length; index++) frame[start + index] = payload[index] ^ mask[index & 3];
  return frame;
}

/** Finds the frames in what a server sends. */
class FrameReader {
  #chunks = [];
  #buffered = 0;
  /** Bytes that must be there before it is worth looking again. */
  #needed = 2;

  /**
   * The frames that are complete with these bytes, each `{ opcode, isFinal, isCompressed, payload }`. Throws an Error with a
   * sentence if the bytes are no frame of a server.
   */
  push(bytes) {
    this.#chunks.push(bytes);
    this.#buffered += bytes.length;
    const frames = [];
    while (this.#buffered >= this.#needed) {
      const data = this.#chunks.length === 1 ? this.#chunks[0] : Buffer.concat(this.#chunks);
      this.#chunks = [data];
      const frame = this.#read(data);
      if (frame === undefined) continue;
      frames.push(frame);
      const rest = data.subarray(frame.end);
      this.#chunks = [rest];
      this.#buffered = rest.length;
      this.#needed = 2;
    }
    return frames;
  }

  /** The frame at the beginning of `data`; without enough of it, how much is needed. */
  #read(data) {
    const opcode = data[0] & 0x0f;
    const isControl = opcode >= 8;
    if ((data[0] & 0x30) !== 0 || (opcode > 2 && opcode < 8) || opcode > 10) {
      throw new Error(`bytes that are no WebSocket frame (${data.subarray(0, 16).toString('hex')}…)`);
    }
    if ((data[1] & 0x80) !== 0) throw new Error('a masked frame, which only clients send');
    let length = data[1] & 0x7f;
    if (isControl && ((data[0] & 0x80) === 0 || length > 125)) throw new Error('a control frame that is fragmented or too long');
    let start = 2;
    if (length >= 126) {
      start = length === 126 ? 4 : 10;
      if (data.length < start) return this.#wait(start);
      length = start === 4 ? data.readUInt16BE(2) : Number(data.readBigUInt64BE(2));
    }
    if (length > MAX_LENGTH) throw new Error(`a frame of ${length} bytes`);
    const end = start + length;
    if (data.length < end) return this.#wait(end);
    return {
      opcode, isFinal: (data[0] & 0x80) !== 0, isCompressed: (data[0] & 0x40) !== 0, payload: data.subarray(start, end), end,
    };
  }

  #wait(length) {
    this.#needed = length;
    return undefined;
  }
}

/** `{ code, reason }` of the payload of a Close frame; no code if there is none. */
function readClose(payload) {
  if (payload.length < 2) return { code: undefined, reason: '' };
  return { code: payload.readUInt16BE(0), reason: payload.subarray(2).toString() };
}

/** The payload of a Close frame. */
function closePayload(code) {
  const payload = Buffer.allocUnsafe(2);
  payload.writeUInt16BE(code);
  return payload;
}

module.exports = { closePayload, encodeFrame, FrameReader, OPCODE, readClose };
