/**
 * The present URL and the ways to change it. Links are plain `<a href>`; a
 * click on one that stays inside the dashboard changes the URL without a reload.
 */
import { pageOf, type Page } from './route';

class Navigation {
  private path = $state(location.pathname);
  private search = $state(location.search);

  readonly page: Page = $derived(pageOf(this.path));
  readonly query: URLSearchParams = $derived(new URLSearchParams(this.search));

  constructor() {
    addEventListener('popstate', () => this.read());
    addEventListener('click', (event) => this.follow(event));
  }

  /** Goes to a path with its query; `back` returns from there. */
  go(url: string): void {
    history.pushState({ inside: true }, '', url);
    this.read();
  }

  /** Changes the query of the present page. `step` makes it one that `back` undoes. */
  set(query: URLSearchParams, step: boolean): void {
    const text = query.toString();
    const url = location.pathname + (text ? `?${text}` : '');
    if (step) history.pushState({ inside: true }, '', url);
    else history.replaceState(history.state, '', url);
    this.read();
  }

  private read(): void {
    this.path = location.pathname;
    this.search = location.search;
  }

  private follow(event: MouseEvent): void {
    const link = event.target instanceof Element ? event.target.closest('a') : null;
    if (!link || event.defaultPrevented || event.button !== 0 || link.target || link.hasAttribute('download')) return;
    if (event.ctrlKey || event.metaKey || event.shiftKey || event.altKey) return;
    if (link.origin !== location.origin || link.pathname.startsWith('/api/') || link.hash) return;
    event.preventDefault();
    this.go(link.pathname + link.search);
    scrollTo(0, 0);
  }
}

/** The one navigation of this page. */
export const navigation = new Navigation();
