'use strict';

// The functions of the key-value store that all threads of a process share. The store itself is in
// src/node/calls/store.rs.

/** Returns the functions. `native` is the addon, `readable` converts data that Node-API cannot read. */
module.exports = ({ native, readable }) => ({
  getString(key, collection) {
    return native.kvGetString(readable(key), readable(collection));
  },

  setString(key, value, collection) {
    native.kvSetString(readable(key), readable(value), readable(collection));
  },

  deleteString(key, collection) {
    native.kvDeleteString(readable(key), readable(collection));
  },

  deleteStringCollection(collection) {
    native.kvDeleteStrings(readable(collection));
  },

  getStringKeys(collection) {
    return native.kvStringKeys(readable(collection));
  },

  getInteger(key, collection) {
    return native.kvGetInteger(readable(key), readable(collection));
  },

  setInteger(key, value, collection) {
    native.kvSetInteger(readable(key), value, readable(collection));
  },

  incInteger(key, change, collection) {
    return native.kvIncInteger(readable(key), change, readable(collection));
  },

  deleteInteger(key, collection) {
    native.kvDeleteInteger(readable(key), readable(collection));
  },

  deleteIntegerCollection(collection) {
    native.kvDeleteIntegers(readable(collection));
  },

  getIntegerKeys(collection) {
    return native.kvIntegerKeys(readable(collection));
  },

  lock() {
    native.kvLock();
  },

  unlock() {
    native.kvUnlock();
  },
});
