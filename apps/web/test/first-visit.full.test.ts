import { fileURLToPath } from 'node:url'

import { modelDirectory } from '@x/embedded-model'
import type { Page } from 'playwright'
import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest'

import { chromiumOrSkip } from '../../../tooling/chromium-or-skip.ts'
import { whyNoChromium } from '../../../tooling/chromium.ts'
import { openBrowser } from './browser.ts'
import { buildPage } from './build-page.ts'
import { servePlain } from './plain-host.ts'
import { searchExample } from './search-example.ts'
import { MODEL_NAME, servePage } from './serve-page.ts'

let built: Awaited<ReturnType<typeof buildPage>> | undefined
beforeAll(async () => {
  if (whyNoChromium() === undefined) built = await buildPage()
})
afterAll(() => built?.remove())
beforeEach(chromiumOrSkip)

const folder = (): string => built?.folder ?? ''

const add = async (page: Page): Promise<void> => {
  await page.getByRole('button', { name: `Add ${MODEL_NAME}` }).click()
  await page.getByText('all of its bytes are those of its CID').waitFor()
}

const dot = (a: number[], b: number[]): number => a.reduce((sum, value, index) => sum + value * (b[index] ?? 0), 0)

/** The same by the server's engine, which runs in Node. */
async function searchInNode(url: string, texts: readonly string[], query: string): Promise<number[]> {
  const answer = await fetch(new URL('/v1/embeddings', url), {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ model: MODEL_NAME, input: [query, ...texts] }),
  })
  const { data }: { data: { embedding: number[] }[] } = await answer.json()
  const [of = [], ...others] = data.map(({ embedding }) => embedding)
  return others.map((vector) => dot(vector, of) / Math.sqrt(dot(vector, vector) * dot(of, of)))
}

it('adds a model of its server by CID, ranks texts as Node does, and does so again without any network', async () => {
  const { url, cid, close } = await servePage(folder())
  const { page, context, requests, errors } = await openBrowser()
  await page.goto(url)
  expect(await page.evaluate('crossOriginIsolated')).toBe(true)
  await add(page)
  await expect.poll(() => page.locator(`code[title="${cid}"]`).count()).toBe(1)
  const ranking = await searchExample(page)
  const texts = ranking.map(({ text }) => text)
  const inNode = await searchInNode(url, texts, await page.getByLabel('What are you looking for?').inputValue())
  expect(texts[0]).toContain('refund policy')
  expect(inNode).toEqual(inNode.toSorted((a, b) => b - a))
  // The page shows three digits.
  for (const [index, { score }] of ranking.entries()) expect(Math.abs(score - (inNode[index] ?? 9))).toBeLessThan(1e-3)

  await page.getByRole('link', { name: 'Provenance' }).click()
  await page.getByText('Show 6 receipts').click()
  const receipts: { model: string; executionProvider: string }[] = JSON.parse(await page.locator('pre').innerText())
  expect(receipts.map(({ model, executionProvider }) => [model, executionProvider])).toEqual(
    Array.from({ length: 6 }, () => [cid, 'wasm']),
  )
  await page.getByRole('button', { name: 'Run it again' }).click()
  await page.getByText('The same outputs, bit for bit').waitFor()

  await page.getByRole('link', { name: 'Network' }).click()
  await page.getByText('all of its files are kept here').waitFor()
  expect(errors).toEqual([])
  expect(requests.filter((one) => /^(?:https?|wss?):/.test(one) && !one.startsWith(url))).toEqual([])

  await close()
  await context.setOffline(true)
  await page.goto(`${url}#/models`)
  await page.reload()
  await page.getByRole('heading', { name: 'On this device' }).waitFor()
  expect(await page.evaluate('crossOriginIsolated')).toBe(true)
  expect(await searchExample(page)).toEqual(ranking)
})

it('says what to do where a model cannot be had, and asks nobody while working offline', async () => {
  const { url } = await servePage(folder())
  const { page, requests } = await openBrowser()
  await page.goto(`${url}#/network`)
  await page.getByRole('switch', { name: /^Work offline/ }).check()
  await page.getByRole('link', { name: 'Models' }).click()
  requests.length = 0
  await page.getByLabel('CID or name of a model').fill('bafybeigdyrzt5sfp7udm7hu76uh7y26nf3efuylqabf3oclgtqy55fbzdi')
  await page.getByRole('button', { name: 'Add', exact: true }).click()
  const alert = page.getByRole('alert').filter({ hasText: 'switched off' })
  await alert.waitFor()
  expect(await alert.innerText()).toContain('working offline')
  // The page's own files may still be on their way.
  expect(requests.filter((one) => !one.startsWith(`${url}assets/`))).toEqual([])
  await page.getByLabel('CID or name of a model').fill('no/such-model')
  await page.getByRole('button', { name: 'Add', exact: true }).click()
  expect(await page.locator('#add-problem').innerText()).toContain('no/such-model')
})

const MODEL_FOLDER = fileURLToPath(modelDirectory)

it('keeps a model that is given as a folder, verifies it once more, and removes it', async () => {
  const { url } = await servePage(folder())
  const { page } = await openBrowser()
  await page.goto(url)
  await page.getByRole('heading', { name: 'Add your first model' }).waitFor()
  await page.locator('input[webkitdirectory]').setInputFiles(MODEL_FOLDER)
  await page.getByText('all of its bytes are those of its CID').waitFor()
  await page.getByRole('button', { name: /^Details of/ }).click()
  await page.getByRole('button', { name: 'Verify again' }).click()
  await page.getByText('Verified again just now').waitFor()
  // The server has the same files, so the same CID: there is nothing more to add.
  await expect.poll(() => page.getByRole('heading', { name: 'On this server' }).count()).toBe(0)
  await page.getByRole('button', { name: /^Remove/ }).click()
  await page.getByRole('button', { name: 'Remove', exact: true }).click()
  await page.getByRole('heading', { name: 'On this server' }).waitFor()
})

it('works below any path of a host that knows nothing of it, isolated from the second visit on', async () => {
  const url = await servePlain(folder(), '/some/where/')
  const { page, requests } = await openBrowser()
  await page.goto(`${url}#/network`)
  expect(await page.evaluate('crossOriginIsolated')).toBe(false)
  await page.getByText('all of its files are kept here').waitFor()
  await page.reload()
  await page.getByText('WebAssembly runs models on').waitFor()
  expect(await page.evaluate('crossOriginIsolated')).toBe(true)
  await page.getByRole('link', { name: 'Models' }).click()
  await page.locator('input[webkitdirectory]').setInputFiles(MODEL_FOLDER)
  await page.getByText('all of its bytes are those of its CID').waitFor()
  const [best] = await searchExample(page)
  expect(best?.text).toContain('refund policy')
  // Also the question whether the host serves models.
  const elsewhere = requests.filter((one) => /^https?:/.test(one) && !one.startsWith(url))
  expect(elsewhere).toEqual([])
})
