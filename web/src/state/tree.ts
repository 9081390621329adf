/** The supervision tree in the order in which a page lists it. Pure. */
import type { ActorNode } from './rows';

/** A node, how deep it stands, and what is under it. */
export interface TreeLine {
  readonly node: ActorNode;
  readonly depth: number;
  /** Parts below this one, at any depth. */
  readonly below: number;
  /** How many of those are not as they should be. */
  readonly trouble: number;
  readonly folded: boolean;
}

/** States that need nobody's attention. */
const CALM: readonly string[] = ['up', 'starting', 'stopped'];

/** Below this many parts nothing is folded unless asked. */
const FOLDED_FROM = 40;

/** More siblings than this are a list of their own: their parent says how many are not well, until asked for all. */
const SIBLINGS_MAX = 200;

const NAMES = new Intl.Collator(undefined, { numeric: true });

/** True if the part is not as it should be. */
export function troubled(node: ActorNode): boolean {
  return !CALM.includes(node.state);
}

/**
 * Parents before children, siblings by name. A node whose parent is unknown
 * stands at the top. Servers with nothing wrong inside are folded in a large
 * tree, and so is a part with hundreds right below it; `chosen` says otherwise
 * for single ones.
 */
export function treeLines(nodes: readonly ActorNode[], chosen: ReadonlyMap<string, boolean>): TreeLine[] {
  const known = new Set(nodes.map((node) => node.id));
  const children = new Map<string | null, ActorNode[]>();
  for (const node of nodes) {
    const parent = node.parent !== null && known.has(node.parent) && node.parent !== node.id ? node.parent : null;
    const siblings = children.get(parent);
    if (siblings) siblings.push(node);
    else children.set(parent, [node]);
  }
  const lines = (parent: string | null, depth: number): TreeLine[] => {
    const siblings = children.get(parent) ?? [];
    // Taken out, so that parents in a circle cannot hold the page.
    children.delete(parent);
    siblings.sort((a, b) => NAMES.compare(a.name, b.name));
    return siblings.flatMap((node) => {
      const crowded = (children.get(node.id)?.length ?? 0) > SIBLINGS_MAX;
      const inside = lines(node.id, depth + 1);
      const large = nodes.length >= FOLDED_FROM && node.kind === 'server';
      const below = inside.reduce((sum, line) => sum + 1 + (line.folded ? line.below : 0), 0);
      const trouble = inside.reduce((sum, line) => sum + Number(troubled(line.node)) + (line.folded ? line.trouble : 0), 0);
      const folded = below > 0 && (chosen.get(node.id) ?? (crowded || (large && trouble === 0)));
      return [{ node, depth, below, trouble, folded }, ...(folded ? [] : inside)];
    });
  };
  return lines(null, 0);
}
