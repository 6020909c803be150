import { expect, it, vi } from 'vitest'

import { discard, fetchHead, StallError } from '../src/backend.ts'
import { NotFoundError } from '../src/index.ts'

const url = new URL('https://there.example.org/a')
const asked = { label: 'there', stallTimeoutMs: 60_000 }

/** Says nothing until it is aborted. */
const silent: typeof fetch = (_url, init) =>
  new Promise((_resolve, reject) => init?.signal?.addEventListener('abort', () => reject(init.signal?.reason)))

it('takes nothing of the page along, and gives an answer of any status', async () => {
  const answer = new Response(null, { status: 503 })
  const fetch = vi.fn<typeof globalThis.fetch>(async () => answer)
  const headers = new Headers({ range: 'bytes=0-1' })
  expect(await fetchHead(url, { ...asked, fetch, method: 'HEAD', headers })).toBe(answer)
  expect(fetch).toHaveBeenCalledExactlyOnceWith(url, {
    method: 'HEAD',
    headers,
    redirect: 'manual',
    credentials: 'omit',
    cache: 'no-store',
    referrerPolicy: 'no-referrer',
    signal: expect.any(AbortSignal),
  })
})

it('waits for a head only so long', async () => {
  await expect(fetchHead(url, { ...asked, fetch: silent, stallTimeoutMs: 10 })).rejects.toMatchObject({
    code: 'BACKEND',
    retryable: true,
    message: 'there: no answer for 10 ms',
    cause: expect.any(StallError),
  })
})

it('says why nobody answered; an error of ours comes as it is', async () => {
  const cause = new TypeError('fetch failed', { cause: Object.assign(new Error('refused'), { code: 'ECONNREFUSED' }) })
  await expect(fetchHead(url, { ...asked, fetch: () => Promise.reject(cause) })).rejects.toMatchObject({
    code: 'BACKEND',
    retryable: true,
    message: 'there: ECONNREFUSED: refused',
    cause,
  })
  const own = new NotFoundError('a')
  await expect(fetchHead(url, { ...asked, fetch: () => Promise.reject(own) })).rejects.toBe(own)
})

it('rejects with the reason of an abort, before anybody is asked and after', async () => {
  const reason = new Error('enough')
  const fetch = vi.fn<typeof globalThis.fetch>(silent)
  await expect(fetchHead(url, { ...asked, fetch, signal: AbortSignal.abort(reason) })).rejects.toBe(reason)
  expect(fetch).not.toHaveBeenCalled()
  const controller = new AbortController()
  const answer = fetchHead(url, { ...asked, fetch, signal: controller.signal })
  controller.abort(reason)
  await expect(answer).rejects.toBe(reason)
})

it('lets go of the signal and of the clock once the head is there', async () => {
  const controller = new AbortController()
  let passed: AbortSignal | null | undefined
  const fetch: typeof globalThis.fetch = async (_url, init) => {
    passed = init?.signal
    return new Response('a')
  }
  vi.useFakeTimers()
  try {
    const response = await fetchHead(url, { ...asked, fetch, signal: controller.signal })
    expect(vi.getTimerCount()).toBe(0)
    controller.abort()
    expect(passed?.aborted).toBe(false)
    expect(await response.text()).toBe('a')
  } finally {
    vi.useRealTimers()
  }
})

it('a body is left without waiting, and one that has failed leaves nothing behind', async () => {
  const left = Promise.withResolvers<void>()
  const hangs = new ReadableStream({
    cancel: () => {
      left.resolve()
      return new Promise<void>(() => undefined)
    },
  })
  discard(new Response(hangs))
  expect(await left.promise).toBeUndefined()
  // A rejection that nobody handles fails the run.
  discard(new Response(new ReadableStream({ start: (controller) => controller.error(new Error('reset')) })))
  discard(new Response(null))
})
