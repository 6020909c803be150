import { fileURLToPath } from 'node:url'

import { modelDirectory } from '@x/embedded-model'
import type { Page } from 'playwright'
import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest'

import { chromiumOrSkip } from '../../../tooling/chromium-or-skip.ts'
import { whyNoChromium } from '../../../tooling/chromium.ts'
import { openBrowser } from './browser.ts'
import { buildPage } from './build-page.ts'
import { servePlain } from './plain-host.ts'
import { beginSearch, searchExample } from './search-example.ts'

const MODEL_FOLDER = fileURLToPath(modelDirectory)

let built: Awaited<ReturnType<typeof buildPage>> | undefined
beforeAll(async () => {
  if (whyNoChromium() === undefined) built = await buildPage()
})
afterAll(() => built?.remove())
beforeEach(chromiumOrSkip)

const folder = (): string => built?.folder ?? ''

async function addFolder(page: Page): Promise<void> {
  await page.getByRole('link', { name: 'Models', exact: true }).click()
  await page.locator('input[webkitdirectory]').setInputFiles(MODEL_FOLDER)
  await page.getByText('all of its bytes are those of its CID').waitFor()
}

it('runs on what is chosen, says so, and gives the same on the graphics card as on the processor', async () => {
  const { page } = await openBrowser()
  await page.goto(await servePlain(folder(), '/'))
  await addFolder(page)
  await page.getByRole('link', { name: 'Run', exact: true }).click()
  const scores: (readonly (readonly [string, number])[])[] = []
  for (const [device, said] of [
    ['wasm', 'on the processor (WebAssembly)'],
    ['webgpu', 'on the graphics card (WebGPU)'],
  ] as const) {
    await page.getByLabel('Runs on').selectOption(device)
    const ranked = await searchExample(page)
    await page.getByText(said).waitFor()
    scores.push(ranked.map(({ text, score }) => [text, score] as const))
  }
  const [processor, card] = scores
  const byText = new Map(card)
  expect(processor?.length).toBeGreaterThan(2)
  for (const [text, score] of processor ?? []) expect(Math.abs(score - (byText.get(text) ?? 9))).toBeLessThan(2e-3)
  await page.getByRole('link', { name: 'Provenance' }).click()
  const facts = (): Promise<string[]> => page.locator('article .facts').allInnerTexts()
  await expect.poll(facts).toEqual([expect.stringContaining('WebGPU'), expect.stringContaining('WebAssembly')])
})

function withOtherRuntime(name: string, bytes: Buffer): Buffer {
  if (!name.endsWith('.wasm')) return bytes
  const changed = Buffer.from(bytes)
  changed[changed.length - 100]! ^= 1
  return changed
}

it('refuses a runtime that is not the one it was built with', async () => {
  const { page } = await openBrowser()
  await page.goto(await servePlain(folder(), '/', { change: withOtherRuntime }))
  await addFolder(page)
  await beginSearch(page)
  await page.getByText('The bytes are not what was promised').waitFor()
  expect(await page.getByRole('heading', { name: 'Nearest in meaning' }).count()).toBe(0)
})

/** In the page: changes a byte of the longest file that is stored. */
async function damage(): Promise<void> {
  const root = await navigator.storage.getDirectory()
  const data = await (await root.getDirectoryHandle('x-store')).getDirectoryHandle('data')
  let longest: { handle: FileSystemFileHandle; file: File } | undefined
  for await (const handle of data.values()) {
    if (handle.kind !== 'file') continue
    const file = await handle.getFile()
    if (file.size > (longest?.file.size ?? 0)) longest = { handle, file }
  }
  if (!longest) throw new Error('nothing is stored')
  const position = longest.file.size >> 1
  const [byte = 0] = new Uint8Array(await longest.file.slice(position, position + 1).arrayBuffer())
  const writable = await longest.handle.createWritable({ keepExistingData: true })
  await writable.write({ type: 'write', position, data: Uint8Array.of(byte ^ 1) })
  await writable.close()
}

it('says that a model is damaged for as long as it is, and does not run it', async () => {
  const { page } = await openBrowser()
  await page.goto(await servePlain(folder(), '/'))
  await addFolder(page)
  await page.evaluate(damage)
  const details = page.getByRole('button', { name: /^Details of / })
  await details.click()
  await page.getByText('Verified, leaf by leaf').waitFor()
  await page.getByRole('button', { name: 'Verify again' }).click()
  const alert = page.getByRole('alert').filter({ hasText: 'no longer what was stored' })
  await alert.waitFor()
  await details.click()
  await details.click()
  await alert.waitFor()
  await page.reload()
  await page.getByText('damaged', { exact: true }).waitFor()
  expect(await page.getByRole('link', { name: /^Run ./ }).count()).toBe(0)
  await page.getByRole('link', { name: 'Run', exact: true }).click()
  await page.getByRole('heading', { name: 'There is nothing to run yet' }).waitFor()
  await page.getByRole('link', { name: 'Models', exact: true }).click()
  await page.getByRole('button', { name: /^Remove / }).click()
  await page.getByRole('button', { name: 'Remove', exact: true }).click()
  await page.getByRole('heading', { name: 'Add your first model' }).waitFor()
  await addFolder(page)
  expect((await searchExample(page)).length).toBeGreaterThan(2)
})

it('shows in one tab what another one adds and removes', async () => {
  const url = await servePlain(folder(), '/')
  const { page, context } = await openBrowser()
  await page.goto(url)
  const other = await context.newPage()
  await other.goto(url)
  await other.getByRole('heading', { name: 'Add your first model' }).waitFor()
  // Playwright acts in the tab that is in front alone.
  await page.bringToFront()
  await addFolder(page)
  await other.getByRole('heading', { name: 'On this device' }).waitFor()
  await other.bringToFront()
  await other.getByRole('button', { name: /^Remove / }).click()
  await other.getByRole('button', { name: 'Remove', exact: true }).click()
  await page.getByRole('heading', { name: 'Add your first model' }).waitFor()
  expect(await page.getByRole('article').count()).toBe(0)
})
