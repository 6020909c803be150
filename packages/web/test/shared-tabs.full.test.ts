import type { Page } from 'playwright'
import { beforeEach, expect, it, onTestFinished } from 'vitest'

import { chromiumOrSkip } from '../../../tooling/chromium-or-skip.ts'
import { buildApp, startApp } from './built-app.ts'
import { openPage } from './chromium.ts'

beforeEach(chromiumOrSkip)

const call = <T>(page: Page, name: string, ...args: unknown[]): Promise<T> =>
  page.evaluate(([of, given]) => Reflect.get(window, of)(...given), [name, args] as const)

/** As the system does for want of memory: the page has no time for anything. */
async function killRenderer(page: Page): Promise<void> {
  const crashed = new Promise<void>((resolve) => page.once('crash', () => resolve()))
  page.goto('chrome://kill').catch(() => undefined)
  await crashed
}

it.each([
  ['closed', (page: Page) => page.close()],
  ['killed', killRenderer],
  ['left for another page', (page: Page) => page.goto('about:blank')],
] as const)('when the tab that owns the storage is %s, what others do goes on', async (_how, end) => {
  const built = await buildApp('without-plugin')
  onTestFinished(() => built.remove())
  const app = await startApp(built.folder)
  const url = `${app.origin}/app/store.html`
  const owner = await openPage(app, url)
  await call(owner, 'keepOpen')
  await call(owner, 'beginAdd', 'held', 1, 40)
  const held = await call<string>(owner, 'finish', 'held')
  const other = await openPage(app, url)
  await call(other, 'keepOpen')

  await call(owner, 'beginUnended', 'lost', 100, 100)
  await call(other, 'beginCat', 'held')
  await call(other, 'beginPins', 'held')
  await call(other, 'beginAdd', 'added', 50, 100)
  await end(owner)
  await call(other, 'goOn')

  expect(await call(other, 'finish', 'cat held')).toBe(await call(other, 'digestOf', 1, 40))
  expect(await call(other, 'finish', 'pins held')).toBeGreaterThan(3)
  const added = await call<string>(other, 'finish', 'added')
  const now = { names: ['added', 'held'], pins: [held, added].toSorted(), dataFiles: 2, strays: 0 }
  expect(await call(other, 'keptNow')).toEqual(now)
  // And it shares it: a third one sees the same.
  const third = await openPage(app, url)
  await call(third, 'keepOpen')
  expect(await call(third, 'keptNow')).toEqual(now)
})
