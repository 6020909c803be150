import { cidOf, IntegrityError, RAW, type CID } from '@x/cid'
import { BackendError } from '@x/storage-core'
import { expect, it, onTestFinished, vi } from 'vitest'

import { createBlockFetcher, type BlockFetcher } from '../src/block-fetcher.ts'
import { createProviderBook, type Finder, type ProviderBook } from '../src/provider-book.ts'
import type { Provider } from '../src/provider.ts'
import { sampleBytes } from './setup.ts'

const { signal } = new AbortController()
const bytes = sampleBytes(1, 1000)
const cid = await cidOf(RAW, bytes)

/** A provider with the answers that a test wants. */
const made = (id: string, getBlock: () => Promise<Uint8Array | undefined>): Provider => ({
  id,
  kind: 'peer',
  getBlock,
  hasBlock: async () => true,
})
const honest = made('honest', async () => bytes)
const lacking: Provider = { ...made('lacking', async () => undefined), hasBlock: async () => false }
/** On the fake timers that the test moves: nothing is waited for. */
const passed = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms))
const never = (): Promise<never> => new Promise(() => undefined)
const lie = async (): Promise<never> => {
  throw new IntegrityError('liar sent something else', { cid })
}

const honestGateway = ({ href }: URL): Provider => made(href, async () => bytes)

function open(
  finders: Finder[] = [],
  { stallTimeoutMs = 300, mayOthersCome = true, createGateway = honestGateway } = {},
): { book: ProviderBook; fetcher: BlockFetcher } {
  const book = createProviderBook(finders)
  const closing = new AbortController()
  onTestFinished(() => closing.abort(new Error('the test is over')))
  const options = { name: 'helia', book, createGateway, stallTimeoutMs, closing: closing.signal, mayOthersCome }
  return { book, fetcher: createBlockFetcher(options) }
}

it('waits for others after a lie', async () => {
  const { book, fetcher } = open([], { stallTimeoutMs: 5000 })
  const liar = made('liar', () => {
    queueMicrotask(() => setImmediate(() => book.add(honest)))
    return lie()
  })
  book.add(liar)
  expect(await fetcher.getBlock(cid, { signal })).toBe(bytes)
})

it('asks somebody honest again who failed while another one lied', async () => {
  const { book, fetcher } = open([], { stallTimeoutMs: 5000 })
  let asked = 0
  const busy = made('busy', async () => {
    asked += 1
    if (asked === 1) throw new BackendError('HTTP status 503', { retryable: true })
    return bytes
  })
  book.add(busy)
  book.add(made('liar', lie))
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'Date'] })
  onTestFinished(() => void vi.useRealTimers())
  const got = fetcher.getBlock(cid, { signal })
  await vi.advanceTimersByTimeAsync(2000)
  expect(await got).toBe(bytes)
  expect(asked).toBe(2)
})

it('says that it is damaged when all others lack it, and that it cannot tell when one may have it', async () => {
  const alone = open([], { stallTimeoutMs: 100 })
  alone.book.add(made('liar', lie))
  alone.book.add(lacking)
  await expect(alone.fetcher.getBlock(cid, { signal })).rejects.toMatchObject({ code: 'INTEGRITY' })
  const { book, fetcher } = open([], { stallTimeoutMs: 100 })
  const failing = made('failing', async () => {
    throw new BackendError('HTTP status 500', { retryable: true })
  })
  book.add(made('liar', lie))
  book.add(failing)
  const failure = { code: 'BACKEND', message: expect.stringMatching(/liar sent something else.*HTTP status 500/) }
  await expect(fetcher.getBlock(cid, { signal })).rejects.toMatchObject(failure)
})

