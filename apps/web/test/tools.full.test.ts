import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'

import { fixtureMedia, writeFixtureModel, type FixtureName } from '@x/fixtures'
import type { Page } from 'playwright'
import { beforeEach, expect, it, onTestFinished } from 'vitest'

import { chromiumOrSkip } from '../../../tooling/chromium-or-skip.ts'
import { openBrowser } from './browser.ts'
import { buildForTest } from './build-page.ts'
import { servePage } from './serve-page.ts'

beforeEach(chromiumOrSkip)

const MODELS = ['tiny-sentiment', 'tiny-gpt', 'tiny-vit', 'tiny-ctc'] as const satisfies readonly FixtureName[]

/** Gives the page a model as a folder, and shows its tool. */
async function run(page: Page, name: string, folder: string): Promise<void> {
  await page.getByRole('link', { name: 'Models' }).click()
  await page.locator('input[webkitdirectory]').setInputFiles(folder)
  const dismiss = page.getByRole('button', { name: `Dismiss ${name}` })
  await dismiss.waitFor()
  expect(await page.getByRole('article', { name: `Adding ${name}` }).innerText()).toContain('Added:')
  await dismiss.click()
  await page.getByRole('link', { name: `Run ${name}` }).click()
}

it('has a tool for each kind of model, each of which answers as the model does', async () => {
  const { url } = await servePage(await buildForTest())
  const folder = await mkdtemp(path.join(tmpdir(), 'page-models-'))
  onTestFinished(() => rm(folder, { recursive: true, force: true }))
  for (const name of MODELS) await writeFixtureModel(name, path.join(folder, name))
  for (const [name, bytes] of Object.entries(fixtureMedia())) await writeFile(path.join(folder, name), bytes)
  const { page, errors } = await openBrowser()
  await page.goto(url)

  await run(page, 'tiny-sentiment', path.join(folder, 'tiny-sentiment'))
  await page.getByLabel('A text').fill('i love this great movie and hate this')
  await page.getByRole('button', { name: 'Classify' }).click()
  const labels = page.locator('.ranking li')
  await labels.first().waitFor()
  expect(await labels.first().innerText()).toMatch(/^POSITIVE\s+98\.2 %$/)

  await run(page, 'tiny-gpt', path.join(folder, 'tiny-gpt'))
  await page.getByLabel('Your message').fill('the quick')
  await page.getByRole('button', { name: 'Send' }).click()
  await page.getByRole('listitem').getByText('brown fox jumps over lazy dog').waitFor()

  await run(page, 'tiny-vit', path.join(folder, 'tiny-vit'))
  await page.locator('input[accept="image/*"]').setInputFiles(path.join(folder, 'green.png'))
  await labels.first().waitFor()
  expect(await labels.first().innerText()).toMatch(/^green\s+100\.0 %$/)

  await run(page, 'tiny-ctc', path.join(folder, 'tiny-ctc'))
  await page.locator('input[accept="audio/*"]').setInputFiles(path.join(folder, 'abca.wav'))
  await page.getByText('abca', { exact: true }).waitFor()
  expect(errors).toEqual([])
})
