'use strict';

// Turns the flat list of form parts from the addon into the objects that `getParts` returns.

const { native, readable } = require('../runtime/border.js');

/** A part comes as name, type, filename and data, of which missing ones are `false`. */
function getParts(body, contentType) {
  const flat = native.getParts(readable(body), readable(contentType));
  if (flat === undefined) return undefined;
  const fields = [];
  for (let index = 0; index < flat.length; index += 4) {
    const [name, type, filename, data] = flat.slice(index, index + 4);
    const field = { data, name };
    if (type !== false) field.type = type;
    if (filename !== false) field.filename = filename;
    fields.push(field);
  }
  return fields;
}

module.exports = { getParts };
