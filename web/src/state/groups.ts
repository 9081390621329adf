/**
 * Servers by their tags: which tags there are, which were chosen, and which
 * servers stand under which heading. Pure.
 */
import { counts, STATES, type ShownServer, type ShownState } from './wall';

/** What stands under one heading: the servers with one value of a tag, or (null) those without the tag. */
export interface Group {
  readonly value: string | null;
  readonly servers: readonly ShownServer[];
  readonly count: Readonly<Record<ShownState, number>>;
}

/** A line of the table: a heading or a server. */
export type Line = { readonly id: string; readonly group: Group; readonly folded: boolean } | { readonly id: string; readonly server: ShownServer };

/** `env=prod`, as it stands in the URL and on the screen. */
export const tagText = (key: string, value: string): string => `${key}=${value}`;

/** By name, with numbers in it as numbers. */
const NAMES = new Intl.Collator(undefined, { numeric: true });

/** Every tag with its values and how many servers have each, by name. */
export function tagsOf(servers: readonly { readonly tags: Readonly<Record<string, string>> }[]): [string, [string, number][]][] {
  const found = new Map<string, Map<string, number>>();
  for (const { tags } of servers) {
    for (const key in tags) {
      const values = found.get(key) ?? new Map<string, number>();
      found.set(key, values.set(tags[key]!, (values.get(tags[key]!) ?? 0) + 1));
    }
  }
  const byName = <Value>(map: Map<string, Value>): [string, Value][] => [...map].sort((a, b) => NAMES.compare(a[0], b[0]));
  return byName(found).map(([key, values]) => [key, byName(values)]);
}

/** True where a server has, of every tag among `chosen`, one of the values chosen. */
export function tagFilter(chosen: readonly string[]): (server: ShownServer) => boolean {
  const wanted = new Map<string, string[]>();
  for (const text of chosen) {
    const cut = text.indexOf('=');
    const key = cut < 0 ? text : text.slice(0, cut);
    wanted.set(key, [...(wanted.get(key) ?? []), cut < 0 ? '' : text.slice(cut + 1)]);
  }
  return (server) => [...wanted].every(([key, values]) => values.includes(server.tags[key] ?? ''));
}

/**
 * The servers under headings, in the order they have. Headings are worst first
 * if `worstFirst`, and by name among equals; those without the tag come last.
 */
export function groupsOf(servers: readonly ShownServer[], key: string, worstFirst: boolean): Group[] {
  const members = new Map<string | null, ShownServer[]>();
  for (const server of servers) {
    const value = server.tags[key] || null;
    const list = members.get(value);
    if (list) list.push(server);
    else members.set(value, [server]);
  }
  const worst = (group: Group): number => (worstFirst ? STATES.findIndex((state) => group.count[state] > 0) : 0);
  return [...members]
    .map(([value, list]) => ({ value, servers: list, count: counts(list) }))
    .sort((a, b) => Number(a.value === null) - Number(b.value === null) || worst(a) - worst(b) || NAMES.compare(a.value ?? '', b.value ?? ''));
}

/** The table from top to bottom. Servers of a folded heading are counted in it and not shown. */
export function linesOf(groups: readonly Group[], folded: readonly string[]): Line[] {
  return groups.flatMap((group): Line[] => {
    const isFolded = folded.includes(group.value ?? '');
    // No name of a server begins with a control character.
    const heading = { id: `\n${group.value ?? ''}`, group, folded: isFolded };
    return [heading, ...(isFolded ? [] : group.servers.map(serverLine))];
  });
}

/** A server as a line. */
export const serverLine = (server: ShownServer): Line => ({ id: server.name, server });
