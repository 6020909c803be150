import type { Block } from '@x/cid'
import { CrashError, type BatchLimits, type FairQueueLimits, type Params } from '@x/infer-core'
import { isDtype } from '@x/model-loader'
import { BackendError, NoSpaceError, type AbortOptions } from '@x/storage-core'
import { reasonOf } from '@x/storage-core/backend'

import { canShareRuns } from '../batching/run-batch.ts'
import { startHost } from '../gguf/start-host.ts'
import type { Call, Loaded, RanOne } from '../workers/messages.ts'
import { receiveError } from '../workers/sent-error.ts'
import type { WorkerHost } from '../workers/worker-host.ts'
import { createLoadingLine } from './loading-line.ts'
import { answerFor, noteLoaded, type Job, type Lane, type Residence } from './residence.ts'
import { createRoom } from './room.ts'
import { createWaitingRoom } from './waiting-room.ts'

export interface DispatcherOptions {
  workers: number
  /** Of ONNX Runtime, in each worker. */
  threads: number
  /** Whether graphs run on its WASM build; known once there is a residence of graphs. */
  isWasm: () => boolean
  heapMib: number | undefined
  /** Of the weights of all models that are loaded, in all workers. */
  memoryBytes: number
  /** How long a model that was loaded stays so while it is used, though another one waits for its room. `undefined`: by its load. */
  minResidentMs: number | undefined
  /** `undefined`: each input runs alone. */
  batch: (BatchLimits & { windowMs: number }) | undefined
  /** How long a model that crashed twice in a row is left alone. */
  quarantineMs: number
  /** Of what waits. */
  limits: FairQueueLimits
  onWarning: (message: string) => void
}

export interface WorkerStats {
  /** 0 where it was given no graph so far: then it has no thread of its own. */
  threadId: number
  /** Runs that were given to it and are not answered. */
  given: number
  /** CIDs. */
  models: readonly string[]
}

export interface DispatcherStats {
  /** Runs of graphs, and the inputs that they answered. */
  runs: number
  rows: number
  crashes: number
  /** Requests that wait. */
  queued: number
  loads: number
  unloads: number
  workers: readonly WorkerStats[]
}

/** Gives waiting jobs to threads, and sees to it that these hold the models. */
export interface Dispatcher {
  /**
   * Puts a job into the queue of its model and parameters.
   *
   * @returns Takes it out again; whether it was still waiting.
   * @throws {BusyError} As many wait as may, in all or of its caller.
   */
  push(residence: Residence, params: Params, paramsBlock: Block, job: Job): () => boolean
  add(residence: Residence): void
  /**
   * Loads a model into a thread, where none has it; when there is room, as what waits in a queue.
   *
   * @param options.signal - Ends the wait, and no load.
   * @throws {BusyError} As many wait as may.
   */
  load(residence: Residence, options?: AbortOptions): Promise<void>
  /** Unloads a model from all threads. Nothing of it may wait or run. */
  remove(residence: Residence): void
  /** Nothing more comes: what was just begun waits for no others. */
  hurry(): void
  stats(): DispatcherStats
  /** Ends all threads, once; what waits or runs is rejected. */
  end(error: unknown): Promise<void>
}

interface Slot {
  host: WorkerHost
  /** The models of the runs that were given to it, in their order: of those of graphs the first is running. */
  given: Residence[]
  placed: Map<Residence, Promise<Loaded>>
  /** Its thread has loaded or run something. */
  hasAnswered: boolean
  /** Its thread ended; there may be GGUFs, which have none. */
  isDead: boolean
  ending: Promise<void> | undefined
}

/** While one batch runs the next is on its way, so that the thread does not wait for the main one. */
const GIVEN_AT_ONCE = 2
const CRASHES_TO_QUARANTINE = 2
/** After a thread ended before it had answered anything; twice as long each time. */
const FIRST_RESTART_MS = 500
const LAST_RESTART_MS = 30_000
/** A model stays at least so many times as long as its load took, so that at most a fifth of the time goes into loading. */
const RESIDENT_LOADS = 4
const LEAST_RESIDENT_MS = 1000

