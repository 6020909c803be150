import { beforeEach, expect, it, onTestFinished } from 'vitest'

import { chromiumOrSkip } from '../../../tooling/chromium-or-skip.ts'
import { buildApp, startApp, storeModel } from './built-app.ts'
import { killBrowser, launchBrowser, openPage } from './chromium.ts'

interface Held {
  names: string[]
  roots: string[]
  dataFiles: number
}

beforeEach(chromiumOrSkip)

it('a browser that is killed while it stores leaves what was stored, and nothing else', async ({ skip }) => {
  if (process.platform !== 'linux') skip('the processes of the browser are found in /proc')
  const built = await buildApp('without-plugin')
  onTestFinished(() => built.remove())
  const app = await startApp(built.folder)
  await storeModel(app)
  const url = `${app.origin}/app/store.html`
  const page = await openPage(app, url)
  const before: Held = await page.evaluate(() => Reflect.get(window, 'held')())
  await page.evaluate(() => Reflect.get(window, 'beginEndless')())
  await killBrowser(app)
  const again = await openPage(await launchBrowser(app.profile), url)
  const after: Held = await again.evaluate(() => Reflect.get(window, 'held')())
  expect(after).toEqual(before)
  expect(after.names).toEqual(['sentence-transformers/all-MiniLM-L6-v2'])
})
