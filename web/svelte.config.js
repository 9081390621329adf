/** Svelte's preprocessing: TypeScript in components, runes only; and short names for what keeps a component's styles to itself. */
import { vitePreprocess } from '@sveltejs/vite-plugin-svelte';

/** Which component has which name: two with the same would wear each other's styles. */
const named = new Map();

function cssHash({ hash, filename }) {
  const name = `s${hash(filename).slice(0, 4)}`;
  const other = named.get(name) ?? filename;
  if (other !== filename) throw new Error(`the styles of ${other} and ${filename} have the same short name: make it longer in svelte.config.js`);
  named.set(name, filename);
  return name;
}

export default {
  preprocess: vitePreprocess(),
  compilerOptions: { runes: true, discloseVersion: false, cssHash },
};
