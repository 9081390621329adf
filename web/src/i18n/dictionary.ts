/**
 * The languages, the type they share, and which one a visitor gets. Each is a
 * file of its own that is fetched when it is spoken: nobody loads two.
 */

/** Same keys, same arguments, in every language. */
export type Dictionary = typeof import('./en').en;

export type Language = 'en' | 'zh-CN';

/** Fetches a language by its tag. */
export const DICTIONARIES: Readonly<Record<Language, () => Promise<Dictionary>>> = {
  en: async () => (await import('./en')).en,
  'zh-CN': async () => (await import('./zh')).zh,
};

/** Each language's own name. */
export const LANGUAGE_NAMES: Readonly<Record<Language, string>> = { en: 'English', 'zh-CN': '中文' };

/** The URL's wish first, then the stored one, then the browser's. */
export function chooseLanguage(wished: string | null, stored: string | null, browser: string): Language {
  for (const tag of [wished, stored]) if (tag === 'en' || tag === 'zh-CN') return tag;
  return /^zh\b/i.test(browser) ? 'zh-CN' : 'en';
}
