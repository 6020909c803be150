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
  /** Takes up to so many out: the first of each caller, then the second of each, and so on. */
  take(most: number): T[]
  /** Takes all out. */
  drain(): T[]
}

export interface FairQueueLimits {
  maxQueued: number
  /** Of one caller. Default as many as of all. */
  maxQueuedPerCaller?: number | undefined
}

export function createFairQueue<T>({ maxQueued, maxQueuedPerCaller = maxQueued }: FairQueueLimits): FairQueue<T> {
  // A caller is here while something of it waits; whoever was served goes to the end.
  const callers = new Map<string, Queued<T>[]>()
  let size = 0

  const takeOne = (): T | undefined => {
    for (const [caller, waiting] of callers) {
      callers.delete(caller)
      const [first] = waiting.splice(0, 1)
      if (waiting.length > 0) callers.set(caller, waiting)
      if (first === undefined) continue
      size -= 1
      return first.item
    }
    return undefined
  }

  const take = (most: number): T[] => {
    const count = Math.min(most, size)
    return Array.from({ length: count }, takeOne).filter((item) => item !== undefined)
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
      return () => {
        const mine = callers.get(caller)
        const at = mine?.indexOf(queued) ?? -1
        if (mine === undefined || at < 0) return false
        mine.splice(at, 1)
        if (mine.length === 0) callers.delete(caller)
        size -= 1
        return true
      }
    },
    take,
    drain: () => take(size),
  }
}
