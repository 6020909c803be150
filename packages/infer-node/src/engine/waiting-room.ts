import type { Block } from '@x/cid'
import { BusyError, createFairQueue, type FairQueueLimits, type Params } from '@x/infer-core'

import type { Job, Lane, Residence } from './residence.ts'

/** What waits in all lanes of all models: bounded in all and of each caller. */
export interface WaitingRoom {
  readonly size: number
  /**
   * @returns Takes it out again; whether it was still waiting.
   * @throws {BusyError} As many wait as may, in all or of this caller.
   */
  push(residence: Residence, params: Params, paramsBlock: Block, job: Job): () => boolean
  /** The lanes of models in the order of their turns: first that of the caller who was not served for longest. */
  inTurn(residences: Iterable<Residence>): Lane[]
  /** Takes up to so many out. */
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

  function take(lane: Lane, most: number): Job[] {
    const turn = turnOf(lane)
    const jobs = lane.queue.take(most)
    lane.sinceMs = performance.now()
    const isTurnOf = ({ caller }: Job): boolean => callers.get(caller)?.turn === turn
    // Whoever shares the run of another keeps the turn, or what it has in other lanes would never have one.
    const served = new Set((jobs.some(isTurnOf) ? jobs.filter(isTurnOf) : jobs).map(({ caller }) => caller))
    for (const { caller } of jobs) count(lane, caller, -1)
    for (const caller of served) {
      const mine = callers.get(caller)
      if (mine) mine.turn = lastTurn += 1
    }
    return jobs
  }

  const turnOf = ({ waiting }: Lane): number =>
    Math.min(...[...waiting.keys()].map((caller) => callers.get(caller)?.turn ?? Infinity))

  return {
    get size() {
      return size
    },
    push(residence, params, paramsBlock, job) {
      const { caller } = job
      if (size >= maxQueued) throw new BusyError(`${size} requests wait already, of at most ${maxQueued}`)
      const waiting = callers.get(caller)?.waiting ?? 0
      if (waiting >= maxQueuedPerCaller) {
        throw new BusyError(`${waiting} requests of ${caller} wait already, of at most ${maxQueuedPerCaller}`)
      }
      const lane = laneOf(residence, params, paramsBlock)
      if (lane.queue.size === 0) lane.sinceMs = performance.now()
      const withdraw = lane.queue.push({ item: job, caller })
      count(lane, caller, 1)
      return () => {
        const wasWaiting = withdraw()
        if (wasWaiting) count(lane, caller, -1)
        return wasWaiting
      }
    },
    inTurn: (residences) =>
      [...residences]
        .flatMap(({ lanes }) => [...lanes.values()])
        .map((lane) => ({ lane, turn: turnOf(lane) }))
        .toSorted((a, b) => a.turn - b.turn || a.lane.sinceMs - b.lane.sinceMs)
        .map(({ lane }) => lane),
    take,
    drain: ({ lanes }) => [...lanes.values()].flatMap((lane) => take(lane, lane.queue.size)),
  }
}

function laneOf(residence: Residence, params: Params, paramsBlock: Block): Lane {
  const key = paramsBlock.cid.toString()
  const known = residence.lanes.get(key)
  if (known) return known
  // What bounds it is counted over all lanes.
  const queue = createFairQueue<Job>({ maxQueued: Infinity })
  const lane: Lane = { key, residence, params, queue, waiting: new Map(), sinceMs: performance.now() }
  residence.lanes.set(key, lane)
  return lane
}
