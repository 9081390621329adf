/** The daemon's list of plugin files, from `GET /api/v1/plugins`. */
import { ask } from './asking';

/** A plugin that was found fit to load. */
export interface PluginFile {
  readonly id: string;
  readonly name: string;
  readonly version: string;
  readonly description: string;
  readonly abi: string;
  readonly path: string;
  readonly sha256: string;
  readonly bundled: boolean;
  readonly instances: number;
  readonly host_pid: number | null;
}

/** All files that were found. */
export interface Plugins {
  readonly plugins: readonly PluginFile[];
  readonly refused: readonly { readonly path: string; readonly reason: string }[];
}

/** Rejects with a sentence that fits a person. */
export async function readPlugins(signal: AbortSignal): Promise<Plugins> {
  const body = (await ask('/plugins', { signal })) as Partial<Plugins>;
  return { plugins: body.plugins ?? [], refused: body.refused ?? [] };
}
