import { BusyError } from '../errors.ts'

/** What waits, with who asked for it. */
export interface Queued<T> {
  item: T
  caller: string
}

/**
 * Waiting things of several callers, bounded. Each turn takes from one caller after another, so that one who asks for much
 * does not keep the others waiting.
 */
export interface FairQueue<T> {
  readonly size: number
  /**
   * @returns Takes it out again; whether it was still waiting.
   * @throws {BusyError} As many wait as may, in all or of this caller.
   */
  push(queued: Queued<T>): () => boolean
  /**
   * Takes up to so many out: the first of each caller, then the second of each, and so on.
   *
   * @param choose - Which of the items that are next go together: it is given some times as many as may be taken, each once. Default: the
   *   first of them.
   */
  take(most: number, choose?: (next: readonly T[]) => readonly T[]): T[]
  /** Takes all out. */
  drain(): T[]
}

export interface FairQueueLimits {
  maxQueued: number
  /** Of one caller. Default as many as of all. */
  maxQueuedPerCaller?: number | undefined
}

/** From so many times as many as may be taken is chosen. */
const CHOICE = 4

export function createFairQueue<T>({ maxQueued, maxQueuedPerCaller = maxQueued }: FairQueueLimits): FairQueue<T> {
  // A caller is here while something of it waits; whoever was served goes to the end.
  const callers = new Map<string, Queued<T>[]>()
  let size = 0

  /** Up to so many items in the order of their turns, each where it comes first. */
  function next(most: number): Queued<T>[] {
    const ones = new Map<T, Queued<T>>()
    const queues = [...callers.values()]
    const longest = queues.reduce((length, queue) => Math.max(length, queue.length), 0)
    for (let place = 0; place < longest; place++) {
      for (const queue of queues) {
        if (ones.size >= most) return [...ones.values()]
        const queued = queue[place]
        if (queued && !ones.has(queued.item)) ones.set(queued.item, queued)
      }
    }
    return [...ones.values()]
  }

  function remove(queued: Queued<T>): boolean {
    const { caller } = queued
    const mine = callers.get(caller)
    const at = mine?.indexOf(queued) ?? -1
    if (mine === undefined || at < 0) return false
    mine.splice(at, 1)
    if (mine.length === 0) callers.delete(caller)
    size -= 1
    return true
  }

  function serve(queued: Queued<T>): T {
    remove(queued)
    const mine = callers.get(queued.caller)
    if (mine) {
      callers.delete(queued.caller)
      callers.set(queued.caller, mine)
    }
    return queued.item
  }

  const takeOne = (): T | undefined => {
    for (const [queued] of callers.values()) if (queued) return serve(queued)
    return undefined
  }

  const take = (most: number, choose?: (next: readonly T[]) => readonly T[]): T[] => {
    if (!choose) return Array.from({ length: Math.min(most, size) }, takeOne).filter((item) => item !== undefined)
    const ones = next(most * CHOICE)
    const chosen = new Set(choose(ones.map(({ item }) => item)))
    const taken = ones.filter(({ item }) => chosen.has(item))
    return taken.slice(0, most).map(serve)
  }

  return {
    get size() {
      return size
    },
    push(queued) {
      const { caller } = queued
      if (size >= maxQueued) throw new BusyError(`${size} requests wait already, of at most ${maxQueued}`)
      const waiting = callers.get(caller) ?? []
      if (waiting.length >= maxQueuedPerCaller) {
        const message = `${waiting.length} requests of ${caller} wait already, of at most ${maxQueuedPerCaller}`
        throw new BusyError(message, { caller })
      }
      callers.set(caller, waiting)
      waiting.push(queued)
      size += 1
      return () => remove(queued)
    },
    take,
    drain: () => take(size),
  }
}
