/** The supervision tree in the order in which a page lists it. Pure. */
import type { ActorNode } from './rows';

/** A node and how deep it stands. */
export interface TreeLine {
  readonly node: ActorNode;
  readonly depth: number;
}

/** Parents before children, siblings by name. A node whose parent is unknown stands at the top. */
export function treeLines(nodes: readonly ActorNode[]): TreeLine[] {
  const known = new Set(nodes.map((node) => node.id));
  const children = new Map<string | null, ActorNode[]>();
  for (const node of nodes) {
    const parent = node.parent !== null && known.has(node.parent) && node.parent !== node.id ? node.parent : null;
    const siblings = children.get(parent);
    if (siblings) siblings.push(node);
    else children.set(parent, [node]);
  }
  const lines: TreeLine[] = [];
  const visit = (parent: string | null, depth: number): void => {
    const siblings = children.get(parent) ?? [];
    children.delete(parent);
    for (const node of siblings.sort((a, b) => a.name.localeCompare(b.name, undefined, { numeric: true }))) {
      lines.push({ node, depth });
      visit(node.id, depth + 1);
    }
  };
  visit(null, 0);
  return lines;
}
