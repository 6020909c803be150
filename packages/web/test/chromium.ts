import { readdirSync, readFileSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'

import { chromium, type BrowserContext, type Page } from 'playwright'
import { onTestFinished } from 'vitest'

import { CHROMIUM, CHROMIUM_ARGUMENTS, LOOPBACK_ALONE } from '../../../tooling/chromium.ts'

export interface Browser {
  context: BrowserContext
  /** Of every request, also of those that were refused. */
  requests: string[]
  /** Where its profile is, which its processes have in their command lines. */
  profile: string
}

/**
 * A Chromium with a profile on the disk that reaches this machine and nothing else. Ends with the test.
 *
 * @param givenProfile - Default: a new one.
 */
export async function launchBrowser(givenProfile?: string): Promise<Browser> {
  const profile = givenProfile ?? (await mkdtemp(path.join(tmpdir(), 'web-chromium-')))
  const context = await chromium.launchPersistentContext(profile, {
    executablePath: CHROMIUM,
    headless: true,
    timeout: 600_000,
    args: [...CHROMIUM_ARGUMENTS, LOOPBACK_ALONE],
  })
  // By default it waits 30 s for a page; that of `vite dev` is ready once its dependencies are bundled.
  context.setDefaultTimeout(600_000)
  onTestFinished(async () => {
    await context.close()
    await rm(profile, { recursive: true, force: true })
  })
  const requests: string[] = []
  context.on('request', (request) => requests.push(request.url()))
  return { context, requests, profile }
}

/** Opens a page that says when it is ready. */
export async function openPage({ context }: Pick<Browser, 'context'>, url: string): Promise<Page> {
  const page = await context.newPage()
  const errors: string[] = []
  page.on('pageerror', (error) => errors.push(error.message))
  await page.goto(url)
  await page.waitForFunction('window.ready === true').catch((cause: unknown) => {
    throw new Error(`${url} is not ready: ${errors.join('; ')}`, { cause })
  })
  return page
}

/** Requests that leave the page's origin. */
export const foreign = (requests: readonly string[], origin: string): string[] =>
  requests.filter((url) => /^https?:/.test(url) && !url.startsWith(`${origin}/`))

/** Kills a browser as a power cut would, as far as its processes go. Linux alone: they are found in /proc. */
export async function killBrowser({ context, profile }: Pick<Browser, 'context' | 'profile'>): Promise<void> {
  const gone = new Promise<void>((resolve) => context.once('close', () => resolve()))
  for (const pid of readdirSync('/proc').filter((name) => /^\d+$/.test(name))) {
    try {
      if (readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes(profile)) process.kill(Number(pid), 'SIGKILL')
    } catch {
      // It has ended already.
    }
  }
  await gone
}
