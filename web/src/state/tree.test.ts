/** The tree's order, and what a large one folds. */
import { expect, test } from 'vitest';
import type { ActorNode } from './rows';
import { treeLines } from './tree';

test('parents stand before their children and siblings in order', () => {
  const lines = treeLines([node('root/b'), node('root/a10'), node('root/a2'), node('root'), node('lost/x')], new Map());
  expect(lines.map((line) => [line.node.id, line.depth])).toEqual([['root', 0], ['root/a2', 1], ['root/a10', 1], ['root/b', 1], ['lost/x', 0]]);
});

test('a large tree folds the servers with nothing wrong, unless asked', () => {
  const nodes = [node('root')];
  for (let i = 0; i < 20; i++) nodes.push(node(`root/s${i}`, 'server'), node(`root/s${i}/cpu`, 'collector', i === 3 ? 'backoff' : 'up'));
  const lines = treeLines(nodes, new Map([['root/s5', false], ['root/s3', true]]));
  const of = (id: string) => lines.find((line) => line.node.id === id);
  expect(of('root/s4')).toMatchObject({ folded: true, below: 1, trouble: 0 });
  expect(of('root/s5')).toMatchObject({ folded: false });
  expect(of('root/s3')).toMatchObject({ folded: true, trouble: 1 });
  expect(of('root')).toMatchObject({ below: 40, trouble: 1 });
  expect(lines).toHaveLength(22);
});

test('hundreds of siblings are counted, and listed when asked for', () => {
  const nodes = [node('root'), node('root/fleet'), node('root/store')];
  for (let i = 0; i < 300; i++) nodes.push(node(`root/fleet/s${i}`, 'server', i === 7 ? 'down' : 'up'));
  const lines = treeLines(nodes, new Map());
  expect(lines.map((line) => line.node.id)).toEqual(['root', 'root/fleet', 'root/store']);
  expect(lines[1]).toMatchObject({ folded: true, below: 300, trouble: 1 });
  expect(treeLines(nodes, new Map([['root/fleet', false]]))).toHaveLength(303);
});

test('parents in a circle do not hold the page', () => {
  expect(treeLines([{ ...node('a'), parent: 'b' }, { ...node('b'), parent: 'a' }], new Map()).length).toBeLessThanOrEqual(2);
});

function node(id: string, kind = 'x', state = 'up'): ActorNode {
  const cut = id.lastIndexOf('/');
  const parent = cut < 0 ? null : id.slice(0, cut);
  return { id, parent, name: id.slice(cut + 1), kind, state, restarts: 0, lastError: null, queue: null, sinceMs: null, detail: null };
}
