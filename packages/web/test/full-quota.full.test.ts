import type { Page } from 'playwright'
import { beforeEach, expect, it, onTestFinished } from 'vitest'

import { chromiumOrSkip } from '../../../tooling/chromium-or-skip.ts'
import { buildApp, startApp } from './built-app.ts'
import { openPage } from './chromium.ts'

const MIB = 1024 * 1024

/** What a function of `store.js` gives, or the code of its error. */
const call = (page: Page, name: string, ...args: unknown[]): Promise<unknown> =>
  page.evaluate(
    async ([of, given]) => {
      try {
        return await Reflect.get(window, of)(...given)
      } catch (error) {
        return Reflect.get(Object(error), 'code') ?? String(error)
      }
    },
    [name, args] as const,
  )

beforeEach(chromiumOrSkip)

// With a profile on the disk Chromium counts what open files grow by, which it does not in the private window of other tests.
it('a storage that has used up its quota is read, and emptied', async () => {
  const built = await buildApp('without-plugin')
  onTestFinished(() => built.remove())
  const app = await startApp(built.folder)
  const url = `${app.origin}/app/store.html`
  const page = await openPage(app, url)
  expect(await call(page, 'fill', 'one', 12 * MIB)).toBe('added')
  expect(await call(page, 'fill', 'two', 12 * MIB)).toBe('added')
  const session = await app.context.newCDPSession(page)
  const leave = async (bytes: number): Promise<void> => {
    const usage = await page.evaluate(async () => (await navigator.storage.estimate()).usage ?? 0)
    await session.send('Storage.overrideQuotaForOrigin', { origin: app.origin, quotaSize: usage + bytes })
  }
  await leave(0.5 * MIB)
  expect(await call(page, 'fill', 'more', MIB)).toBe('NO_SPACE')
  expect(await call(page, 'held')).toMatchObject({ names: ['one', 'two'], dataFiles: 2 })
  expect(await call(page, 'forget', 'one')).toMatchObject({ blocks: 13 })
  expect(await call(page, 'held')).toMatchObject({ names: ['two'], dataFiles: 1 })
  expect(await call(page, 'fill', 'new', 8 * MIB)).toBe('added')
  await leave(0.5 * MIB)
  // The room that freeing takes was kept again.
  expect(await call(page, 'forget', 'two')).toMatchObject({ blocks: 13 })
  expect(await call(page, 'held')).toMatchObject({ names: ['new'], dataFiles: 1 })
})
