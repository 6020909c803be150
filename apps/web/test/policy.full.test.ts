import { fileURLToPath } from 'node:url'

import { modelDirectory } from '@x/embedded-model'
import { beforeEach, expect, it } from 'vitest'

import { chromiumOrSkip } from '../../../tooling/chromium-or-skip.ts'
import { openBrowser } from './browser.ts'
import { buildForTest } from './build-page.ts'
import { servePlain } from './plain-host.ts'
import { searchExample } from './search-example.ts'

beforeEach(chromiumOrSkip)

it('runs no script that is not its own on a host without headers, and runs a model on threads all the same', async () => {
  const folder = await buildForTest()
  const url = await servePlain(folder, '/')
  const elsewhere = await servePlain(folder, '/')
  const { page, errors } = await openBrowser()
  await page.goto(`${url}#/network`)
  await page.getByText('all of its files are kept here').waitFor()
  await page.reload()
  expect(await page.evaluate('crossOriginIsolated')).toBe(true)
  await page.getByRole('link', { name: 'Models' }).click()
  await page.locator('input[webkitdirectory]').setInputFiles(fileURLToPath(modelDirectory))
  await page.getByText('Added:').waitFor()
  const [best] = await searchExample(page)
  expect(best?.text).toContain('refund policy')
  // It asks whether its host serves models, which this one does not.
  expect(errors.filter((error) => !error.includes('404'))).toEqual([])

  const refused = await page.evaluate(async (other) => {
    const directives: string[] = []
    document.addEventListener('securitypolicyviolation', (event) => directives.push(event.effectiveDirective))
    const script = Object.assign(document.createElement('script'), { src: `${other}sw.js` })
    const style = Object.assign(document.createElement('link'), { rel: 'stylesheet', href: `${other}index.css` })
    const inline = Object.assign(document.createElement('script'), { textContent: 'globalThis.wasRun = true' })
    document.head.append(inline)
    for (const element of [script, style]) {
      await new Promise((resolve) => {
        element.addEventListener('error', resolve)
        element.addEventListener('load', resolve)
        document.head.append(element)
      })
    }
    return { directives, wasRun: 'wasRun' in globalThis }
  }, elsewhere)
  expect(refused.wasRun).toBe(false)
  expect(refused.directives).toEqual(expect.arrayContaining(['script-src-elem', 'style-src-elem']))
})
