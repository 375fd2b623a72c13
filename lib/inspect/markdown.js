'use strict';

// The pages of docs/ as HTML: what of Markdown they use, and nothing else. All text is escaped.

const ESCAPES = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;' };

function escape(text) {
  return text.replace(/[&<>"]/g, (character) => ESCAPES[character]);
}

/** A page as HTML. `link` turns the target of a link into an address. */
function htmlOf(markdown, link) {
  const lines = markdown.split('\n');
  const html = [];
  let at = 0;
  while (at < lines.length) {
    const [text, next] = blockAt(lines, at, link);
    html.push(text);
    at = next;
  }
  return html.join('\n');
}

/** The block that begins in a line, as HTML, and the line behind it. */
function blockAt(lines, at, link) {
  const line = lines[at];
  const heading = line.match(/^(#{1,6}) (.+)$/);
  if (heading !== null) {
    const level = heading[1].length;
    return [`<h${level} id="${escape(anchorOf(heading[2]))}">${inline(heading[2], link)}</h${level}>`, at + 1];
  }
  if (line.startsWith('```')) return codeAt(lines, at);
  if (line.startsWith('|')) return tableAt(lines, at, link);
  if (ITEM.test(line)) return listAt(lines, at, link);
  if (line.trim() === '') return ['', at + 1];
  const end = endOf(lines, at + 1, (next) => next.trim() === '' || STARTS.test(next));
  return [`<p>${inline(lines.slice(at, end).join(' '), link)}</p>`, end];
}

const ITEM = /^(\s*)(?:-|(\d+)\.) (.*)$/;
/** What begins another block than a paragraph. */
const STARTS = /^(?:#{1,6} |```|\||- |\d+\. )/;

/** The first line from `at` for which `ends` holds. */
function endOf(lines, at, ends) {
  let end = at;
  while (end < lines.length && !ends(lines[end])) end++;
  return end;
}

function codeAt(lines, at) {
  const end = endOf(lines, at + 1, (line) => line.startsWith('```'));
  return [`<pre tabindex="0"><code>${escape(lines.slice(at + 1, end).join('\n'))}</code></pre>`, end + 1];
}

function tableAt(lines, at, link) {
  const end = endOf(lines, at, (line) => !line.startsWith('|'));
  const [head, , ...rows] = lines.slice(at, end).map(cellsOf);
  const row = (cells, tag) => `<tr>${cells.map((cell) => `<${tag}>${inline(cell, link)}</${tag}>`).join('')}</tr>`;
  return [
    `<div class="scroll" tabindex="0"><table><thead>${row(head, 'th')}</thead><tbody>${rows.map((cells) => row(cells, 'td')).join('\n')}</tbody></table></div>`,
    end,
  ];
}

function cellsOf(line) {
  // A bar in code is escaped.
  return line.replace(/^\||\|\s*$/g, '').split(/(?<!\\)\|/).map((cell) => cell.trim().replaceAll('\\|', '|'));
}

/** A list, with lists and further lines of its items. */
function listAt(lines, at, link) {
  const [, indent, number] = lines[at].match(ITEM);
  const tag = number === undefined ? 'ul' : 'ol';
  const items = [];
  let line = at;
  while (line < lines.length) {
    const item = lines[line].match(ITEM);
    if (item !== null && item[1].length === indent.length) {
      items.push([item[3]]);
      line++;
    } else if (item !== null && item[1].length > indent.length) {
      const [nested, next] = listAt(lines, line, link);
      items.at(-1).push({ nested });
      line = next;
    } else if (item === null && lines[line].startsWith(`${indent} `) && lines[line].trim() !== '') {
      items.at(-1).push(lines[line].trim());
      line++;
    } else {
      break;
    }
  }
  const html = items.map((parts) => {
    const text = parts.filter((part) => typeof part === 'string').join(' ');
    const nested = parts.filter((part) => typeof part !== 'string').map((part) => part.nested).join('');
    return `<li>${inline(text, link)}${nested}</li>`;
  });
  return [`<${tag}>${html.join('\n')}</${tag}>`, line];
}

/** Code, links and emphasis within a line. */
function inline(text, link) {
  const codes = [];
  // Code first: nothing in it means anything. A link may have code in its text, so a mark stays in its place.
  const marked = text.replace(/`([^`]+)`/g, (_, code) => `${MARK}${codes.push(code) - 1}${MARK}`);
  return escape(marked)
    .replace(/&lt;a id=&quot;([\w-]+)&quot;&gt;&lt;\/a&gt;/g, '<a id="$1"></a>')
    .replace(/!\[([^\]]+)\]\(([^)\s]+)\)/g, (_, label, target) => `<a href="${link(target)}">Picture: ${label}</a>`)
    .replace(/\[([^\]]+)\]\(([^)\s]+)\)/g, (_, label, target) => `<a href="${link(target)}">${label}</a>`)
    .replace(/\*\*(.+?)\*\*/g, '<strong>$1</strong>')
    .replace(/(?<![\w*])\*(\S(?:.*?\S)?)\*(?![\w*])/g, '<em>$1</em>')
    .replace(MARKED, (_, number) => `<code>${escape(codes[number])}</code>`);
}

/** A character that no page has. */
const MARK = '\ue000';
const MARKED = new RegExp(`${MARK}(\\d+)${MARK}`, 'g');

/** What links call a heading, as on GitHub. */
function anchorOf(title) {
  return title.toLowerCase().replace(/[^\p{L}\p{N}\p{M}_ -]/gu, '').replaceAll(' ', '-');
}

module.exports = { anchorOf, escape, htmlOf };
