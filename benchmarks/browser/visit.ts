// One visit: a browser that starts, and one page in it, which does what it is asked.
import { chromium } from 'playwright'

import { runJob } from '../harness/job.ts'
import type { JobResult } from '../harness/types.ts'
import { watchPrivateMemory } from './private-memory.ts'

// Of the first visit, which stores 0.5 GB. By default a page is waited for for 30 s.
const LONGEST_MS = 300_000

interface Sent {
  requests: number
  bytes: number
}

await runJob<{ chromium: string; flags: string[]; profile: string; origin: string; page: string; asked: object }>(
  async (given) => {
    const context = await chromium.launchPersistentContext(given.profile, {
      executablePath: given.chromium,
      args: given.flags,
      timeout: LONGEST_MS,
    })
    context.setDefaultTimeout(LONGEST_MS)
    try {
      const page = await context.newPage()
      const errors: string[] = []
      page.on('pageerror', (error) => errors.push(error.message))
      const network = await context.newCDPSession(page)
      let received = 0
      network.on('Network.loadingFinished', ({ encodedDataLength }) => (received += encodedDataLength))
      await network.send('Network.enable')
      const sent = async (): Promise<Sent> => {
        const counted: Sent = JSON.parse(await (await fetch(`${given.origin}/-/sent`)).text())
        return counted
      }
      await sent()
      const memory = watchPrivateMemory(given.profile)
      await page.goto(`${given.origin}/pages/${given.page}.html#${encodeURIComponent(JSON.stringify(given.asked))}`)
      const visited: JobResult = await page
        .waitForFunction(() => Reflect.has(globalThis, 'visited'))
        .then(() => page.evaluate(() => Reflect.get(globalThis, 'visited')))
        .catch((cause: unknown) => {
          throw new Error(`${given.page}: ${String(cause)} ${errors.join('; ')}`, { cause })
        })
      const { renderer, gpu } = memory.stop()
      const { requests, bytes } = await sent()
      return {
        ...visited,
        figures: {
          ...visited.figures,
          rendererMB: renderer,
          gpuMB: gpu,
          requests,
          sentMB: bytes / 1e6,
          receivedMB: received / 1e6,
        },
      }
    } finally {
      await context.close()
    }
  },
)
