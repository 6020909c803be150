import { BackendError, openMemoryPartials, openMemoryStore } from '@x/storage-core'
import { expect, it } from 'vitest'

import { createFileRun, type FileRun } from '../src/file-run.ts'
import { download, type ByteSource, type DownloadEvent, type WantedFile } from '../src/index.ts'
import { createJudge } from '../src/judge.ts'
import { planOfSize } from '../src/leaf-plan.ts'
import { createSourceState } from '../src/source-state.ts'
import { keyOfWanted } from '../src/wanted-file.ts'
import { memorySource, openTemp, outboardOf, quick, sha256, someBytes } from './support.ts'

const bytes = someBytes(1000)
const wanted: WantedFile = { path: 'model', size: bytes.length, sha256: sha256(bytes) }

async function openRun(): Promise<FileRun> {
  const partial = await openMemoryPartials(await openMemoryStore()).open(keyOfWanted(wanted))
  if ('held' in partial) throw new Error('it is held')
  return createFileRun(wanted, {
    plan: planOfSize(wanted.size),
    partial,
    whole: undefined,
    local: undefined,
    onLiar: () => undefined,
  })
}

async function setUp(retries = 8) {
  const events: DownloadEvent[] = []
  const judge = createJudge({ retries, backoffMs: 1, maxWaitMs: 60_000, onEvent: (event) => events.push(event) })
  const state = createSourceState(memorySource('a', {}))
  const file = await openRun()
  return {
    events,
    judge,
    state,
    fail: (error: BackendError) => judge.failed({ state, file, error, hadProgress: false }),
  }
}

const down = (cause?: unknown): BackendError => new BackendError('it is down', { retryable: true, cause })

it('a failure just after a ban does not make it one less', async () => {
  const { events, judge, state, fail } = await setUp(0)
  judge.ban(state, new Error('it lies'))
  fail(down())
  expect(state.out).toMatchObject({ isBanned: true, error: { message: 'it lies' } })
  expect(events).toMatchObject([{ type: 'source-dropped', isLiar: true }])
})

it('a source with two requests that fail at once is dropped once', async () => {
  const { events, state, fail } = await setUp(0)
  fail(down())
  fail(down())
  expect(state).toMatchObject({ failures: 2, out: { isBanned: false } })
  expect(events.map(({ type }) => type)).toEqual(['request-failed', 'source-dropped'])
})

it.each([
  ['the error', Object.assign(down(), { retryAfterMs: 5000 })],
  ['its cause', down(Object.assign(new Error('429'), { retryAfterMs: 5000 }))],
])('a source is left alone for as long as %s says', async (_name, error) => {
  const before = performance.now()
  const { state, fail } = await setUp()
  fail(error)
  expect(state.notBefore).toBeGreaterThanOrEqual(before + 5000)
  expect(state.out).toBeUndefined()
})

it('a source that asks for more than there is time for is dropped', async () => {
  const { events, state, fail } = await setUp()
  fail(Object.assign(down(), { retryAfterMs: 60_001 }))
  expect(state.out).toMatchObject({ isBanned: false })
  expect(events.map(({ type }) => type)).toEqual(['request-failed', 'source-dropped'])
})

it.each(['read', 'outboard'] as const)('is asked again after as long as its error on %s says', async (where) => {
  const { partials } = await openTemp()
  const large = someBytes(2_000_000)
  const root = where === 'outboard' ? (await outboardOf(large)).root : undefined
  const busy = Object.assign(down(), { retryAfterMs: 1000 })
  const good = memorySource('a', { model: large })
  let askedAt: number | undefined
  const at: number[] = []
  const source: ByteSource = {
    ...good,
    async *read(file, range, options) {
      at.push(performance.now())
      if (where === 'read' && askedAt === undefined) {
        askedAt = performance.now()
        throw busy
      }
      yield* good.read(file, range, options)
    },
    outboard: async () => {
      if (where !== 'outboard') return undefined
      askedAt = performance.now()
      throw busy
    },
  }
  const file = { path: 'model', size: large.length, root, sha256: sha256(large) }
  await download(partials, [file], [source], { ...quick, requestsPerSource: 1 })
  // The clock of timers is a little coarser.
  const next = at[where === 'read' ? 1 : 0] ?? 0
  expect(next - (askedAt ?? 0)).toBeGreaterThanOrEqual(990)
})
