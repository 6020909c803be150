import { buildFile, type CID } from '@x/cid'
import {
  BackendError,
  createContentSource,
  createTieredStore,
  openMemoryStore,
  type ContentSource,
  type ContentStore,
  type Receipt,
  type TieredStore,
} from '@x/storage-core'
import { describe, expect, it, onTestFinished } from 'vitest'

import { concat, directoryOf, sameBytes, sampleBytes } from '../src/conformance/sample.ts'
import { memoryContentStore } from './memory-setup.ts'

// Every state of the local store with every fault of two backends beside it.

const FILE = sampleBytes(1, 5 * 262_144 + 11)
const TREE = directoryOf({ 'config.json': sampleBytes(2, 40), onnx: { 'model.onnx': FILE } })
const PATH = 'onnx/model.onnx'
const PROFILE = 'unixfs-v0-2015'

type LocalState = 'empty' | 'whole' | 'damaged' | 'broken'
type Fault = 'sound' | 'empty' | 'down' | 'lying' | 'dying' | 'flapping' | 'hanging'

const LOCALS: readonly LocalState[] = ['empty', 'whole', 'damaged', 'broken']
const FAULTS: readonly Fault[] = ['sound', 'empty', 'down', 'lying', 'dying', 'flapping', 'hanging']

const refuse = (): never => {
  throw new BackendError('connect ECONNREFUSED', { retryable: true })
}

/** What a backend that has everything gives for a request, the first of which is number 0. */
const answer: Record<Exclude<Fault, 'empty'>, (request: number, bytes: Uint8Array) => Promise<Uint8Array>> = {
  sound: async (_request, bytes) => bytes,
  down: async () => refuse(),
  lying: async (_request, bytes) => bytes.map((byte) => byte ^ 1),
  dying: async (request, bytes) => (request < 5 ? bytes : refuse()),
  flapping: async (request, bytes) => (request % 2 === 0 ? bytes : refuse()),
  hanging: () => new Promise(() => {}),
}

async function openBackend(name: string, fault: Fault): Promise<ContentSource> {
  const store = await openMemoryStore({ name })
  if (fault !== 'empty') await store.add(TREE, { profile: PROFILE })
  let requests = 0
  return createContentSource({
    blocks: {
      name,
      has: async (cid, options) => (fault === 'down' ? refuse() : store.blocks.has(cid, options)),
      async get(cid, options) {
        const request = requests++
        const bytes = await store.blocks.get(cid, options)
        return fault === 'empty' ? bytes : answer[fault](request, bytes)
      },
      close: () => store.close(),
    },
    probe: async () => ({ ...(await store.status()), name }),
  })
}

async function openLocal(state: LocalState): Promise<ContentStore> {
  if (state === 'broken') {
    const broken = await memoryContentStore.openBroken?.()
    if (!broken) throw new Error('there is no openBroken')
    return broken
  }
  const store = await memoryContentStore.open()
  if (state === 'empty') return store
  await store.add(TREE, { profile: PROFILE })
  if (state === 'damaged') {
    const leaves: CID[] = []
    await buildFile([FILE], {
      profile: PROFILE,
      onBlock: ({ kind, cid }) => void (kind === 'leaf' && leaves.push(cid)),
    })
    const [, , third] = leaves
    if (!third) throw new Error('nothing to damage')
    await memoryContentStore.corrupt?.(store, third)
  }
  return store
}

async function rootOfTree(): Promise<CID> {
  const store = await openMemoryStore()
  return (await store.add(TREE, { profile: PROFILE })).cid
}

async function open(local: LocalState, near: Fault, far: Fault): Promise<TieredStore> {
  // One that never answers is passed over only where that is asked for.
  const isHanging = near === 'hanging' || far === 'hanging'
  const tiered = createTieredStore(await openLocal(local), {
    tiers: [
      { role: 'near', source: await openBackend('near', near) },
      { role: 'far', source: await openBackend('far', far) },
    ],
    ...(isHanging && { read: 'hedged', latency: { initialMs: 1, leastMs: 1 } }),
  })
  onTestFinished(() => tiered.close())
  return tiered
}

const has = (faults: readonly Fault[], ...any: Fault[]): boolean => faults.some((fault) => any.includes(fault))

/** Whether the operation has to go well, or what it has to say. Left open is what depends on who is asked when. */
function expected(local: LocalState, faults: readonly Fault[]): 'well' | 'either' | readonly string[] {
  if (local === 'whole' || has(faults, 'sound')) return 'well'
  if (has(faults, 'dying', 'flapping')) return 'either'
  if (faults.every((fault) => fault === 'empty')) {
    return local === 'empty' ? ['NOT_FOUND'] : local === 'damaged' ? ['INTEGRITY'] : ['BACKEND']
  }
  return ['BACKEND', 'INTEGRITY']
}