export function createDispatcher(options: DispatcherOptions): Dispatcher {
  const { batch, memoryBytes } = options
  const limits: BatchLimits = batch ?? { maxRows: 1, maxTokens: 1 }
  const residences = new Map<number, Residence>()
  const counts = { runs: 0, rows: 0, crashes: 0, loads: 0, unloads: 0 }
  let slots: Slot[] = []
  /** Those whose thread ended, until what else they hold is let go of. */
  const dead = new Set<Slot>()
  const waiting = createWaitingRoom(options.limits)
  const line = createLoadingLine(options.limits)
  /** Bytes that threads were told to let go of, and have yet to. */
  const unloading = new Map<Promise<unknown>, number>()
  const room = createRoom({
    memoryBytes,
    residences: () => residences.values(),
    copiesOf: (residence) => slots.filter(({ placed }) => placed.has(residence)).length,
    unload,
    unloadingBytes: () => [...unloading.values()].reduce((sum, bytes) => sum + bytes, 0),
  })
  /** Threads in a row that ended before they had answered anything. */
  let stillborn = 0
  /** No thread is started before. Of `performance.now`. */
  let startAtMs = 0
  /** The one that wakes it, of which something that waits keeps the process from ending. */
  let timer: NodeJS.Timeout | undefined
  let isWoken = false
  let isDraining = false
  let ended: { error: unknown } | undefined

  function startSlot(): Slot {
    const host = startHost({
      ggufOf: (handle) => residences.get(handle)?.gguf,
      heapMib: options.heapMib,
      start: () => ({ wasmThreads: options.isWasm() ? options.threads : undefined }),
      answer: async (ask) => {
        const residence = residences.get(ask.handle)
        if (residence) return answerFor(residence, ask)
        throw new BackendError('the model was unloaded meanwhile', { retryable: true })
      },
    })
    const slot: Slot = { host, given: [], placed: new Map(), hasAnswered: false, isDead: false, ending: undefined }
    void host.crashed.then(() => noteCrash(slot))
    return slot
  }

  /** Once for each thread: whose run it was is told apart. Another takes its place when something waits. */
  function noteCrash(slot: Slot): void {
    if (slot.isDead) return
    slot.isDead = true
    slots = slots.filter((other) => other !== slot)
    counts.crashes += 1
    const guilty = slot.given.find(isOfThread)
    if (!slot.hasAnswered) {
      // One that had nothing to do is no sign that the next would end as well, unless it was not the first.
      const isHeld = guilty !== undefined || stillborn > 0
      if (isHeld) startAtMs = performance.now() + Math.min(FIRST_RESTART_MS * 2 ** stillborn, LAST_RESTART_MS)
      stillborn += 1
    }
    if (guilty) {
      guilty.crashes += 1
      if (guilty.crashes >= CRASHES_TO_QUARANTINE) quarantine(guilty)
    }
    for (const residence of slot.placed.keys()) if (isOfThread(residence)) slot.placed.delete(residence)
    dead.add(slot)
    void letGo(slot)
    wake()
  }

  /** A thread ended, and what runs beside it goes on; then nothing is held there any more. */
  async function letGo(slot: Slot): Promise<void> {
    if (!slot.given.every(isOfThread)) return
    slot.placed.clear()
    try {
      await endOf(slot)
    } catch (error) {
      options.onWarning(`what was held beside a thread that ended was not let go of: ${reasonOf(error)}`)
    }
    dead.delete(slot)
  }

  function quarantine(residence: Residence): void {
    residence.quarantinedUntilMs = Date.now() + options.quarantineMs
    residence.crashes = 0
    const error = crashOf(residence)
    for (const job of waiting.drain(residence)) job.reject(error)
    line.refuse(error, residence)
  }

  function wake(): void {
    if (isWoken || ended) return
    isWoken = true
    // Those who ask in the same turn share a run.
    setImmediate(() => {
      isWoken = false
      if (!ended) dispatch()
    })
  }

  function dispatch(): void {
    // One time for all that is decided here: what is not due by it has a timer, and what is has been done.
    const nowMs = performance.now()
    const ready = waiting.inTurn(residences.values()).filter((lane) => isReady(lane, nowMs))
    if (ready.length > 0 && nowMs >= startAtMs) startSlots()
    const roomMs = room.look([...ready, ...line.all()])
    line.admit(mayLoad)
    for (let depth = 0; depth < GIVEN_AT_ONCE; depth++) {
      for (const slot of slots) {
        if (slot.given.length !== depth) continue
        const lane = laneFor(slot, nowMs)
        if (lane) void serve(slot, lane)
      }
    }
    setTimer(nowMs, roomMs)
  }

  function assertGoing(): void {
    if (ended) throw ended.error
  }

  function startSlots(): void {
    while (slots.length < options.workers) slots.push(startSlot())
  }

  /** For what waits and does not become ready, or find a thread, by something that happens. */
  function setTimer(nowMs: number, roomMs: number | undefined): void {
    clearTimeout(timer)
    timer = undefined
    const lanes = waiting.inTurn(residences.values())
    const times = lanes.map((lane) => gatheringMs(lane, nowMs)).filter((ms) => ms > 0)
    const startMs = startAtMs - nowMs
    const isWaiting = lanes.some((lane) => isReady(lane, nowMs))
    if (startMs > 0 && slots.length < options.workers && isWaiting) times.push(startMs)
    if (roomMs !== undefined) times.push(roomMs)
    if (times.length > 0) timer = setTimeout(wake, Math.ceil(Math.min(...times)))
  }

  /** What a thread is to do next. */
  function laneFor(slot: Slot, nowMs: number): Lane | undefined {
    return waiting.inTurn(residences.values()).find((lane) => isReady(lane, nowMs) && isFor(slot, lane))
  }

  function isFor(slot: Slot, { residence }: Lane): boolean {
    if (room.isLeaving(residence)) return false
    const isFree = (other: Slot): boolean => other.given.length === 0
    const free = slots.filter((other) => other !== slot && isFree(other))
    const isNext = isFree(slot) || free.length === 0
    if (slot.placed.has(residence)) return isNext
    // None has it: the next that can, though it has something to do first. Or no busy thread would ever load it.
    if (!isPlaced(residence)) return isNext && room.hasRoomFor(residence)
    // One that has it and has nothing to do is faster than one that has to load it.
    if (!isFree(slot) || free.some((other) => other.placed.has(residence))) return false
    return room.hasRoomFor(residence)
  }

  /** How long one that was just begun may still be joined by others, where the caller wants to wait for them. */
  function gatheringMs({ queue, sinceMs }: Lane, nowMs: number): number {
    if (!batch || batch.windowMs === 0 || isDraining || queue.size >= batch.maxRows) return 0
    return Math.max(0, sinceMs + batch.windowMs - nowMs)
  }

  const isReady = (lane: Lane, nowMs: number): boolean => gatheringMs(lane, nowMs) === 0

  const isPlaced = (residence: Residence): boolean => slots.some(({ placed }) => placed.has(residence))

  const mayLoad = (residence: Residence): boolean => isPlaced(residence) || room.hasRoomFor(residence, 'once')

  function unload(residence: Residence): void {
    const having = [...slots, ...dead].filter(({ placed }) => placed.delete(residence))
    if (having.length === 0) return
    const bytes = residence.bytes * (residence.isMapped ? 1 : having.length)
    counts.unloads += having.length
    const done = Promise.all(having.map((slot) => unloadFrom(slot, residence)))
    unloading.set(done, bytes)
    void freeWhen(done)
  }

  async function freeWhen(done: Promise<unknown>): Promise<void> {
    await done
    unloading.delete(done)
    wake()
  }

  async function unloadFrom({ host }: Slot, { handle, model }: Residence): Promise<void> {
    try {
      await host.call({ type: 'unload', handle })
    } catch (error) {
      // A thread that ends meanwhile has unloaded it too.
      if (!(error instanceof CrashError)) options.onWarning(`${model.cid} was not unloaded: ${reasonOf(error)}`)
    }
  }

  function place(slot: Slot, residence: Residence): Promise<Loaded> {
    const known = slot.placed.get(residence)
    if (known) return known
    counts.loads += 1
    if (!isPlaced(residence)) residence.residentUntilMs = undefined
    const { handle, task, graph, sent } = residence
    const dtype = isDtype(residence.dtype) ? residence.dtype : undefined
    const [executionProvider] = residence.providers
    const { threads } = options
    const batching = batch !== undefined
    const call = {
      type: 'load',
      handle,
      task,
      dtype,
      graph,
      executionProvider,
      model: sent,
      threads,
      batching,
    } as const
    const loading = load(slot, residence, call)
    slot.placed.set(residence, loading)
    return loading
  }

  async function load(slot: Slot, residence: Residence, call: Call & { type: 'load' }): Promise<Loaded> {
    const sinceMs = performance.now()
    try {
      const loaded = await slot.host.call(call)
      noteLoaded(residence, loaded)
      const nowMs = performance.now()
      const stayMs = options.minResidentMs ?? Math.max(LEAST_RESIDENT_MS, RESIDENT_LOADS * (nowMs - sinceMs))
      // Of the first copy: that of another thread does not make it stay longer.
      residence.residentUntilMs ??= nowMs + stayMs
      for (const why of loaded.fallbacks) options.onWarning(`${residence.model.cid}: ${why}`)
      if (residence.bytes <= memoryBytes) return loaded
    } catch (error) {
      slot.placed.delete(residence)
      throw error
    }
    unload(residence)
    throw tooLarge(residence, memoryBytes)
  }

  /** A load for which there is room now. */
  async function begin(residence: Residence): Promise<void> {
    startSlots()
    const having = slots.find(({ placed }) => placed.has(residence))
    const slot = having ?? slots.toSorted((a, b) => a.given.length - b.given.length)[0]
    if (!slot) return
    occupy(slot, residence)
    try {
      await place(slot, residence)
      noteAnswer(slot, residence)
    } catch (error) {
      throw reasonFor(slot, residence, error)
    } finally {
      release(slot, residence)
    }
  }

  async function serve(slot: Slot, lane: Lane): Promise<void> {
    const { residence } = lane
    occupy(slot, residence)
    // Taken now: what comes while the model is loaded is for the next.
    const jobs = waiting.take(lane, shareOf(lane))
    try {
      if (residence.leastBytes > memoryBytes) throw tooLarge(residence, memoryBytes)
      const facts = await place(slot, residence)
      noteAnswer(slot, residence)
      const { handle } = residence
      const inputs = jobs.map(({ input, onText }) => ({ input, streams: onText !== undefined }))
      const told = new Set<number>()
      let toldRuns = 0
      const run = { type: 'run', handle, inputs, params: lane.params, limits } as const
      const { ran, runs } = await slot.host.call(run, {
        onText: (index, piece) => jobs[index]?.onText?.(piece),
        onRan: (ones, by) => {
          // Counted before whoever asked hears of it.
          counts.runs += by
          counts.rows += ones.filter(({ one }) => 'output' in one).length
          toldRuns += by
          for (const { index, one } of ones) {
            told.add(index)
            settleOne(jobs[index], one, facts)
          }
        },
        onStart: (cancel) => {
          for (const [index, job] of jobs.entries()) {
            job.onCancel = () => cancel(index)
            if (job.isCancelled) cancel(index)
          }
        },
      })
      noteAnswer(slot, residence)
      residence.crashes = 0
      counts.runs += runs - toldRuns
      counts.rows += ran.filter((one) => one && 'output' in one).length
      for (const [index, job] of jobs.entries()) if (!told.has(index)) settleOne(job, ran[index], facts)
    } catch (error) {
      const reason = reasonFor(slot, residence, error)
      // Those that have their answers keep them.
      for (const job of jobs) job.reject(reason)
    } finally {
      release(slot, residence)
    }
  }

  /** From now on a thread has something of this model to do, and it is not unloaded. */
  function occupy(slot: Slot, residence: Residence): void {
    slot.given.push(residence)
    residence.running += 1
  }

  function release(slot: Slot, residence: Residence): void {
    slot.given.splice(slot.given.indexOf(residence), 1)
    residence.running -= 1
    residence.usedMs = Date.now()
    if (dead.has(slot)) void letGo(slot)
    wake()
  }

  function noteAnswer(slot: Slot, residence: Residence): void {
    // Of its thread it says nothing.
    if (!isOfThread(residence)) return
    slot.hasAnswered = true
    stillborn = 0
  }

  /** What those are told for whom a thread did something that failed. */
  function reasonFor(slot: Slot, residence: Residence, error: unknown): unknown {
    if (!(error instanceof CrashError)) return error
    // It was ended, by us.
    if (ended) return ended.error
    noteCrash(slot)
    return crashOf(residence, error)
  }

  /** Of what waits, as much as one of the threads that have nothing to do should take. */
  function shareOf({ queue, residence: { task, isAlone } }: Lane): number {
    // Together they would only wait for each other.
    if (isAlone || !canShareRuns(task)) return 1
    const free = slots.filter(({ given }) => given.length === 0).length + 1
    return Math.min(limits.maxRows, Math.ceil(queue.size / free))
  }

  return {
    push(residence, params, paramsBlock, job) {
      assertGoing()
      const withdraw = waiting.push(residence, params, paramsBlock, job)
      wake()
      return () => {
        const wasWaiting = withdraw()
        // The timer may not be wanted any more.
        if (wasWaiting) wake()
        return wasWaiting
      }
    },
    add: (residence) => void residences.set(residence.handle, residence),
    async load(residence, { signal } = {}) {
      assertGoing()
      if (residence.leastBytes > memoryBytes) throw tooLarge(residence, memoryBytes)
      if (mayLoad(residence)) return begin(residence)
      const loading = line.wait(residence, () => begin(residence), { signal })
      wake()
      try {
        return await loading
      } finally {
        // Where it was given up, nothing is kept for it any more.
        wake()
      }
    },
    remove(residence) {
      unload(residence)
      residences.delete(residence.handle)
    },
    hurry() {
      isDraining = true
      wake()
    },
    stats: () => ({
      ...counts,
      queued: waiting.size + line.size,
      workers: slots.map(({ host, given, placed }) => ({
        threadId: host.threadId,
        given: given.length,
        models: [...placed.keys()].map(({ model }) => model.cid.toString()),
      })),
    }),
    async end(error) {
      ended = { error }
      clearTimeout(timer)
      for (const residence of residences.values()) for (const job of waiting.drain(residence)) job.reject(error)
      line.refuse(error)
      const all = [...slots, ...dead]
      slots = []
      dead.clear()
      for (const slot of all) slot.isDead = true
      await endAll(all)
    },
  }
}

