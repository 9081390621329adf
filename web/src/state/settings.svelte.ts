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

  private spoken = $state.raw<Dictionary | null>(null);
  readonly dark: boolean = $derived(this.theme === 'auto' ? this.prefersDark : this.theme === 'dark');

  constructor() {
    darkQuery.addEventListener('change', (event) => (this.prefersDark = event.matches));
  }

  /** The dictionary of the present language. Nothing is drawn before there is one: see `main.ts`. */
  get words(): Dictionary {
    if (!this.spoken) throw new Error('words were asked for before they were fetched');
    return this.spoken;
  }

  /** Speaks `language` from the moment on that its words are here; rejects where they cannot be had. */
  async speak(language: Language): Promise<void> {
    this.spoken = await DICTIONARIES[language]();
    this.language = language;
  }

  /** Speaks another language, now and on the next visit. Without the daemon the present one stays. */
  chooseLanguage(language: Language): void {
    this.speak(language).then(
      () => store(LANGUAGE_KEY, language),
      () => undefined,
    );
  }

  chooseTheme(theme: Theme): void {
    this.theme = theme;
    store(THEME_KEY, theme);
  }
}

/** The one set of preferences of this page. */
export const settings = new Settings();
