import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'

import { chromium, type BrowserContext, type Page } from 'playwright'
import { onTestFinished } from 'vitest'

import { CHROMIUM, CHROMIUM_ARGUMENTS, LOOPBACK_ALONE } from '../../../tooling/chromium.ts'

export interface Browser {
  context: BrowserContext
  page: Page
  /** Of every request, also of those that were refused. */
  requests: string[]
  /** What the page's scripts threw, and what its policy refused. */
  errors: string[]
}

export interface BrowserOptions {
  width?: number
  height?: number
  colorScheme?: 'light' | 'dark'
}

/** A Chromium with a profile on the disk that reaches this machine and nothing else. Ends with the test. */
export async function openBrowser({
  width = 1280,
  height = 800,
  colorScheme = 'light',
}: BrowserOptions = {}): Promise<Browser> {
  const profile = await mkdtemp(path.join(tmpdir(), 'page-chromium-'))
  const context = await chromium.launchPersistentContext(profile, {
    executablePath: CHROMIUM,
    headless: true,
    timeout: 600_000,
    viewport: { width, height },
    colorScheme,
    args: [...CHROMIUM_ARGUMENTS, LOOPBACK_ALONE],
  })
  context.setDefaultTimeout(120_000)
  onTestFinished(async () => {
    await context.close()
    await rm(profile, { recursive: true, force: true })
  })
  const requests: string[] = []
  const errors: string[] = []
  context.on('request', (request) => requests.push(request.url()))
  context.on('weberror', (error) => errors.push(error.error().message))
  context.on('console', (message) => {
    if (message.type() === 'error') errors.push(message.text())
  })
  const page = context.pages()[0] ?? (await context.newPage())
  return { context, page, requests, errors }
}
