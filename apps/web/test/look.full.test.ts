import { mkdir } from 'node:fs/promises'
import path from 'node:path'

import { beforeEach, expect, it } from 'vitest'

import { chromiumOrSkip, openBrowser } from './browser.ts'
import { buildForTest } from './build-page.ts'
import { MODEL_NAME, servePage } from './serve-page.ts'

beforeEach(chromiumOrSkip)
it('looks', async () => {
  const out = process.env.PAGE_SCREENSHOTS ?? path.join(import.meta.dirname, '../test-results')
  await mkdir(out, { recursive: true })
  const { url } = await servePage(await buildForTest())
  const { page, errors } = await openBrowser()
  await page.goto(url)
  await page.getByRole('button', { name: `Add ${MODEL_NAME}` }).waitFor()
  const shots = async (name: string): Promise<void> => {
    for (const [size, width, height] of [
      ['desk', 1280, 800],
      ['phone', 390, 844],
    ] as const) {
      await page.setViewportSize({ width, height })
      for (const colorScheme of ['light', 'dark'] as const) {
        await page.emulateMedia({ colorScheme })
        await page.screenshot({ path: path.join(out, `${name}-${size}-${colorScheme}.png`), fullPage: true })
      }
    }
    await page.setViewportSize({ width: 1280, height: 800 })
  }
  await shots('models-empty')
  await page.getByRole('button', { name: `Add ${MODEL_NAME}` }).click()
  await page
    .getByText('all of its bytes are those of its CID')
    .waitFor({ timeout: 15_000 })
    .catch(() => undefined)
  await page.screenshot({ path: path.join(out, 'now.png') })
  console.log(errors, await page.locator('main').innerText())
  await page.getByRole('button', { name: /^Details of/ }).click({ timeout: 5000 })
  await page.getByText('Architecture').waitFor()
  await shots('models')
  await page.getByRole('link', { name: 'Provenance' }).click()
  await shots('provenance-empty')
  await page.getByRole('link', { name: 'Run', exact: true }).click()
  await page.getByRole('button', { name: 'Use an example' }).click()
  await shots('run-before')
  await page.getByRole('button', { name: 'Search' }).click()
  await page
    .getByText('Nearest in meaning')
    .waitFor({ timeout: 60_000 })
    .catch(() => undefined)
  console.log(errors, await page.locator('main').innerText())
  await shots('run')
  await page.getByRole('link', { name: 'Provenance' }).click()
  await page.getByText(/^Show \d+ receipt/).click({ timeout: 5000 })
  await page.getByRole('button', { name: 'Run it again' }).click()
  await page
    .getByText('bit for bit')
    .waitFor({ timeout: 60_000 })
    .catch(() => undefined)
  await shots('provenance')
  await page.getByRole('link', { name: 'Network' }).click()
  await shots('network')
  expect(errors).toEqual([])
})
