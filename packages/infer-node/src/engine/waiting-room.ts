import type { Block } from '@x/cid'
import { BusyError, createFairQueue, chooseBatch, type FairQueueLimits, type Params } from '@x/infer-core'

import type { Job, Lane, Residence } from './residence.ts'

/** A job that waits. Once it was taken, nothing of this does anything. */
export interface Ticket {
  /** Takes it out again; whether it was still waiting. */
  withdraw(): boolean
  /**
   * Somebody else wants its answer: it waits in the queue of that caller too, where it may, and is taken when the first of them has his turn.
   *
   * @returns Whether it still waits.
   */
  alsoFor(caller: string): boolean
  /** One of several does not want it any more. */
  notFor(caller: string): void
}

/** What waits in all lanes of all models: bounded in all and of each caller. */
export interface WaitingRoom {
  readonly size: number
  /** @throws {BusyError} As many wait as may, in all or of this caller. */
  push(residence: Residence, params: Params, paramsBlock: Block, job: Job): Ticket
  /** The lanes of models in the order of their turns: first that of the caller who was not served for longest. */
  inTurn(residences: Iterable<Residence>): Lane[]
  /** Takes up to so many out, each once: the one whose turn it is, and what is about as long, so that a run has little padding. */
  take(lane: Lane, most: number): Job[]
  /** Takes out all that waits for a model. */
  drain(residence: Residence): Job[]
}

