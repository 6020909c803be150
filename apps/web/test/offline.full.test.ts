import { cp, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { fileURLToPath } from 'node:url'

import { modelDirectory } from '@x/embedded-model'
import type { Page } from 'playwright'
import { beforeEach, expect, it, onTestFinished } from 'vitest'

import { chromiumOrSkip } from '../../../tooling/chromium-or-skip.ts'
import { openBrowser } from './browser.ts'
import { buildForTest } from './build-page.ts'
import { servePlain } from './plain-host.ts'

beforeEach(chromiumOrSkip)

const KEPT = 'all of its files are kept here'
const MODEL_FOLDER = fileURLToPath(modelDirectory)

async function emptySite(): Promise<string> {
  const site = await mkdtemp(path.join(tmpdir(), 'page-site-'))
  onTestFinished(() => rm(site, { recursive: true, force: true }))
  return site
}

async function replace(site: string, folder: string): Promise<void> {
  await rm(site, { recursive: true, force: true })
  await cp(folder, site, { recursive: true })
}

const entryOf = (page: Page): Promise<string> => page.evaluate('document.querySelector("script[type=module]").src')
const cachesOf = (page: Page): Promise<string[]> => page.evaluate('caches.keys()')

/** The page as it is once all of its files are kept, from its service worker. */
async function visit(page: Page, url: string): Promise<void> {
  await page.goto(`${url}#/network`)
  await page.getByText(KEPT).waitFor()
}

it('leaves the tabs of an older version their files, and loads those again that nobody uses', async () => {
  const [older, newer] = [await buildForTest(), await buildForTest('test/newer-page.config.ts')]
  const site = await emptySite()
  await replace(site, older)
  const url = await servePlain(site, '/')
  const { context, page: first } = await openBrowser()
  await visit(first, url)
  const [used, idle] = [await context.newPage(), await context.newPage()]
  await visit(used, url)
  await visit(idle, url)
  await used.bringToFront()
  await used.getByRole('link', { name: 'Models' }).click()
  await used.locator('input[webkitdirectory]').setInputFiles(MODEL_FOLDER)
  await used.getByText('all of its bytes are those of its CID').waitFor()
  const before = await entryOf(first)

  await replace(site, newer)
  await first.reload()
  const loadedAgain = idle.waitForEvent('load')
  await first.getByRole('button', { name: 'Reload' }).click()
  await loadedAgain
  await expect.poll(() => entryOf(first)).not.toBe(before)
  expect(await entryOf(idle)).not.toBe(before)

  // The server has its worker no more.
  await used.bringToFront()
  await used.getByText('A newer version of this page is ready').waitFor()
  expect(await entryOf(used)).toBe(before)
  await used.getByRole('link', { name: 'Run', exact: true }).click()
  await used.getByRole('button', { name: 'Use an example' }).click()
  await used.getByRole('button', { name: 'Search' }).click()
  await used.getByRole('heading', { name: 'Nearest in meaning' }).waitFor()
  expect(await cachesOf(first)).toHaveLength(2)

  await used.getByRole('button', { name: 'Reload' }).click()
  await expect.poll(() => entryOf(used)).not.toBe(before)
  await expect.poll(() => cachesOf(first)).toHaveLength(1)
})

it('lets two pages below one origin keep their files, each its own', async () => {
  const folder = await buildForTest()
  const site = await emptySite()
  for (const name of ['a', 'b']) await cp(folder, path.join(site, 'ipfs', name), { recursive: true })
  const root = await servePlain(site, '/')
  const { context, page } = await openBrowser()
  for (const name of ['a', 'b', 'a']) await visit(page, `${root}ipfs/${name}/`)
  expect(await cachesOf(page)).toHaveLength(2)
  await context.setOffline(true)
  for (const name of ['a', 'b']) await visit(page, `${root}ipfs/${name}/`)
  expect(await page.evaluate('fetch("./manifest.webmanifest").then((it) => it.json())')).not.toHaveProperty('id')
})

/** Takes the files away that this browser keeps of ONNX Runtime, as they lack where it wanted the other build before. */
const forgetRuntime = (page: Page): Promise<string[]> =>
  page.evaluate(async () => {
    const [name = ''] = await caches.keys()
    const cache = await caches.open(name)
    const found = (await cache.keys()).map(({ url }) => url).filter((url) => /\.(?:jspi|asyncify)-/.test(url))
    for (const url of found) await cache.delete(url)
    return found
  })

it('fetches what it lacks at a later visit, and says so as long as it does', async () => {
  const url = await servePlain(await buildForTest(), '/')
  const { context, page } = await openBrowser()
  await visit(page, url)
  const runtime = await forgetRuntime(page)
  expect(runtime).toHaveLength(2)
  await context.setOffline(true)
  await page.reload()
  await page.getByText('not kept').waitFor()
  await context.setOffline(false)
  await page.reload()
  await page.getByText(KEPT).waitFor()
  expect(await forgetRuntime(page)).toEqual(runtime)
})
