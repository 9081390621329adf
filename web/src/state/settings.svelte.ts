/**
 * What a visitor prefers: language and theme. Kept in this browser; a browser
 * that refuses to keep it loses it at the end of the visit and nothing else.
 */
import { chooseLanguage, DICTIONARIES, type Dictionary, type Language } from '../i18n/dictionary';

export type Theme = 'auto' | 'light' | 'dark';

const LANGUAGE_KEY = 'bartizan.language';
const THEME_KEY = 'bartizan.theme';

function stored(key: string): string | null {
  try {
    return localStorage.getItem(key);
  } catch {
    return null;
  }
}

function store(key: string, value: string): void {
  try {
    localStorage.setItem(key, value);
  } catch {
    // A private window may refuse; the choice then holds for this visit.
  }
}

const wished = new URLSearchParams(location.search).get('lang');
const storedTheme = stored(THEME_KEY);
const darkQuery = matchMedia('(prefers-color-scheme: dark)');

class Settings {
  language = $state<Language>(chooseLanguage(wished, stored(LANGUAGE_KEY), navigator.language));
  theme = $state<Theme>(storedTheme === 'light' || storedTheme === 'dark' ? storedTheme : 'auto');
  private prefersDark = $state(darkQuery.matches);

  /** The dictionary of the present language. */
  readonly words: Dictionary = $derived(DICTIONARIES[this.language]);
  readonly dark: boolean = $derived(this.theme === 'auto' ? this.prefersDark : this.theme === 'dark');

  constructor() {
    darkQuery.addEventListener('change', (event) => (this.prefersDark = event.matches));
  }

  chooseLanguage(language: Language): void {
    this.language = language;
    store(LANGUAGE_KEY, language);
  }

  chooseTheme(theme: Theme): void {
    this.theme = theme;
    store(THEME_KEY, theme);
  }
}

/** The one set of preferences of this page. */
export const settings = new Settings();