function settleOne(job: Job | undefined, one: RanOne | undefined, facts: Loaded): void {
  if (one !== undefined && 'output' in one) job?.resolve(one.output, facts)
  else if (one !== undefined && 'error' in one) job?.reject(receiveError(one.error), true)
  // Whoever gave it up has been told.
  else job?.reject(new BackendError('it was cancelled before it ran', { retryable: true }))
}

/** GGUFs run in the main one. */
const isOfThread = ({ gguf }: Residence): boolean => gguf === undefined

/** At once, so that none begins another run while one is waited for. */
async function endAll(slots: readonly Slot[]): Promise<void> {
  await Promise.all(slots.map(endOf))
}

function endOf(slot: Slot): Promise<void> {
  slot.ending ??= slot.host.end()
  return slot.ending
}

export function crashOf({ model, quarantinedUntilMs }: Residence, cause?: CrashError): CrashError {
  const until = quarantinedUntilMs
  const rest = until === undefined ? '' : `; it is left alone until ${new Date(until).toISOString()}`
  return new CrashError(`${model.cid}: ${cause?.message ?? 'the threads that ran it ended'}${rest}`, {
    model: model.cid.toString(),
    quarantinedUntilMs: until,
    cause,
  })
}

const tooLarge = ({ model, leastBytes }: Residence, most: number): NoSpaceError =>
  new NoSpaceError(`${model.cid}: its weights are ${leastBytes} bytes, and ${most} may be loaded`)
