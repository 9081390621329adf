/** The names of all servers in their order, for the way from one to the next. */

/** Empty if they cannot be had: the keys then do nothing. */
export async function readServerNames(signal: AbortSignal): Promise<string[]> {
  try {
    const answer = await fetch('/api/v1/servers', { signal });
    const body = (await answer.json()) as { servers?: { name?: unknown }[] };
    return (body.servers ?? []).flatMap((server) => (typeof server.name === 'string' ? [server.name] : [])).sort();
  } catch {
    return [];
  }
}