it('comes to an end when there is always somebody new who says nothing', async () => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'Date'] })
  onTestFinished(() => void vi.useRealTimers())
  const { book, fetcher } = open()
  let count = 0
  function silent(): Provider {
    count += 1
    const say = async (): Promise<never> => {
      // For nearly as long as it may; then the next one is there.
      await passed(200)
      book.add(silent())
      await passed(50)
      throw new BackendError('said nothing', { retryable: true })
    }
    return { id: `silent ${count}`, kind: 'peer', getBlock: say, hasBlock: say }
  }
  book.add(silent())
  let outcome: unknown = 'still waiting'
  void fetcher.getBlock(cid, { signal }).catch((error: unknown) => (outcome = error))
  await vi.advanceTimersByTimeAsync(10_000)
  expect(outcome).toMatchObject({ code: 'BACKEND' })
})

it('searches for all blocks of a session at once', async () => {
  const searched: CID[] = []
  const asked = Promise.withResolvers<void>()
  const find: Finder['find'] = async (wanted, { onGateway }) => {
    searched.push(wanted)
    await asked.promise
    onGateway(new URL('https://gateway.example.org/'))
    onGateway(new URL('https://gateway.example.org/'))
  }
  const { book, fetcher } = open([{ name: 'router', find }])
  const many = Array.from({ length: 16 }, () => fetcher.getBlock(cid, { signal }))
  await vi.waitFor(() => expect(searched).not.toEqual([]), 60_000)
  asked.resolve()
  expect(await Promise.all(many)).toHaveLength(16)
  expect(searched).toHaveLength(1)
  // It was found for that session.
  expect(book.standings.size).toBe(0)
})

it.each([true, false])(
  'comes to an end when a search takes longer than the pause (others may come: %s)',
  async (may) => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'Date'] })
    onTestFinished(() => void vi.useRealTimers())
    let searches = 0
    const search = Promise.withResolvers<never>()
    const find: Finder['find'] = () => {
      searches += 1
      return search.promise
    }
    const { fetcher } = open([{ name: 'router', find }], { mayOthersCome: may })
    const got = fetcher.getBlock(cid, { signal })
    const failed = got.catch((error: unknown) => error)
    await vi.advanceTimersByTimeAsync(6000)
    search.reject(new BackendError('router: no answer', { retryable: true }))
    await vi.advanceTimersByTimeAsync(54_000)
    expect(searches).toBe(1)
    expect(await failed).toMatchObject({ code: 'BACKEND', message: expect.stringContaining('no answer') })
  },
)

it('asks nobody again who failed for good', async () => {
  const { book, fetcher } = open([], { stallTimeoutMs: 100 })
  let asked = 0
  const refusing = made('refusing', async () => {
    asked += 1
    throw new BackendError('refusing: HTTP status 400', { retryable: false })
  })
  book.add(refusing)
  await expect(fetcher.getBlock(cid, { signal })).rejects.toMatchObject({ code: 'BACKEND' })
  expect(asked).toBe(1)
})

it('takes only so many gateways from a router, and others in place of those that lie', async () => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'Date'] })
  onTestFinished(() => void vi.useRealTimers())
  const taken: string[] = []
  const createGateway = (url: URL): Provider => {
    taken.push(url.host)
    return url.host.startsWith('liar') ? made(url.href, lie) : honestGateway(url)
  }
  let searches = 0
  const find: Finder['find'] = async (_cid, { onGateway }) => {
    const host = searches === 0 ? 'liar' : 'honest'
    searches += 1
    for (let number = 0; number < 100; number++) onGateway(new URL(`https://${host}${number}.example.org/`))
  }
  const { fetcher } = open([{ name: 'router', find }], { createGateway, stallTimeoutMs: 5000 })
  const got = fetcher.getBlock(cid, { signal }).catch((error: unknown) => error)
  await vi.advanceTimersByTimeAsync(6000)
  expect(await got).toBe(bytes)
  expect(taken.filter((host) => host.startsWith('liar'))).toHaveLength(32)
  expect(taken).toHaveLength(64)
})

it('does not wait for those who do not even say whether they have it', async () => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'Date'] })
  onTestFinished(() => void vi.useRealTimers())
  const { book, fetcher } = open()
  for (const id of ['silent', 'mute']) book.add({ id, kind: 'peer', getBlock: never, hasBlock: never })
  book.add(honest)
  // The clock stands still.
  expect(await fetcher.getBlock(cid, { signal })).toBe(bytes)
})
