/**
 * What the browser's tab says: how many incidents are open, then the page.
 * Each page names itself; `App.svelte` writes it down.
 */
class Title {
  page = $state('');

  /** `(2) Servers – Bartizan` */
  text(open: number): string {
    return `${open > 0 ? `(${open}) ` : ''}${this.page ? `${this.page} – ` : ''}Bartizan`;
  }
}

/** The one title of this page. */
export const title = new Title();
