'use strict';

// The pages of docs/ that come with the package, read when they are asked for: what the command line says about causes and
// cut-offs is what they say.

const { listPackageFolder, readPackageFile } = require('../loading/files.js');

/** The text of a page, by the name of its file. */
function readPage(name) {
  return readPackageFile(`docs/${name}`).toString();
}

/** The names of the pages, without their ending; none in a bundle. */
function pageNames() {
  try {
    return listPackageFolder('docs').filter((name) => name.endsWith('.md')).map((name) => name.slice(0, -3));
  } catch {
    return [];
  }
}

/** A page as a list of `{ level, title, lines }`, one for each heading; what is in code blocks is no heading. */
function sectionsOf(page) {
  const sections = [];
  let isCode = false;
  for (const line of page.split('\n')) {
    if (line.startsWith('```')) isCode = !isCode;
    const [, marks, title] = (!isCode && line.match(/^(#+) (.+)$/)) || [];
    if (marks !== undefined) sections.push({ level: marks.length, title, lines: [] });
    else sections.at(-1)?.lines.push(line);
  }
  return sections;
}

/** The tables among these lines, each as `{ columns, rows }`; a row is an array of cells. */
function tablesOf(lines) {
  const tables = [];
  let table;
  for (const line of lines) {
    if (!line.startsWith('|')) {
      table = undefined;
    } else if (table === undefined) {
      table = { columns: cellsOf(line), rows: [] };
      tables.push(table);
    } else if (!/^\|[ :|-]+$/.test(line)) {
      table.rows.push(cellsOf(line));
    }
  }
  return tables;
}

function cellsOf(line) {
  return line.replace(/^\||\|\s*$/g, '').split('|').map((cell) => cell.trim());
}

/** The paragraphs and list items among these lines, each with the lines that continue it joined. Tables and code are left out. */
function passagesOf(lines) {
  const passages = [];
  let current;
  let isCode = false;
  for (const line of lines) {
    if (line.startsWith('```')) isCode = !isCode;
    if (isCode || line.startsWith('```') || line.startsWith('|') || line.trim() === '') {
      current = undefined;
      continue;
    }
    const [, indent, item] = line.match(/^(\s*)- (.*)$/) ?? [];
    if (item !== undefined || current === undefined) {
      current = { depth: item === undefined ? 0 : 1 + indent.length / 2, text: item ?? line.trim() };
      passages.push(current);
    } else {
      current.text += ` ${line.trim()}`;
    }
  }
  return passages;
}

module.exports = { pageNames, passagesOf, readPage, sectionsOf, tablesOf };
