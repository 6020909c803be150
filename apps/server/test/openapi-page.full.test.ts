import { chromium } from 'playwright'
import { expect, it, onTestFinished } from 'vitest'

import { chromiumOrSkip } from '../../../tooling/chromium-or-skip.ts'
import { CHROMIUM, CHROMIUM_ARGUMENTS, LOOPBACK_ALONE } from '../../../tooling/chromium.ts'
import { openStore, start } from './support.ts'

it('is read in Chromium without a script, a request elsewhere, or a complaint, on a phone too', async (context) => {
  chromiumOrSkip(context)
  const { storage, models } = await openStore('tiny-bert')
  const { url } = await start(
    models.map((model) => ({ model, name: 'lab/tiny' })),
    { storage },
  )
  const browser = await chromium.launch({
    executablePath: CHROMIUM,
    timeout: 600_000,
    args: [...CHROMIUM_ARGUMENTS, LOOPBACK_ALONE],
  })
  onTestFinished(() => browser.close())
  const tab = await browser.newPage({ viewport: { width: 360, height: 640 }, colorScheme: 'dark' })
  tab.setDefaultTimeout(600_000)
  const asked: string[] = []
  const complaints: string[] = []
  tab.on('request', (request) => asked.push(request.url()))
  tab.on('console', (message) => complaints.push(message.text()))
  tab.on('pageerror', (error) => complaints.push(error.message))
  await tab.goto(`${url}/docs`)

  // By the keyboard: to the first operation, and open.
  const first = tab.locator('#createEmbedding')
  await first.locator('summary').focus()
  await tab.keyboard.press('Enter')
  await expect.poll(() => first.locator('pre').isVisible()).toBe(true)
  expect(await first.locator('pre').textContent()).toContain('curl "$HERE/v1/embeddings"')
  // A link leads to a schema, which is there.
  await first.getByRole('link', { name: 'CreateEmbeddingRequest' }).click()
  await expect.poll(() => new URL(tab.url()).hash).toBe('#s-CreateEmbeddingRequest')
  expect(await tab.locator('#s-CreateEmbeddingRequest').count()).toBe(1)
  // Nothing is wider than a phone, with all of it open.
  await tab.evaluate('for (const each of document.querySelectorAll("details")) each.open = true')
  expect(await tab.evaluate('document.documentElement.scrollWidth')).toBe(360)
  const colours = (): Promise<unknown> =>
    tab.evaluate('[document.documentElement, document.body].map((each) => getComputedStyle(each).color)')
  const dark = await colours()
  await tab.emulateMedia({ colorScheme: 'light' })
  expect(await colours()).not.toEqual(dark)
  expect(asked.filter((each) => !each.startsWith('data:'))).toEqual([`${url}/docs`])
  expect(complaints).toEqual([])
})