export function createWaitingRoom({ maxQueued, maxQueuedPerCaller = maxQueued }: FairQueueLimits): WaitingRoom {
  // Of those of whom something waits.
  const callers = new Map<string, { waiting: number; turn: number }>()
  let size = 0
  let lastTurn = 0

  /** Of a caller one more or less waits in a lane. */
  function count(lane: Lane, caller: string, by: 1 | -1): void {
    size += by
    const mine = callers.get(caller) ?? { waiting: 0, turn: (lastTurn += 1) }
    mine.waiting += by
    if (mine.waiting > 0) callers.set(caller, mine)
    else callers.delete(caller)
    const here = (lane.waiting.get(caller) ?? 0) + by
    if (here > 0) lane.waiting.set(caller, here)
    else lane.waiting.delete(caller)
    const { lanes } = lane.residence
    // There are as many lanes as there were parameters; an empty one would stay for ever.
    if (lane.queue.size === 0 && lanes.get(lane.key) === lane) lanes.delete(lane.key)
  }

  /** Why a caller may put nothing more in; `undefined`: he may. */
  function whyFull(caller: string): BusyError | undefined {
    if (size >= maxQueued) return new BusyError(`${size} requests wait already, of at most ${maxQueued}`)
    const waiting = callers.get(caller)?.waiting ?? 0
    if (waiting < maxQueuedPerCaller) return undefined
    const message = `${waiting} requests of ${caller} wait already, of at most ${maxQueuedPerCaller}`
    return new BusyError(message, { caller })
  }

  function enter(lane: Lane, job: Job, caller: string): void {
    const place = lane.places.get(job) ?? { sinceMs: performance.now(), of: new Map<string, () => boolean>() }
    lane.places.set(job, place)
    place.of.set(caller, lane.queue.push({ item: job, caller }))
    count(lane, caller, 1)
  }

  /** Out of the queues of these callers, or of one of which it was taken already. */
  function leave(lane: Lane, job: Job, these: readonly string[]): void {
    const of = lane.places.get(job)?.of
    for (const caller of these) {
      of?.get(caller)?.()
      of?.delete(caller)
      count(lane, caller, -1)
    }
    if (of?.size === 0) lane.places.delete(job)
  }

  /** Of what is next the job whose turn it is, with those that it shares a run with at least cost. */
  function together(lane: Lane, next: readonly Job[], most: number, turn: number): readonly Job[] {
    const first = next.findIndex((job) => callersOf(lane, job).some((caller) => callers.get(caller)?.turn === turn))
    const chosen = chooseBatch(next.map(guessTokens), Math.max(0, first), {
      maxRows: most,
      maxTokens: Infinity,
      runTokens: RUN_TOKENS,
    })
    return chosen.flatMap((index) => next[index] ?? [])
  }

  function take(lane: Lane, most: number): Job[] {
    const turn = turnOf(lane)
    lane.sinceMs = performance.now()
    const jobs = lane.queue.take(most, most > 1 ? (next) => together(lane, next, most, turn) : undefined)
    /** Which turn each had. */
    const served = new Map<string, number | undefined>()
    for (const job of jobs) {
      const these = callersOf(lane, job)
      for (const caller of these) served.set(caller, callers.get(caller)?.turn)
      leave(lane, job, these)
    }
    const ofTurn = [...served.keys()].filter((caller) => served.get(caller) === turn)
    // Whoever shares the run of another keeps the turn, or what it has in other lanes would never have one.
    for (const caller of ofTurn.length > 0 ? ofTurn : served.keys()) {
      const mine = callers.get(caller)
      if (mine) mine.turn = lastTurn += 1
    }
    return jobs
  }

  function drain(lane: Lane): Job[] {
    const jobs = [...lane.places.keys()]
    for (const job of jobs) leave(lane, job, callersOf(lane, job))
    return jobs
  }

  const turnOf = ({ waiting }: Lane): number =>
    Math.min(...[...waiting.keys()].map((caller) => callers.get(caller)?.turn ?? Infinity))

  return {
    get size() {
      return size
    },
    push(residence, params, paramsBlock, job) {
      const why = whyFull(job.caller)
      if (why !== undefined) throw why
      const lane = laneOf(residence, params, paramsBlock)
      enter(lane, job, job.caller)
      return {
        withdraw() {
          const all = callersOf(lane, job)
          leave(lane, job, all)
          return all.length > 0
        },
        alsoFor(caller) {
          const all = callersOf(lane, job)
          if (all.length > 0 && !all.includes(caller) && whyFull(caller) === undefined) enter(lane, job, caller)
          return all.length > 0
        },
        notFor(caller) {
          const all = callersOf(lane, job)
          if (all.length > 1 && all.includes(caller)) leave(lane, job, [caller])
        },
      }
    },
    inTurn: (residences) =>
      [...residences]
        .flatMap(({ lanes }) => [...lanes.values()])
        .map((lane) => ({ lane, turn: turnOf(lane) }))
        .toSorted((a, b) => a.turn - b.turn || a.lane.sinceMs - b.lane.sinceMs)
        .map(({ lane }) => lane),
    take,
    drain: ({ lanes }) => [...lanes.values()].flatMap(drain),
  }
}

/** In whose queues it waits. */
const callersOf = ({ places }: Lane, job: Job): string[] => [...(places.get(job)?.of.keys() ?? [])]

/** Of English. The thread counts the tokens, and cuts what it is given by them; this decides alone what it is given. */
const CHARACTERS_A_TOKEN = 4
/** Several times what a run costs: of rather more than will share a run the thread makes several, of less it can make nothing better. */
const RUN_TOKENS = 128

/** As much as most models take of a text. What is longer is cut, and so as long as others. */
const MOST_TOKENS = 512

const guessTokens = ({ input }: Job): number =>
  input.kind === 'text' ? Math.min(MOST_TOKENS, Math.ceil(input.text.length / CHARACTERS_A_TOKEN)) : 1

function laneOf(residence: Residence, params: Params, paramsBlock: Block): Lane {
  const key = paramsBlock.cid.toString()
  const known = residence.lanes.get(key)
  if (known) return known
  // What bounds it is counted over all lanes.
  const queue = createFairQueue<Job>({ maxQueued: Infinity })
  const sinceMs = performance.now()
  const lane: Lane = { key, residence, params, queue, places: new Map(), waiting: new Map(), sinceMs }
  residence.lanes.set(key, lane)
  return lane
}
