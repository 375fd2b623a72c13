'use strict';

// `createWebSocketStream`: a WebSocket as a Duplex.

const { Duplex } = require('../loading/ws-builtins.js').stream;

function createWebSocketStream(ws, options) {
  /** Whether destroying the stream has to end the connection: not after an error, which has done so. */
  let terminates = true;

  const whenConnected = (act) => {
    if (ws.readyState === ws.CONNECTING) ws.once('open', act);
    else act();
  };

  const duplex = new Duplex({
    ...options,
    autoDestroy: false,
    emitClose: false,
    objectMode: false,
    writableObjectMode: false,
    read() {
      if (ws.isPaused) ws.resume();
    },
    write(chunk, encoding, callback) {
      whenConnected(() => ws.send(chunk, callback));
    },
    final(callback) {
      whenConnected(() => {
        if (ws.readyState === ws.CLOSED) {
          callback();
          return;
        }
        ws.once('close', () => callback());
        ws.close();
      });
    },
    destroy(error, callback) {
      const conclude = () => {
        callback(error);
        process.nextTick(() => duplex.emit('close'));
      };
      if (ws.readyState === ws.CLOSED) {
        conclude();
        return;
      }
      ws.once('error', (thrown) => { error = thrown; });
      ws.once('close', conclude);
      if (terminates) ws.terminate();
    },
  });

  ws.on('message', (data, isBinary) => {
    const isText = !isBinary && duplex.readableObjectMode;
    if (!duplex.push(isText ? data.toString() : data)) ws.pause();
  });
  ws.once('error', (error) => {
    if (duplex.destroyed) return;
    terminates = false;
    duplex.destroy(error);
  });
  ws.once('close', () => {
    if (!duplex.destroyed) duplex.push(null);
  });

  const endBoth = () => {
    if (!duplex.destroyed && duplex.readableEnded && duplex.writableFinished) duplex.destroy();
  };
  duplex.on('end', endBoth);
  duplex.on('finish', endBoth);
  duplex.once('error', (error) => {
    duplex.destroy();
    // Without a listener of the program it is thrown, as that of any stream.
    if (duplex.listenerCount('error') === 0) duplex.emit('error', error);
  });
  return duplex;
}

module.exports = createWebSocketStream;
