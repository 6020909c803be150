import { readdir, stat } from 'node:fs/promises'
import path from 'node:path'
import { fileURLToPath } from 'node:url'

import { modelDirectory } from '@x/embedded-model'
import type { BrowserContext, Page } from 'playwright'
import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest'

import { chromiumOrSkip } from '../../../tooling/chromium-or-skip.ts'
import { whyNoChromium } from '../../../tooling/chromium.ts'
import { openBrowser } from './browser.ts'
import { buildPage } from './build-page.ts'
import { serveFaultyGateway, type FaultyGateway } from './faulty-gateway.ts'
import { servePlain } from './plain-host.ts'
import { searchExample } from './search-example.ts'

const MEBIBYTE = 1024 * 1024
/** What a gateway answers that is of no file: directories, what says where the leaves are. */
const NOT_FILES = 100_000
const ADDED = 'all of its bytes are those of its CID'

let built: Awaited<ReturnType<typeof buildPage>> | undefined
beforeAll(async () => {
  if (whyNoChromium() === undefined) built = await buildPage()
})
afterAll(() => built?.remove())
beforeEach(chromiumOrSkip)

async function modelSize(): Promise<number> {
  const folder = fileURLToPath(modelDirectory)
  const entries = await readdir(folder, { withFileTypes: true, recursive: true })
  const files = entries.filter((entry) => entry.isFile())
  const sizes = await Promise.all(files.map(async (file) => (await stat(path.join(file.parentPath, file.name))).size))
  return sizes.reduce((sum, size) => sum + size, 0)
}

async function addGateways(page: Page, ...urls: readonly string[]): Promise<void> {
  await page.getByRole('link', { name: 'Network', exact: true }).click()
  for (const url of urls) {
    await page.getByLabel('Address of a gateway').fill(url)
    await page.getByRole('button', { name: 'Add a gateway' }).click()
    await page.getByRole('button', { name: `Forget the gateway ${url}` }).waitFor()
  }
  await page.getByRole('link', { name: 'Models', exact: true }).click()
}

async function add(page: Page, cid: string): Promise<void> {
  await page.getByLabel('CID or name of a model').fill(`ipfs://${cid}`)
  await page.getByRole('button', { name: 'Add', exact: true }).click()
}

/** Until what was being added is there; what the page says instead is the failure. */
async function untilAdded(page: Page): Promise<void> {
  const problem = page.getByRole('alert').filter({ hasText: /\S/ }).first()
  const said = page.getByText(ADDED).first()
  await said.or(problem).first().waitFor()
  if (await said.isVisible()) return
  throw new Error(`it was not added: ${await problem.innerText()}`)
}

/** Bytes that the page noted of what it had of its only download. */
const noted = (page: Page): Promise<number> =>
  page.evaluate(() => {
    const key = Object.keys(localStorage).find((one) => one.startsWith('ipfs-accelerate.unfinished '))
    return JSON.parse(localStorage.getItem(key ?? '') ?? '{}').loaded ?? 0
  })

async function start(context: BrowserContext, gateways: readonly FaultyGateway[]): Promise<Page> {
  const page = context.pages()[0] ?? (await context.newPage())
  await page.goto(await servePlain(built?.folder ?? '', '/'))
  await page.getByRole('heading', { name: 'Add your first model' }).waitFor()
  await addGateways(page, ...gateways.map(({ url }) => url))
  return page
}

/** Begins to fetch, and gets to where the gateway answers no more and the page has what it answered. */
async function fetchHalf(page: Page, gateway: FaultyGateway): Promise<void> {
  const half = gateway.holdAfter(10 * MEBIBYTE)
  await add(page, gateway.cid)
  await half
  await expect.poll(() => noted(page)).toBeGreaterThan(gateway.bytes() - MEBIBYTE)
  // What came is written after it was counted, or looked at: a page that ends between these fetches it again.
  await expect.poll(() => page.evaluate(bytesStored)).toBeGreaterThan(gateway.bytes() - NOT_FILES)
  // Of all files but one the storage has all.
  await expect.poll(() => page.evaluate(unfinishedFiles)).toBe(1)
}

it.each(['loaded again', 'killed'])(
  'a tab that is %s goes on with what it fetched, and no byte comes twice',
  async (how) => {
    const gateway = await serveFaultyGateway()
    const { context } = await openBrowser()
    let page = await start(context, [gateway])
    await fetchHalf(page, gateway)
    const url = page.url()
    if (how === 'killed') {
      const cdp = await context.newCDPSession(page)
      const crashed = page.waitForEvent('crash')
      cdp.send('Page.crash').catch(() => undefined)
      await crashed
      await page.close()
      page = await context.newPage()
      await page.goto(url)
    } else await page.reload()
    gateway.goOn()
    await page.getByText(/^It was interrupted at .* of .*What had come is kept/).waitFor()
    await page.getByRole('button', { name: 'Go on' }).click()
    await untilAdded(page)

    const asked = gateway.answered.filter(({ bytes }) => bytes > NOT_FILES).map((answer) => answer.asked)
    expect(asked.filter((one, index) => asked.indexOf(one) !== index)).toEqual([])
    expect(gateway.bytes()).toBeLessThan((await modelSize()) + NOT_FILES)
    await page.reload()
    await page.getByRole('heading', { name: 'On this device' }).waitFor()
    expect(await page.getByText('It was interrupted').count()).toBe(0)
    expect((await searchExample(page)).length).toBeGreaterThan(2)
  },
)

