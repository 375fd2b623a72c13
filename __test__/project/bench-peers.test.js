'use strict';

// The benches with peers: who takes part, whom Ferrows is compared with, and which targets are meant.

const path = require('node:path');
const { opponents, peerFrom, withPeers } = require('../../benches/contestants.js');
const { measures } = require('../../benches/measures.js');
const { resultsTable, summarise } = require('../../benches/table.js');
const { atLeast, noMoreThan } = require('../../benches/targets.js');

const ROOT = path.join(__dirname, '../..');
const PEERS = [{ name: 'first', module: '/first.js' }, { name: 'second', module: '/second.js' }];

test('a peer is a file, a folder or an installed package, with a name or without', () => {
  const main = path.join(ROOT, 'index.js');
  expect(peerFrom(main)).toEqual({ name: 'peer', module: main });
  expect(peerFrom(`before=${ROOT}`)).toEqual({ name: 'before', module: main });
  expect(peerFrom('other=ws')).toEqual({ name: 'other', module: require.resolve('ws') });
  expect(() => peerFrom('/nowhere/uws.js')).toThrow('--peer /nowhere/uws.js: no module there');
});

test('peers run what Ferrows runs, on their own module, and nothing else; not what they need not have', () => {
  for (const { key, contestants } of measures) {
    const added = withPeers(contestants, PEERS).slice(contestants.length);
    if (contestants[0].name !== 'ferrows' || ['http2', 'http3'].includes(key)) expect([key, added]).toEqual([key, []]);
    else {
      const { server } = contestants[0];
      expect(added).toMatchObject([{ name: 'first', server, module: '/first.js' }, { name: 'second', server, module: '/second.js' }]);
    }
  }
});

test('two contestants cannot have one name', () => {
  const [{ contestants }] = measures;
  expect(() => withPeers(contestants, [{ name: 'ws', module: '/ws.js' }])).toThrow('ws would name two contestants');
  expect(() => withPeers(contestants, [PEERS[0], PEERS[0]])).toThrow('first would name two contestants');
});

describe('the table', () => {
  const contestants = withPeers([{ name: 'ferrows' }, { name: 'ws' }, { name: 'bare', isCeiling: true }], PEERS);
  const rows = [{ title: 'rate', figure: 'rate', digits: 0, targets: { ws: atLeast(2), peer: atLeast(1) } }];
  const results = (...rounds) => [{ measure: { contestants, rows }, rounds }];
  const round = (ferrows, ws, first) => ({ ferrows: { rate: ferrows }, ws: { rate: ws }, first: { rate: first }, bare: { rate: 9 } });

  test('has a line for each that took part, with the ratios of its rounds, but for the ceiling', () => {
    expect(opponents(contestants).map(([, { name }]) => name)).toEqual(['ws', 'first', 'second']);
    const lines = summarise(results(round(6, 2, 12), round(4, 1, 5), round(8, 8, 8)));
    expect(lines).toMatchObject([
      { name: 'ferrows', value: 6, otherName: 'ws', other: 2, ratio: 3, ratioMin: 1, ratioMax: 4, target: '≥ 2× ws', reached: true },
      { otherName: 'first', other: 8, ratio: 0.8, ratioMin: 0.5, ratioMax: 1, target: '≥ 1× first', reached: false },
    ]);
    expect(lines).toHaveLength(2);
  });

  test('has targets of the first peer only', () => {
    const lines = summarise(results({ ferrows: { rate: 1 }, first: { rate: 1 }, second: { rate: 1 } }));
    expect(lines.map(({ target, reached }) => [target, reached])).toEqual([['≥ 1× first', true], [null, null]]);
  });

  test('shows Ferrows alone, too, and judges only what was measured', () => {
    const limited = [{ ...rows[0], targets: { ws: noMoreThan(5, 'µs') } }];
    const alone = [{ measure: { contestants, rows: limited }, rounds: [{ ferrows: { rate: 4 } }] }];
    expect(summarise(alone)).toMatchObject([{ value: 4, other: null, ratio: null, target: '≤ 5 µs', reached: true }]);
    expect(summarise(results({ ferrows: { rate: 4 } }))).toMatchObject([{ ratio: null, reached: false }]);
  });

  test('shows Ferrows where there is nothing to compare it with', () => {
    const limited = [{ ...rows[0], title: 'bytes', targets: { ferrows: noMoreThan(5, 'bytes') } }];
    const [line] = summarise([{ measure: { contestants: [{ name: 'ferrows' }], rows: limited }, rounds: [{ ferrows: { rate: 4 } }, { ferrows: { rate: 6 } }] }]);
    expect(line).toMatchObject({ value: 5, otherName: null, other: null, ratio: null, target: '≤ 5 bytes', reached: true });
    expect(resultsTable([line])).toContain('| bytes | 5 | – | – | ≤ 5 bytes | yes |');
  });
});
