/** What is read out to those who cannot see the page change. `parts/Announcer.svelte` holds the two live regions. */

/** How long a sentence stays in its region. */
const STAYS_MS = 20_000;

class Announcements {
  /** Interrupts whatever is being read. */
  assertive = $state('');
  /** Waits for its turn. */
  polite = $state('');
  private timer = 0;

  say(text: string, urgent: boolean): void {
    if (urgent) this.assertive = text;
    else this.polite = text;
    clearTimeout(this.timer);
    this.timer = window.setTimeout(() => {
      this.assertive = '';
      this.polite = '';
    }, STAYS_MS);
  }
}

/** The one voice of this page. */
export const announcements = new Announcements();