// Nobody would ever say that it has failed: the one that hangs is stopped by its own time limit, which is a backend's affair.
const isEndless = (local: LocalState, faults: readonly Fault[]): boolean =>
  local !== 'whole' && has(faults, 'hanging') && !has(faults, 'sound')

interface Outcome {
  error?: unknown
  bytes?: Uint8Array
  receipt?: Receipt | undefined
}

async function outcomeOf(tiered: TieredStore, root: CID, operation: 'read' | 'fetch'): Promise<Outcome> {
  let receipt: Receipt | undefined
  const onReceipt = (given: Receipt): void => void (receipt = given)
  try {
    if (operation === 'fetch') await tiered.fetch(root, { onReceipt })
    const source = operation === 'fetch' ? tiered.local : tiered
    const bytes = await concat(source.cat(root, { path: PATH, ...(operation === 'read' && { onReceipt }) }))
    return { bytes, receipt }
  } catch (error) {
    return { error, receipt }
  }
}

/** What is wrong with an outcome. */
function* problemsOf(outcome: Outcome, wanted: ReturnType<typeof expected>): Generator<string> {
  const { error, bytes, receipt } = outcome
  if (error !== undefined) {
    const code = String(Reflect.get(Object(error), 'code'))
    const codes = wanted === 'either' ? ['BACKEND', 'INTEGRITY'] : wanted
    if (codes === 'well' || !codes.includes(code))
      yield `it failed: ${code}: ${error instanceof Error ? error.message : typeof error}`
    if (receipt !== undefined) yield 'there is a receipt of what failed'
    return
  }
  if (typeof wanted === 'object') yield `it went well in place of ${wanted.join(', ')}`
  if (!bytes || !sameBytes(bytes, FILE)) yield 'it gave other bytes'
  if (receipt?.attempts.at(-1)?.backend !== receipt?.answeredBy) yield 'who answered is not the last attempt'
}

/** Of what was read although the first backend did not give it: whether the receipt says so. */
function* problemsOfReceipt({ receipt }: Outcome, { local, near, far }: Case): Generator<string> {
  if (local !== 'empty' || far !== 'sound' || near === 'sound' || near === 'hanging') return
  const found = receipt?.attempts.find(({ backend }) => backend === 'near')?.outcome
  const outcome = near === 'empty' ? 'not-found' : 'failed'
  if (found !== outcome) yield `the attempt of near is ${found}`
  const bytes = (receipt?.gave ?? []).reduce((sum, share) => sum + share.bytes, 0)
  if (bytes < FILE.length) yield `${bytes} bytes are accounted for`
}

interface Case {
  local: LocalState
  near: Fault
  far: Fault
}

const cases = (locals: readonly LocalState[]): Omit<Case, 'far'>[] =>
  locals.flatMap((local) => FAULTS.map((near) => ({ local, near })))

describe('a read is right or says why not, and names who failed', () => {
  it.each(cases(LOCALS))('here $local, near $near', async ({ local, near }) => {
    const root = await rootOfTree()
    const problems: string[] = []
    for (const far of FAULTS) {
      if (isEndless(local, [near, far])) continue
      const outcome = await outcomeOf(await open(local, near, far), root, 'read')
      const all = [
        ...problemsOf(outcome, expected(local, [near, far])),
        ...problemsOfReceipt(outcome, { local, near, far }),
      ]
      problems.push(...all.map((problem) => `far ${far}: ${problem}`))
    }
    expect(problems).toEqual([])
  })
})

describe('what is fetched is held whole, or nothing has changed', () => {
  it.each(cases(['empty', 'whole']))('here $local, near $near', async ({ local, near }) => {
    const root = await rootOfTree()
    const problems: string[] = []
    for (const far of FAULTS) {
      if (isEndless(local, [near, far])) continue
      const tiered = await open(local, near, far)
      const outcome = await outcomeOf(tiered, root, 'fetch')
      const isHeld = await tiered.local.has(root)
      const all = [...problemsOf(outcome, expected(local, [near, far]))]
      if (isHeld !== (outcome.error === undefined)) all.push(`it is ${isHeld ? '' : 'not '}held`)
      problems.push(...all.map((problem) => `far ${far}: ${problem}`))
    }
    expect(problems).toEqual([])
  })
})
