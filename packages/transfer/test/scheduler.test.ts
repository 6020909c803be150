import { openMemoryPartials, openMemoryStore, type PartialFile } from '@x/storage-core'
import { beforeEach, expect, it, onTestFinished, vi } from 'vitest'

import { createClaim, type Claim } from '../src/claim.ts'
import { createFileRun } from '../src/file-run.ts'
import { planOfSize } from '../src/leaf-plan.ts'
import { runClaim } from '../src/run-claim.ts'
import { nextClaim } from '../src/scheduler.ts'
import { createSourceState } from '../src/source-state.ts'
import { createTokenBucket } from '../src/token-bucket.ts'
import { createTraffic } from '../src/traffic.ts'
import { keyOfWanted, type WantedFile } from '../src/wanted-file.ts'
import { memorySource, MIB, sha256, someBytes } from './support.ts'

const LIMITS = { requestMs: 4000, firstRequestBytes: 4 * MIB, mostRequestBytes: 64 * MIB }

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['performance'] })
  onTestFinished(() => void vi.useRealTimers())
})

interface SetUp {
  claims: Set<Claim>
  /** The next one of another source, which is free. */
  next: () => Claim | undefined
}

/** Each leaf of a file was asked for from a source that gives nothing. */
async function setUp(
  leaves: number,
  through: (partial: PartialFile) => PartialFile = (partial) => partial,
): Promise<SetUp> {
  const bytes = someBytes(leaves * MIB)
  const wanted: WantedFile = { path: 'model', size: bytes.length, sha256: sha256(bytes) }
  const partial = await openMemoryPartials(await openMemoryStore()).open(keyOfWanted(wanted))
  if ('held' in partial) throw new Error('it is held')
  const parts = { plan: planOfSize(wanted.size), whole: undefined, local: undefined, onLiar: () => undefined }
  const file = await createFileRun(wanted, { ...parts, partial: through(partial) })
  const slow = createSourceState(memorySource('slow', { model: bytes }))
  const fast = createSourceState(memorySource('fast', { model: bytes }))
  const traffic = createTraffic(wanted.size)
  const claims = new Set<Claim>()
  for (let leaf = 0; leaf < leaves; leaf++) claims.add(createClaim(file, slow, leaf, leaf + 1))
  file.claim(0, leaves)
  vi.advanceTimersByTime(5000)
  const next = (): Claim | undefined => {
    const parties = { states: [slow, fast], files: [file], claims, traffic }
    const claim = nextClaim(fast, { ...parties, limits: LIMITS, isHeldBack: false })
    if (claim) claims.add(claim)
    return claim
  }
  return { claims, next }
}

it('what races may bring twice counts while they run', async () => {
  const { next } = await setUp(12)
  let races = 0
  while (next()) races += 1
  expect(races).toBe(8)
})

it('nobody races for a leaf that is being recorded, and who does is stopped', async () => {
  const writing = Promise.withResolvers<void>()
  const mayWrite = Promise.withResolvers<void>()
  const { claims, next } = await setUp(1, (partial) => ({
    ...partial,
    write: async (...args) => {
      writing.resolve()
      await mayWrite.promise
      return partial.write(...args)
    },
  }))
  const [claim] = claims
  if (!claim) throw new Error('nothing was asked for')
  const running = runClaim(claim, {
    signal: new AbortController().signal,
    bucket: createTokenBucket(undefined),
    stallTimeoutMs: 30_000,
    onBytes: () => undefined,
    onSkipped: () => undefined,
    onDuplicate: () => undefined,
    onLeaf: () => undefined,
  })
  await writing.promise
  vi.advanceTimersByTime(5000)
  expect(next()).toBeUndefined()
  // One that came in nevertheless.
  const rival = createClaim(claim.file, claim.state, 0, 1)
  claim.rival = rival
  mayWrite.resolve()
  await running
  expect(rival.controller.signal.aborted).toBe(true)
})
