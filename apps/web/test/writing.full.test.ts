import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'

import { writeFixtureModel } from '@x/fixtures'
import type { BrowserContext, Locator, Page } from 'playwright'
import { afterAll, beforeAll, beforeEach, expect, it, onTestFinished } from 'vitest'

import { chromiumOrSkip } from '../../../tooling/chromium-or-skip.ts'
import { whyNoChromium } from '../../../tooling/chromium.ts'
import { openBrowser } from './browser.ts'
import { buildPage } from './build-page.ts'
import { servePlain } from './plain-host.ts'

const SENTENCE = 'brown fox jumps over lazy dog'

let built: Awaited<ReturnType<typeof buildPage>> | undefined
beforeAll(async () => {
  if (whyNoChromium() === undefined) built = await buildPage()
})
afterAll(() => built?.remove())
beforeEach(chromiumOrSkip)

/** A chat with a model that goes on to the most tokens that it may write: it knows no token that ends a text. */
async function openChat(
  change?: (name: string, bytes: Buffer) => Buffer,
): Promise<{ page: Page; context: BrowserContext }> {
  const folder = await mkdtemp(path.join(tmpdir(), 'page-writer-'))
  onTestFinished(() => rm(folder, { recursive: true, force: true }))
  await writeFixtureModel('tiny-gpt', folder)
  for (const name of ['config.json', 'generation_config.json']) {
    const { eos_token_id: _, ...config } = JSON.parse(await readFile(path.join(folder, name), 'utf8'))
    await writeFile(path.join(folder, name), JSON.stringify(config))
  }
  const { page, context } = await openBrowser()
  await page.goto(await servePlain(built?.folder ?? '', '/', { ...(change && { change }) }))
  await page.locator('input[webkitdirectory]').setInputFiles(folder)
  await page.getByText('all of its bytes are those of its CID').waitFor()
  await page.getByRole('link', { name: 'Run', exact: true }).click()
  return { page, context }
}

async function send(page: Page): Promise<void> {
  await page.getByLabel('Your message').fill('the quick')
  await page.getByRole('button', { name: 'Send' }).click()
}

const answers = (page: Page): Locator => page.locator('.turns .assistant')

/** In the page: at the first piece of an answer, whatever comes first after it. */
function atFirstPiece(act: 'stop' | 'lose the GPU' | 'crash the GPU'): void {
  const channel = new BroadcastChannel('lose the GPU')
  const observer = new MutationObserver(() => {
    const answer = document.querySelector('.turns .assistant')?.textContent ?? ''
    if (!answer.includes('brown')) return
    observer.disconnect()
    // It has no origin to name.
    // oxlint-disable-next-line unicorn/require-post-message-target-origin
    if (act === 'lose the GPU') channel.postMessage(0)
    else if (act === 'crash the GPU') Reflect.get(globalThis, 'crashGpu')()
    else [...document.querySelectorAll('button')].find(({ textContent }) => textContent === 'Stop')?.click()
  })
  observer.observe(document.body, { subtree: true, childList: true, characterData: true })
}

it('stops an answer as it is written, keeps what came of it, and goes on with the next', async () => {
  const { page } = await openChat()
  await page.evaluate(atFirstPiece, 'stop' as const)
  await send(page)
  await page.getByText('You stopped it.').waitFor()
  await expect.poll(() => answers(page).allInnerTexts()).toEqual([expect.stringMatching(/^The model:\s+brown/)])
  await page.getByRole('button', { name: 'Begin anew' }).click()
  await send(page)
  await page.getByText(/^Done in /).waitFor()
  await expect.poll(() => answers(page).allInnerTexts()).toEqual([expect.stringContaining(SENTENCE)])
})

/** Loses every GPU device of a worker when it is told so. */
const LOSER = `
const devices = []
const ask = GPUAdapter.prototype.requestDevice
GPUAdapter.prototype.requestDevice = async function (...given) {
  const device = await ask.apply(this, given)
  devices.push(device)
  return device
}
new BroadcastChannel('lose the GPU').onmessage = () => devices.forEach((device) => device.destroy())
`

it('writes an answer anew, once, when the GPU is lost in the middle of it', async () => {
  let changed = 0
  const { page } = await openChat((name, bytes) => {
    if (!name.startsWith('assets/worker-')) return bytes
    changed += 1
    return Buffer.concat([Buffer.from(LOSER), bytes])
  })
  await page.getByLabel('Runs on').selectOption('webgpu')
  await page.evaluate(atFirstPiece, 'lose the GPU' as const)
  await send(page)
  await page.getByText(/^Done in .* on the graphics card \(WebGPU\)/).waitFor()
  const [said] = await answers(page).allInnerTexts()
  expect(said).toMatch(new RegExp(`^The model:\\s+${SENTENCE}`))
  expect(said?.split('brown')).toHaveLength(2)
  await expect.poll(() => page.getByText(/^the GPU was lost/).count()).toBe(1)
  expect(changed).toBeGreaterThan(0)
})

it('writes an answer anew when the process that drives the GPU crashes in the middle of it', async () => {
  const { page, context } = await openChat()
  await page.getByLabel('Runs on').selectOption('webgpu')
  const crash = async (): Promise<void> => {
    const browser = context.browser()
    if (!browser) throw new Error('the context has no browser')
    const cdp = await browser.newBrowserCDPSession()
    await cdp.send('Browser.crashGpuProcess')
  }
  await page.exposeFunction('crashGpu', crash)
  await page.evaluate(atFirstPiece, 'crash the GPU' as const)
  await send(page)
  await page.getByText(/^Done in .* on the graphics card \(WebGPU\)/).waitFor()
  const [said] = await answers(page).allInnerTexts()
  expect(said).toMatch(new RegExp(`^The model:\\s+${SENTENCE}`))
  expect(said?.split('brown')).toHaveLength(2)
  await expect.poll(() => page.getByText(/^the GPU was lost/).count()).toBe(1)
})
