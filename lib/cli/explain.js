'use strict';

// `ferrows explain`: what docs/close-reasons.md says about causes, close codes and reasons.

const { explain, PAGE, readCloseReasons, similarNames } = require('../knowledge/close-reasons.js');
const { parseArguments } = require('./arguments.js');
const { fold, harmless, plainMarkdown, stylesFor, widthOf } = require('./terminal.js');

const HELP = `Usage: ferrows explain [--json] <code or cause>...

Says what a WebSocket close code (1006), a cause of Ferrows (ERR_FIN_WITHOUT_CLOSE) or a reason
("Received TCP FIN before …") means, what usually leads to it, and what to do: the text of docs/${PAGE}.
Without arguments it lists all causes.

  --json     the same as JSON
  --help     this text

Exit code: 0, or 2 if something is not known.
`;

/** Runs the command and returns its exit code. */
function runExplain(args, { stdout, stderr }) {
  const { options, values } = parseArguments(args, { json: 'flag', help: 'flag' });
  if (options.help) {
    stdout.write(HELP);
    return 0;
  }
  const page = readCloseReasons();
  if (values.length === 0) {
    stdout.write(options.json ? `${JSON.stringify([...page.causes.keys()])}\n` : list(page));
    return 0;
  }
  const answers = values.map((term) => ({ asked: term, found: explain(term, page) }));
  const unknown = answers.filter(({ found }) => found.length === 0);
  const found = dropRepeated(answers.flatMap((answer) => answer.found));
  if (options.json) {
    const json = found.map(({ fields, ...rest }) => ({ ...rest, fields: Object.fromEntries(fields) }));
    stdout.write(`${JSON.stringify({ explanations: json, unknown: unknown.map(({ asked }) => asked) }, null, 2)}\n`);
  } else {
    stdout.write(found.map((one) => render(one, stdout)).join('\n'));
  }
  for (const { asked } of unknown) stderr.write(`${sentenceFor(asked, page)}\n`);
  return unknown.length > 0 ? 2 : 0;
}

/** Terms may be asked for twice, and have passages in common. */
function dropRepeated(explanations) {
  const seen = new Set();
  return explanations.filter(({ term }, index) => explanations.findIndex((one) => one.term === term) === index)
    .map((one) => ({
      ...one,
      texts: one.texts.filter((text) => {
        if (seen.has(text)) return false;
        seen.add(text);
        return true;
      }),
    }));
}

function sentenceFor(term, page) {
  const names = similarNames(term, page);
  const hint = names.length > 0 ? ` Do you mean ${names.join(' or ')}?` : ' “ferrows explain” lists all causes.';
  return `“${harmless(term)}” is no close code, cause or reason that docs/${PAGE} knows.${hint}`;
}

function list({ causes }) {
  let text = '';
  let before;
  for (const [name, [{ section }]] of causes) {
    if (section !== before) text += `${before === undefined ? '' : '\n'}${plainMarkdown(section).replaceAll('`', '')}\n`;
    before = section;
    text += `  ${name}\n`;
  }
  return `${text}\n“ferrows explain NAME” says more, and “ferrows explain 1006” what a close code means.\n`;
}

function render({ term, title, fields, texts, tables }, stream) {
  const styles = stylesFor(stream);
  const width = widthOf(stream);
  const shown = (text) => plainMarkdown(text, styles);
  const lines = [styles.bold(title === undefined ? term : `${term}: ${plainMarkdown(title).replaceAll('`', '')}`)];
  const named = fields.filter(([, value]) => value !== '' && value !== '–');
  const columns = Math.max(0, ...named.map(([name]) => plainMarkdown(name).length));
  for (const [name, value] of named) {
    const label = `  ${plainMarkdown(name).replaceAll('`', '').padEnd(columns)}  `;
    lines.push(fold(shown(value), width, ' '.repeat(label.length), label));
  }
  for (const text of texts) lines.push('', fold(shown(text), width, '  '));
  for (const [heading, rows] of tables) {
    lines.push('', `  ${heading}:`);
    for (const [subject, ...cells] of rows) {
      const text = `${shown(subject)}: ${cells.filter((cell) => cell !== '').map(shown).join('; ')}`;
      lines.push(fold(text, width, '      ', '    '));
    }
  }
  return `${lines.join('\n')}\n`;
}

module.exports = { runExplain };
