import { fileURLToPath } from 'node:url'

import { modelDirectory } from '@x/embedded-model'
import { beforeEach, expect, it } from 'vitest'

import { chromiumOrSkip } from '../../../tooling/chromium-or-skip.ts'
import { openBrowser } from './browser.ts'
import { buildForTest } from './build-page.ts'
import { servePlain } from './plain-host.ts'

beforeEach(chromiumOrSkip)

it.each([
  ['never says', 'the browser did not answer within 5 seconds', '() => new Promise(() => {})'],
  ['does not know', 'not known to this browser', '() => Promise.reject(new Error("not known to this browser"))'],
])('is shown, kept and useful where a browser %s how much room and what adapter there is', async (_, why, answer) => {
  const url = await servePlain(await buildForTest(), '/')
  const { context, page, errors } = await openBrowser()
  await context.addInitScript(
    `StorageManager.prototype.estimate = ${answer}; globalThis.GPU && (GPU.prototype.requestAdapter = ${answer})`,
  )
  // A server that never answers.
  await context.route('**/v1/models', () => {})
  await page.goto(`${url}#/network`)
  await page.getByText('all of its files are kept here').waitFor()
  await page.getByText(`not known: ${why}`).waitFor()
  await page.getByRole('heading', { name: 'This browser' }).waitFor()
  await page.getByText('it did not answer within 15 seconds').waitFor()
  await page.getByRole('link', { name: 'Models' }).click()
  await page.locator('input[webkitdirectory]').setInputFiles(fileURLToPath(modelDirectory))
  await page.getByText('Added:').waitFor()
  expect(errors).toEqual([])
})
