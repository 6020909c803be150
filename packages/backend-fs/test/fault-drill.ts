import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { cp, mkdtemp, readdir, rm, stat } from 'node:fs/promises'
import { availableParallelism, tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

import { isStorageError } from '@x/storage-core'

import {
  readCalls,
  type FailingDisk,
  type Fault,
  type FaultCall,
  type LoggedCall,
} from '../../../tooling/faults/failing-disk.ts'
import { openFsStore } from '../src/index.ts'
import { stateOf } from './store-state.ts'
import { filesBelow } from './support.ts'

const CHILD = fileURLToPath(new URL('children/drill.ts', import.meta.url))

/** One thing done to a store, over and over, each time on a copy. */
export interface Scenario {
  /** What `children/drill.ts` calls it. */
  name: string
  /** A folder that each run gets a copy of, with the store in `store`; empty where the run makes it. */
  template: string
  /** The user's own files. */
  folder: string
  /** It may fail when a part of it is done. */
  isInSteps: boolean
}

export interface Drill extends Pick<Fault, 'effect' | 'halfFirst' | 'count'> {
  calls: readonly FaultCall[]
  /** How many of the points are tried, spread evenly over those where files and index meet. */
  most: number
}

/** What a store is right to be after a run. */
interface Outcome {
  state: string
  /** After `gc`. */
  collected: string
  /** Files, packs, blocks, outboards: what `gc` leaves. */
  bytes: number
}

interface Expected {
  before: Outcome
  after: Outcome
}

export interface Rehearsed {
  scenario: Scenario
  expected: Expected
  /** What it asks of the disk, in order. */
  calls: LoggedCall[]
}

interface Result {
  points: number
  tried: number
  /** Runs in which the fault came: calls of threads may come in another number each time. */
  hit: number
  /** Runs after which the store was as after the work. */
  after: number
  violations: string[]
}

/** Makes each chosen call in turn go wrong, and looks at what is left. */
export async function drill(disk: FailingDisk, rehearsed: Rehearsed, fault: Drill): Promise<Result> {
  const { most, ...rest } = fault
  const { scenario, expected } = rehearsed
  const matching = rehearsed.calls.filter(({ call }) => fault.calls.some((name) => name === call))
  const points = most < matching.length ? spread(edgesOf(matching), most) : [...matching.keys()]
  const result: Result = { points: matching.length, tried: points.length, hit: 0, after: 0, violations: [] }
  const next = points.values()
  const work = async (): Promise<void> => {
    for (const after of next) await tryPoint(disk, scenario, expected, { ...rest, after }, result)
  }
  await Promise.all(Array.from({ length: availableParallelism() }, work))
  return result
}

/** Does it once with nothing going wrong. */
export async function rehearse(disk: FailingDisk, scenario: Scenario): Promise<Rehearsed> {
  const before = await withCopy(scenario, ({ store }) => outcomeOf(store))
  return withCopy(scenario, async (place) => {
    const { events, stderr, calls } = await runChild(disk, scenario, place, {})
    if (events.at(-1)?.type !== 'done') throw new Error(`${scenario.name} fails without any fault: ${stderr}`)
    const expected = { before, after: await outcomeOf(place.store) }
    return { scenario, expected, calls }
  })
}

async function outcomeOf(directory: string): Promise<Outcome> {
  const store = await openFsStore({ directory })
  try {
    const state = await stateOf(store)
    await store.gc()
    return { state, collected: await stateOf(store), bytes: await bytesKept(directory) }
  } finally {
    await store.close()
  }
}

async function tryPoint(
  disk: FailingDisk,
  scenario: Scenario,
  expected: Expected,
  fault: Omit<Fault, 'directory'>,
  result: Result,
): Promise<void> {
  await withCopy(scenario, async (place) => {
    const run = await runChild(disk, scenario, place, fault)
    const hit = run.calls[fault.after ?? 0]
    if (hit) result.hit++
    const wrong = [
      ...judgeRun(scenario, run, hit, fault, expected),
      ...(await judgeStore(place.store, run, expected, result)),
    ]
    const where = hit
      ? `${hit.call} ${shorten(hit.path, place.parent)} ${shorten(hit.to ?? '', place.parent)}`
      : 'no call'
    for (const violation of wrong) result.violations.push(`call ${fault.after}: ${where}: ${violation}`)
  })
}

const CODES: Record<string, string> = { ENOSPC: 'NO_SPACE', EDQUOT: 'NO_SPACE', EIO: 'BACKEND', EMFILE: 'BACKEND' }

/** What the process said while its disk failed. */
function* judgeRun(
  scenario: Scenario,
  run: Run,
  hit: LoggedCall | undefined,
  fault: Omit<Fault, 'directory'>,
  expected: Expected,
): Generator<string> {
  const isKilled = fault.effect === 'kill' || fault.effect === 'torn'
  if (run.stderr !== '') yield `it said on stderr: ${run.stderr}`
  if (isKilled) {
    if (hit && run.signal !== 'SIGKILL') yield `it was not killed, but ended with ${run.code}`
    return
  }
  if (run.code !== 0) yield `it ended with ${run.code} ${run.signal}`
  const last = run.events.at(-1)
  for (const { type, code, retryable, message, state } of run.events) {
    if (type !== 'failed') continue
    const wanted = CODES[fault.effect ?? '']
    // SQLite does not say why, and who asks a moment later finds nothing wrong.
    const isUntold = code === 'BACKEND' && fault.count === 1 && hit?.path.includes('/index.sqlite')
    if (code !== wanted && !isUntold) yield `${String(code)} and not ${wanted}: ${String(message)}`
    if (fault.effect === 'EMFILE' && retryable !== true) yield `not retryable: ${String(message)}`
    const isOther = state !== expected.before.state && (!scenario.isInSteps || state !== expected.after.state)
    if (fault.count === 1 && state !== undefined && isOther) {
      const how = state === expected.after.state ? 'as after' : `between: ${JSON.stringify(state)}`
      yield `it failed, and the store was ${how}: ${String(message)}`
    }
  }
  if (fault.count !== 1) return
  if (last?.type !== 'done') yield `the second try failed: ${String(last?.message)}`
  else if (last.state !== expected.after.state) yield `the second try left ${String(last.state)}`
  if (Array.isArray(last?.temp) && last.temp.length > 0 && hit?.call !== 'unlink')
    yield `left in tmp: ${last.temp.join()}`
}

/** What is found when the disk works again. */
async function judgeStore(directory: string, run: Run, expected: Expected, result: Result): Promise<string[]> {
  const wrong: string[] = []
  const store = await openFsStore({ directory })
  try {
    const state = await stateOf(store)
    const said = run.events.at(-1)?.type
    const found =
      state === expected.after.state ? expected.after : state === expected.before.state ? expected.before : undefined
    if (!found) return [`the store is neither as before nor as after:\n${state}`]
    if (found === expected.after) result.after++
    else if (said === 'done') wrong.push('it was done, and is not')
    for (const folder of ['tmp', 'leases', 'quarantine']) {
      const names = await readdir(join(directory, folder))
      if (names.length > 0) wrong.push(`in ${folder}: ${names.join()}`)
    }
    const assertWhole = async (when: string): Promise<void> => {
      for await (const { cid, size } of store.roots()) {
        const verified = await store.verify(cid)
        if (verified !== size || !(await store.has(cid))) wrong.push(`${when}: ${cid} has ${verified} of ${size} bytes`)
      }
    }
    const assertCollected = async (when: string): Promise<void> => {
      const [now, bytes] = [await stateOf(store), await bytesKept(directory)]
      if (now !== found.collected) wrong.push(`${when}: the store is\n${now}`)
      if (bytes !== found.bytes) wrong.push(`${when}: ${bytes} bytes and not ${found.bytes}`)
      await assertWhole(when)
    }
    await assertWhole('at first')
    await store.gc()
    await assertCollected('after gc')
    await store.rebuild()
    await assertCollected('after rebuild')
    const { roots, blocks, freedBytes } = await store.gc()
    if (roots.length + blocks + freedBytes > 0) wrong.push(`a second gc freed ${blocks} blocks, ${freedBytes} bytes`)
    if ((await filesBelow(join(directory, 'quarantine'))).length > 0) wrong.push('something is in quarantine')
  } catch (error) {
    wrong.push(`${isStorageError(error) ? error.code : ''} ${error instanceof Error ? error.stack : String(error)}`)
  } finally {
    await store.close()
  }
  return wrong
}

interface Place {
  parent: string
  store: string
}

async function withCopy<T>(scenario: Scenario, work: (place: Place) => Promise<T>): Promise<T> {
  const parent = await mkdtemp(join(tmpdir(), 'drill-'))
  try {
    await cp(scenario.template, parent, { recursive: true })
    return await work({ parent, store: join(parent, 'store') })
  } finally {
    await rm(parent, { recursive: true, force: true })
  }
}

interface Run {
  code: number | null
  signal: NodeJS.Signals | null
  stderr: string
  events: Record<string, unknown>[]
  calls: LoggedCall[]
}

async function runChild(
  disk: FailingDisk,
  { name, template, folder }: Scenario,
  { parent, store }: Place,
  fault: Omit<Fault, 'directory'>,
): Promise<Run> {
  const log = `${parent}.log`
  const args = ['--conditions=@x/source', CHILD, name, store, folder]
  const child = spawn(process.execPath, args, {
    env: {
      ...disk.env({ ...fault, directory: parent, log }),
      // Calls in one order as far as can be, and modules that need not be parsed each time.
      UV_THREADPOOL_SIZE: '1',
      NODE_COMPILE_CACHE: join(dirname(template), 'compile-cache'),
    },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let [stdout, stderr] = ['', '']
  child.stdout.on('data', (text) => (stdout += String(text)))
  child.stderr.on('data', (text) => (stderr += String(text)))
  await once(child, 'close')
  const calls = await readCalls(log)
  await rm(log, { force: true })
  return { code: child.exitCode, signal: child.signalCode, stderr, events: [...parse(stdout)], calls }
}

function* parse(stdout: string): Generator<Record<string, unknown>> {
  for (const line of stdout.split('\n')) {
    // A killed process may leave half a line.
    if (!line.endsWith('}')) continue
    const event: unknown = JSON.parse(line)
    if (typeof event === 'object' && event !== null) yield { ...event }
  }
}

/** Where files are as they shall be and the index is not yet, and the other way round; between them little is different. */
function edgesOf(calls: readonly LoggedCall[]): number[] {
  const isIndex = (at: number): boolean => calls[at]?.path.includes('/index.sqlite') === true
  return [...calls.keys()].filter((at) => at === 0 || isIndex(at) !== isIndex(at - 1))
}

/** As many of them, as far apart as can be. */
function spread(points: readonly number[], most: number): number[] {
  const count = Math.min(points.length, most)
  return Array.from({ length: count }, (_, index) => points[Math.floor(((index + 0.5) * points.length) / count)] ?? 0)
}

async function bytesKept(directory: string): Promise<number> {
  let bytes = 0
  for (const folder of ['files', 'packs', 'blocks', 'references', 'quarantine']) {
    for (const path of await filesBelow(join(directory, folder))) bytes += (await stat(path)).size
  }
  return bytes
}

const shorten = (path: string, parent: string): string => path.replace(`${parent}/`, '')
