/** The two languages, the type they share, and which one a visitor gets. */
import { en } from './en';
import { zh } from './zh';

/** Same keys, same arguments, in every language. */
export type Dictionary = typeof en;

export type Language = 'en' | 'zh-CN';

/** Every language by its tag. */
export const DICTIONARIES: Readonly<Record<Language, Dictionary>> = { en, 'zh-CN': zh };

/** Each language's own name. */
export const LANGUAGE_NAMES: Readonly<Record<Language, string>> = { en: 'English', 'zh-CN': '中文' };

/** The URL's wish first, then the stored one, then the browser's. */
export function chooseLanguage(wished: string | null, stored: string | null, browser: string): Language {
  for (const tag of [wished, stored]) if (tag === 'en' || tag === 'zh-CN') return tag;
  return /^zh\b/i.test(browser) ? 'zh-CN' : 'en';
}
