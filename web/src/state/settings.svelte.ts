/** What a visitor prefers: language and theme. Kept in this browser. */
import { chooseLanguage, DICTIONARIES, type Dictionary, type Language } from '../i18n/dictionary';
import { store, stored } from './stored';

export type Theme = 'auto' | 'light' | 'dark';

const LANGUAGE_KEY = 'bartizan.language';
const THEME_KEY = 'bartizan.theme';

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
