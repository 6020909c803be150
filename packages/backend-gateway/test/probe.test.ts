import { expect, it, onTestFinished, vi } from 'vitest'

import { openGatewaySource, openStaticSource } from '../src/index.ts'

const STALL_MS = 300

/** A fake `fetch`: an answer that takes most of the stall time, a redirect to a place where it takes as long, and so on. */
const slowInSteps = (steps: number, body: string): typeof fetch => {
  let left = steps
  return async (input, init) => {
    await vi.advanceTimersByTimeAsync(STALL_MS * 0.6)
    init?.signal?.throwIfAborted()
    return left-- > 0 ? Response.redirect(input instanceof Request ? input.url : input) : new Response(body)
  }
}

const url = 'http://gateway.example.org'
const sources = {
  gateway: (fetch: typeof globalThis.fetch) => openGatewaySource({ gateways: [url], stallTimeoutMs: STALL_MS, fetch }),
  'static folder': (fetch: typeof globalThis.fetch) => openStaticSource({ url, stallTimeoutMs: STALL_MS, fetch }),
}

const VERSION = '{"format":"ipfs-accelerate-static","version":1}'

it.each([
  ['gateway', 0, true, ''],
  ['gateway', 3, false, ''],
  ['static folder', 0, true, VERSION],
  ['static folder', 3, false, VERSION],
] as const)('the status of a %s has one time for all redirects (%i)', async (kind, redirects, available, body) => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] })
  onTestFinished(() => void vi.useRealTimers())
  const source = await sources[kind](slowInSteps(redirects, body))
  onTestFinished(() => source.close())
  const reason = `${url}: no answer for ${STALL_MS} ms`
  expect(await source.status()).toMatchObject(available ? { available } : { available, reason })
})
