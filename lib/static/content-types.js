'use strict';

// Content types by the extension of a file name.

/**
 * Content types by file extension: files that browsers load, and common downloads. Text types are declared as UTF-8,
 * which nearly all files are; JSON needs no such parameter, because it is UTF-8 by definition (RFC 8259 §8.1).
 *
 * The registry of all media types is a hundred times as long, and browsers treat the rest of them alike.
 */
const TYPES = new Map(Object.entries({
  // Pages and what they are made of.
  html: 'text/html; charset=utf-8',
  htm: 'text/html; charset=utf-8',
  xhtml: 'application/xhtml+xml',
  css: 'text/css; charset=utf-8',
  js: 'text/javascript; charset=utf-8',
  mjs: 'text/javascript; charset=utf-8',
  cjs: 'text/javascript; charset=utf-8',
  wasm: 'application/wasm',
  json: 'application/json',
  map: 'application/json',
  jsonld: 'application/ld+json',
  geojson: 'application/geo+json',
  webmanifest: 'application/manifest+json',
  xml: 'application/xml',
  xsl: 'application/xslt+xml',
  rss: 'application/rss+xml',
  atom: 'application/atom+xml',
  txt: 'text/plain; charset=utf-8',
  md: 'text/markdown; charset=utf-8',
  csv: 'text/csv; charset=utf-8',
  ics: 'text/calendar; charset=utf-8',
  vcf: 'text/vcard; charset=utf-8',
  yaml: 'application/yaml',
  yml: 'application/yaml',
  toml: 'application/toml',
  // Images.
  avif: 'image/avif',
  bmp: 'image/bmp',
  gif: 'image/gif',
  heic: 'image/heic',
  ico: 'image/vnd.microsoft.icon',
  jpeg: 'image/jpeg',
  jpg: 'image/jpeg',
  jxl: 'image/jxl',
  png: 'image/png',
  apng: 'image/apng',
  svg: 'image/svg+xml',
  tif: 'image/tiff',
  tiff: 'image/tiff',
  webp: 'image/webp',
  // Fonts.
  otf: 'font/otf',
  ttf: 'font/ttf',
  woff: 'font/woff',
  woff2: 'font/woff2',
  // Sound and films.
  aac: 'audio/aac',
  flac: 'audio/flac',
  m4a: 'audio/mp4',
  mid: 'audio/midi',
  mp3: 'audio/mpeg',
  oga: 'audio/ogg',
  ogg: 'audio/ogg',
  opus: 'audio/ogg',
  wav: 'audio/wav',
  weba: 'audio/webm',
  avi: 'video/x-msvideo',
  m3u8: 'application/vnd.apple.mpegurl',
  m4s: 'video/iso.segment',
  m4v: 'video/mp4',
  mkv: 'video/matroska',
  mov: 'video/quicktime',
  mp4: 'video/mp4',
  mpd: 'application/dash+xml',
  mpeg: 'video/mpeg',
  ogv: 'video/ogg',
  ts: 'video/mp2t',
  vtt: 'text/vtt; charset=utf-8',
  webm: 'video/webm',
  // Documents, models, archives.
  doc: 'application/msword',
  docx: 'application/vnd.openxmlformats-officedocument.wordprocessingml.document',
  epub: 'application/epub+zip',
  odp: 'application/vnd.oasis.opendocument.presentation',
  ods: 'application/vnd.oasis.opendocument.spreadsheet',
  odt: 'application/vnd.oasis.opendocument.text',
  pdf: 'application/pdf',
  ppt: 'application/vnd.ms-powerpoint',
  pptx: 'application/vnd.openxmlformats-officedocument.presentationml.presentation',
  rtf: 'application/rtf',
  xls: 'application/vnd.ms-excel',
  xlsx: 'application/vnd.openxmlformats-officedocument.spreadsheetml.sheet',
  glb: 'model/gltf-binary',
  gltf: 'model/gltf+json',
  stl: 'model/stl',
  '7z': 'application/x-7z-compressed',
  br: 'application/x-brotli',
  bz2: 'application/x-bzip2',
  gz: 'application/gzip',
  tar: 'application/x-tar',
  tgz: 'application/gzip',
  xz: 'application/x-xz',
  zip: 'application/zip',
  zst: 'application/zstd',
}));

/** The type of a file by its name; `others`, by extension, takes precedence. */
function contentTypeOf(name, others) {
  const dot = name.lastIndexOf('.');
  const extension = dot > 0 ? name.slice(dot + 1).toLowerCase() : '';
  return others.get(extension) ?? TYPES.get(extension) ?? 'application/octet-stream';
}

module.exports = { contentTypeOf };
