// Numbers as people read them.

const UNITS = ['', 'k', 'M', 'G', 'T'];
const BYTES = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];

/** `950`, `1.2k`, `13M` */
export function count(value) {
  return scaled(value, 1000, UNITS);
}

/** `512 B`, `1.2 MiB` */
export function bytes(value) {
  return scaled(value, 1024, BYTES, ' ');
}

function scaled(value, step, units, space = '') {
  let index = 0;
  while (value >= step && index < units.length - 1) {
    value /= step;
    index++;
  }
  const digits = value < 10 && (index > 0 || !Number.isInteger(value)) ? 1 : 0;
  return `${value.toFixed(digits)}${space}${units[index]}`;
}

/** Of milliseconds: `12 ms`, `3.4 s`, `5 min 20 s`, `3 h 5 min`, `4 d 2 h` */
export function duration(milliseconds) {
  if (milliseconds === undefined || milliseconds === null) return '–';
  if (milliseconds < 1000) return `${Math.round(milliseconds)} ms`;
  const seconds = milliseconds / 1000;
  if (seconds < 120) return `${seconds.toFixed(1)} s`;
  if (seconds < 7200) return `${Math.floor(seconds / 60)} min ${Math.floor(seconds % 60)} s`;
  if (seconds < 172_800) return `${Math.floor(seconds / 3600)} h ${Math.floor((seconds % 3600) / 60)} min`;
  return `${Math.floor(seconds / 86_400)} d ${Math.floor((seconds % 86_400) / 3600)} h`;
}

/** `12:03:04` */
export function timeOfDay(at) {
  return new Date(at).toLocaleTimeString(undefined, { hour12: false });
}

/** An element with text or children. Text is never taken for markup. */
export function element(name, properties = {}, ...children) {
  const node = document.createElement(name);
  for (const [key, value] of Object.entries(properties)) {
    if (key in node) node[key] = value;
    else node.setAttribute(key, value);
  }
  node.append(...children);
  return node;
}
