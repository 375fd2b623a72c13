'use strict';

// The object through which a handler reads a request. It holds only a handle: each text is copied from the addon
// when a method asks for it, because handlers read little of a request.

const { KEY, native, readable } = require('../runtime/border.js');
const { checkFunction, illegalConstructor, invalidThis } = require('../runtime/errors.js');

let requestHandle;

class HttpRequest {
  #handle;

  constructor(key, handle) {
    if (key !== KEY) throw illegalConstructor();
    this.#handle = handle;
  }

  static {
    requestHandle = (request) => {
      if (typeof request === 'object' && request !== null && #handle in request) return request.#handle;
      throw invalidThis('uWS.HttpRequest');
    };
  }

  getHeader(lowerCaseKey) {
    return native.reqHeader(requestHandle(this), readable(lowerCaseKey));
  }

  forEach(callback) {
    const flat = native.reqHeaders(requestHandle(this));
    checkFunction(callback);
    for (let index = 0; index < flat.length; index += 2) callback(flat[index], flat[index + 1]);
  }

  getParameter(index) {
    return native.reqParameter(requestHandle(this), readable(index));
  }

  getUrl() {
    return native.reqUrl(requestHandle(this));
  }

  getMethod() {
    return native.reqMethod(requestHandle(this), false);
  }

  getCaseSensitiveMethod() {
    return native.reqMethod(requestHandle(this), true);
  }

  getQuery(key) {
    return native.reqQuery(requestHandle(this), readable(key));
  }

  setYield(isYielded) {
    native.reqYield(requestHandle(this), isYielded);
    return this;
  }
}

module.exports = { HttpRequest };
