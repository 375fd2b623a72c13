'use strict';

// Written by scripts/builds.mjs from package.json (`napi.targets`): do not edit it, run `npm run generate`.

/** The builds of a release, and the platform of each; on Linux also its C library. */
module.exports = [
  { name: 'linux-x64-gnu', platform: 'linux', arch: 'x64', libc: 'glibc' },
  { name: 'linux-x64-musl', platform: 'linux', arch: 'x64', libc: 'musl' },
  { name: 'linux-arm64-gnu', platform: 'linux', arch: 'arm64', libc: 'glibc' },
  { name: 'linux-arm64-musl', platform: 'linux', arch: 'arm64', libc: 'musl' },
  { name: 'linux-arm-gnueabihf', platform: 'linux', arch: 'arm', libc: 'glibc' },
  { name: 'darwin-x64', platform: 'darwin', arch: 'x64' },
  { name: 'darwin-arm64', platform: 'darwin', arch: 'arm64' },
  { name: 'win32-x64-msvc', platform: 'win32', arch: 'x64' },
  { name: 'win32-arm64-msvc', platform: 'win32', arch: 'arm64' },
  { name: 'freebsd-x64', platform: 'freebsd', arch: 'x64' },
];