it('what was interrupted is still there to go on with after a try that came to nothing', async () => {
  const gateway = await serveFaultyGateway()
  const { context } = await openBrowser()
  const page = await start(context, [gateway])
  await fetchHalf(page, gateway)
  await page.reload()
  const interrupted = page.getByText(/^It was interrupted at .* of /)
  const said = await interrupted.innerText()
  gateway.fail()
  await page.getByRole('button', { name: 'Go on' }).click()
  await page.getByRole('button', { name: 'Try again' }).waitFor()
  await page.reload()
  expect(await interrupted.innerText()).toBe(said)
  gateway.goOn()
  await page.getByRole('button', { name: 'Go on' }).click()
  await page.getByText(ADDED).waitFor()
})

it('what was interrupted and is given up leaves nothing', async () => {
  const gateway = await serveFaultyGateway()
  const { context } = await openBrowser()
  const page = await start(context, [gateway])
  await fetchHalf(page, gateway)
  await page.reload()
  await page.getByText(/^It was interrupted/).waitFor()
  const bytes = (): Promise<number> => page.evaluate(bytesOfPartials)
  expect(await bytes()).toBeGreaterThan(3 * MEBIBYTE)
  await page.getByRole('button', { name: /^Dismiss/ }).click()
  await expect.poll(bytes).toBe(0)
  await page.getByRole('heading', { name: 'Add your first model' }).waitFor()
})

/** In the page. Of the tree of a page's storage, not of what the browser estimates. */
async function bytesStored(): Promise<number> {
  let sum = 0
  const into = async (folder: FileSystemDirectoryHandle): Promise<void> => {
    for await (const handle of folder.values()) {
      if (handle.kind === 'directory') await into(handle)
      else
        sum += await handle.getFile().then(
          ({ size }) => size,
          () => 0,
        )
    }
  }
  await into(await navigator.storage.getDirectory())
  return sum
}

/** In the page. Notes of files that are whole, too. */
async function filesOfPartials(): Promise<string[]> {
  const names: string[] = []
  const into = async (folder: FileSystemDirectoryHandle): Promise<void> => {
    for await (const handle of folder.values()) {
      if (handle.kind === 'directory') await into(handle)
      else names.push(handle.name)
    }
  }
  const root = await navigator.storage.getDirectory()
  await into(await root.getDirectoryHandle('x-store.partials', { create: true }))
  return names
}

/** In the page. */
async function unfinishedFiles(): Promise<number> {
  const root = await navigator.storage.getDirectory()
  const folder = await root.getDirectoryHandle('x-store.partials', { create: true })
  let count = 0
  for await (const name of folder.keys()) if (name !== 'done') count += 1
  return count
}

/** In the page. */
async function bytesOfPartials(): Promise<number> {
  let sum = 0
  const into = async (folder: FileSystemDirectoryHandle): Promise<void> => {
    for await (const handle of folder.values()) {
      if (handle.kind === 'directory') await into(handle)
      else sum += (await handle.getFile()).size
    }
  }
  const root = await navigator.storage.getDirectory()
  await into(await root.getDirectoryHandle('x-store.partials', { create: true }))
  return sum
}

it('names a gateway that lies, and has the model from another', async () => {
  const [liar, honest] = [await serveFaultyGateway(), await serveFaultyGateway()]
  liar.lie()
  const { context } = await openBrowser()
  const page = await start(context, [liar, honest])
  await add(page, liar.cid)
  await page.getByText(ADDED).waitFor()
  const failed = page.getByRole('list', { name: 'Sources that failed' }).getByRole('listitem')
  await expect
    .poll(() => failed.allInnerTexts())
    .toEqual([`${new URL(liar.url).host} gave other bytes than those of the CID; it is not asked again`])
  expect((await searchExample(page)).length).toBeGreaterThan(2)
})

it('names a gateway that lies where there is no other, and keeps nothing once that is dismissed', async () => {
  const liar = await serveFaultyGateway()
  liar.lie()
  const { context } = await openBrowser()
  const page = await start(context, [liar])
  await add(page, liar.cid)
  const alert = page.getByRole('alert').filter({ hasText: 'The bytes are not what was promised' })
  await alert.waitFor()
  expect(await alert.innerText()).toContain(new URL(liar.url).host)
  await page.getByRole('button', { name: /^Dismiss/ }).click()
  await expect.poll(() => page.evaluate(filesOfPartials)).toEqual([])
  await page.reload()
  await page.getByRole('heading', { name: 'Add your first model' }).waitFor()
  expect(await page.getByText('It was interrupted').count()).toBe(0)
})

