/** Both languages say everything. */
import { expect, test } from 'vitest';
import { chooseLanguage, DICTIONARIES } from './dictionary';
import { en } from './en';
import { zh } from './zh';

test('both languages have the same keys, none empty, and functions where the other has them', () => {
  expect(shape(zh)).toEqual(shape(en));
  expect(shape(en).length).toBeGreaterThan(100);
});

test('each language is fetched by its tag', async () => {
  expect([await DICTIONARIES.en(), await DICTIONARIES['zh-CN']()]).toEqual([en, zh]);
});

test('the URL wins over what is stored, and that over the browser', () => {
  expect(chooseLanguage('en', 'zh-CN', 'zh-TW')).toBe('en');
  expect(chooseLanguage(null, 'zh-CN', 'en-GB')).toBe('zh-CN');
  expect([chooseLanguage(null, null, 'zh-Hans-CN'), chooseLanguage('xx', null, 'de')]).toEqual(['zh-CN', 'en']);
});

/** Every path with the kind of what is there. */
function shape(value: unknown, path = ''): string[] {
  if (typeof value === 'object' && value !== null) {
    return Object.entries(value).flatMap(([key, inner]) => shape(inner, `${path}.${key}`)).sort();
  }
  const kind = typeof value === 'function' ? `function/${value.length}` : value === '' ? 'empty' : 'text';
  return [`${path} ${kind}`];
}
