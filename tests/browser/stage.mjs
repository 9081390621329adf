/**
 * What every browser test needs: the built daemon on a port of its own, real Chromium, and waiting for a condition.
 *
 * Whatever is started here is ended here, by its own handle.
 */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { chromium } from 'playwright-core';

/** Longer than anything takes on a busy machine. */
export const DEADLINE_MS = 60_000;

/** The one server that is monitored. */
export const SERVER = 'web-1';

const TOP = join(import.meta.dirname, '..', '..');

/** Where screenshots go. */
export const SHOTS = join(TOP, 'target', 'screenshots');

/** Looks until there is something to see; returns it. */
export async function until(what, look, deadlineMs = DEADLINE_MS) {
  const began = performance.now();
  for (;;) {
    const seen = await look();
    if (seen) return seen;
    assert.ok(performance.now() - began < deadlineMs, `waited ${deadlineMs} ms for ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

/** A port that nobody has. */
async function freePort() {
  const server = createServer().listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  const { port } = server.address();
  await new Promise((resolve) => server.close(resolve));
  return port;
}

/** A daemon that can be killed and started again where it was. */
export class Daemon {
  /** Prepares folder, configuration and port; starts nothing. */
  static async prepare() {
    const daemon = new Daemon();
    daemon.program = process.env.BARTIZAN_BIN ?? join(TOP, 'target', 'release', 'bartizan');
    assert.ok(existsSync(daemon.program), `${daemon.program} is not built: run \`cargo build --release\` first`);
    daemon.folder = mkdtempSync(join(tmpdir(), 'bartizan-browser-'));
    writeFileSync(join(daemon.folder, 'bartizan.toml'), `[[server]]\nname = "${SERVER}"\ntags = { env = "test" }\n`);
    daemon.port = await freePort();
    daemon.url = `http://127.0.0.1:${daemon.port}`;
    return daemon;
  }

  /** Starts it and does not wait. */
  start() {
    const log = openSync(join(this.folder, 'daemon.log'), 'a');
    const { NOTIFY_SOCKET, WATCHDOG_USEC, JOURNAL_STREAM, ...env } = process.env;
    const options = ['--config', join(this.folder, 'bartizan.toml'), '--state', join(this.folder, 'state')];
    const listen = ['--listen', `127.0.0.1:${this.port}`];
    this.startedMs = performance.now();
    this.child = spawn(this.program, ['run', ...options, ...listen], { stdio: ['ignore', log, log], env });
    this.ended = new Promise((resolve) => this.child.once('exit', resolve));
  }

  /** Waits for a first answer. */
  async answers() {
    await until('the daemon', async () => {
      assert.equal(this.child.exitCode, null, `the daemon has ended:\n${this.log()}`);
      const answer = await fetch(`${this.url}/api/v1/servers`).catch(() => null);
      if (!answer?.ok) return false;
      const { servers } = await answer.json();
      return servers.some((server) => server.latest.cpu_usage_ratio !== null && server.latest.cpu_usage_ratio !== undefined);
    });
  }

  /** Reads a path below `/api/v1`. */
  async get(path) {
    const answer = await fetch(`${this.url}/api/v1${path}`);
    assert.ok(answer.ok, `${path}: ${answer.status}`);
    return answer.json();
  }

  signal(signal) {
    this.child.kill(signal);
  }

  /** Kills it as `kill -9` does. */
  async kill() {
    this.child.kill('SIGKILL');
    await this.ended;
  }

  log() {
    return readFileSync(join(this.folder, 'daemon.log'), 'utf8').split('\n').slice(-60).join('\n');
  }

  async end() {
    if (this.child?.exitCode === null && this.child.signalCode === null) {
      this.child.kill('SIGCONT');
      await this.kill();
    }
    rmSync(this.folder, { recursive: true });
  }
}

/** Chromium: `$CHROMIUM`, or where the distributions put it. */
export async function browser() {
  const places = [process.env.CHROMIUM, '/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'];
  const executablePath = places.find((path) => path && existsSync(path));
  assert.ok(executablePath, 'no Chromium: install the package chromium, or name it in $CHROMIUM');
  // Its sandbox needs rights that root in a container does not have.
  const args = process.getuid() === 0 ? ['--no-sandbox'] : [];
  return chromium.launch({ executablePath, args });
}

/** A page that remembers every error it meets. */
export async function page(context) {
  const page = await context.newPage();
  page.errors = [];
  page.on('pageerror', (error) => page.errors.push(String(error)));
  page.on('console', (message) => {
    if (message.type() === 'error') page.errors.push(`${message.text()} ${message.location().url}`);
  });
  return page;
}

/** Every language in every theme. */
export const LOOKS = ['en', 'zh-CN'].flatMap((language) => ['light', 'dark'].map((theme) => ({ language, theme })));

/** Whoever has this look on an ordinary screen. */
export const viewer = ({ language, theme }) => ({
  locale: language,
  colorScheme: theme,
  viewport: { width: 1280, height: 900 },
});

/** Whoever has a small telephone. */
export const TELEPHONE = { viewport: { width: 360, height: 740 }, hasTouch: true, isMobile: true };

/** Makes sure that a page has this look and nothing but words for people, and leaves its picture. */
export async function whole(page, name, { language, theme }) {
  const { lang, chosen, text } = await page.evaluate(() => ({
    lang: document.documentElement.lang,
    chosen: document.documentElement.dataset.theme,
    text: document.body.innerText,
  }));
  assert.equal(lang, language);
  assert.equal(chosen, theme);
  assert.equal(/[\u4e00-\u9fff]/.test(text.replace('中文', '')), language === 'zh-CN', text);
  assert.doesNotMatch(text, /undefined|NaN|\[object/);
  await picture(page, `${name}-${language}-${theme}`);
  assert.deepEqual(page.errors, []);
}

/** Makes sure that nothing of a page lies beside a small telephone, and leaves its picture. */
export async function narrow(page, name) {
  const wide = await page.evaluate(() => document.documentElement.scrollWidth);
  await picture(page, `${name}-360`);
  assert.ok(wide <= 360, `${name} is ${wide} px wide`);
  assert.deepEqual(page.errors, []);
}

/** A picture of the whole page: the window becomes as high, so that what stays in view stays at its edge. */
async function picture(page, name) {
  const before = page.viewportSize();
  const height = await page.evaluate(() => document.documentElement.scrollHeight);
  await page.setViewportSize({ width: before.width, height: Math.max(height, before.height) });
  await page.screenshot({ path: join(SHOTS, `${name}.png`) });
  await page.setViewportSize(before);
}

/** What the wall shows of the server: how fresh, of when, and its numbers. */
export function row(page) {
  return page.evaluate((name) => {
    const row = document.querySelector(`tr[data-server="${name}"]`);
    if (!row) return null;
    const number = (cell) => row.querySelector(`td.${cell} .number`)?.textContent.trim();
    return {
      freshness: row.dataset.freshness,
      at: Number(row.dataset.at),
      cpu: number('cpu'),
      memory: number('memory'),
      disk: number('disk'),
    };
  }, SERVER);
}

/** Waits until the wall shows a fresh number, newer than `at`. */
export function fresh(page, at = 0) {
  return until('a fresh number on the wall', async () => {
    const shown = await row(page);
    return shown?.freshness === 'fresh' && shown.at > at && /\d/.test(shown.cpu) ? shown : null;
  });
}

mkdirSync(SHOTS, { recursive: true });