it('says what there was no room for, keeps what had come for as long as it is wanted, and goes on once there is room', async () => {
  const gateway = await serveFaultyGateway()
  const { context } = await openBrowser()
  const page = await start(context, [gateway])
  const cdp = await context.newCDPSession(page)
  const { origin } = new URL(page.url())
  const { usage } = await cdp.send('Storage.getUsageAndQuota', { origin })
  await cdp.send('Storage.overrideQuotaForOrigin', { origin, quotaSize: usage + 5 * MEBIBYTE })
  await add(page, gateway.cid)
  const alert = page.getByRole('alert').filter({ hasText: 'There is no room left' })
  await alert.waitFor()
  expect(await alert.innerText()).toMatch(/bytes \d+ to \d+ of 15505708: the browser gives no room for them/)
  await page.getByRole('button', { name: /^Dismiss/ }).click()
  await expect.poll(() => page.evaluate(bytesOfPartials)).toBe(0)
  await add(page, gateway.cid)
  await alert.waitFor()
  await cdp.send('Storage.overrideQuotaForOrigin', { origin })
  await page.getByRole('button', { name: 'Try again' }).click()
  await page.getByText(ADDED).waitFor()
})

it('two tabs that add the same model at once both have it, once, and one that is killed midway leaves the other going on', async () => {
  const gateway = await serveFaultyGateway()
  const { context } = await openBrowser()
  const page = await start(context, [gateway])
  const other = await context.newPage()
  await other.goto(page.url())
  const half = gateway.holdAfter(6 * MEBIBYTE)
  await page.bringToFront()
  await add(page, gateway.cid)
  await half
  await other.bringToFront()
  await add(other, gateway.cid)
  await other.getByRole('article', { name: `Adding ${gateway.cid}` }).waitFor()
  const cdp = await context.newCDPSession(page)
  const crashed = page.waitForEvent('crash')
  cdp.send('Page.crash').catch(() => undefined)
  await crashed
  gateway.goOn()
  await other.getByText(ADDED).waitFor()
  await other.getByRole('heading', { name: 'On this device' }).waitFor()
  const third = await context.newPage()
  await third.goto(other.url())
  await third.bringToFront()
  expect((await searchExample(third)).length).toBeGreaterThan(2)
  expect(await third.evaluate(bytesStored)).toBeLessThan((await modelSize()) + MEBIBYTE)
})

it('knows of each of several downloads in two tabs, whichever ends first', async () => {
  const gateways = [await serveFaultyGateway(), await serveFaultyGateway('another name')]
  const { context } = await openBrowser()
  const page = await start(context, gateways)
  const other = await context.newPage()
  await other.goto(page.url())
  await other.getByRole('heading', { name: 'Add your first model' }).waitFor()
  const [first, second] = gateways
  await page.bringToFront()
  await add(page, first!.cid)
  await other.bringToFront()
  await add(other, second!.cid)
  for (const tab of [page, other]) await untilAdded(tab)
  for (const tab of [page, other]) {
    await tab.reload()
    await tab.getByRole('heading', { name: 'On this device' }).waitFor()
    expect(await tab.getByText('It was interrupted').count()).toBe(0)
  }
  expect(await page.evaluate(filesOfPartials)).toEqual([])
})

it('asks nobody from when it is switched offline, amid a download too, and goes on when it is switched on', async () => {
  const gateway = await serveFaultyGateway()
  const { context, requests } = await openBrowser()
  const page = await start(context, [gateway])
  await fetchHalf(page, gateway)
  await page.getByRole('link', { name: 'Network', exact: true }).click()
  await page.getByRole('switch', { name: /^Work offline/ }).check()
  await page.getByRole('link', { name: 'Models', exact: true }).click()
  const alert = page.getByRole('alert').filter({ hasText: 'It is switched off' })
  await alert.waitFor()
  expect(await alert.innerText()).toContain('working offline')
  gateway.goOn()
  const before = requests.filter((one) => one.startsWith(gateway.url)).length
  await page.getByRole('button', { name: 'Try again' }).click()
  await alert.waitFor()
  expect(requests.filter((one) => one.startsWith(gateway.url))).toHaveLength(before)
  await page.getByRole('link', { name: 'Network', exact: true }).click()
  await page.getByRole('switch', { name: /^Work offline/ }).uncheck()
  await page.getByRole('link', { name: 'Models', exact: true }).click()
  await page.getByRole('button', { name: 'Try again' }).click()
  await page.getByText(ADDED).waitFor()
})
