import { untilAborted } from '@x/storage-core/backend'

/**
 * Runs a task once for any number of callers that ask for the same key meanwhile. Each may leave by its own signal; the
 * task is aborted when nobody waits for it any more.
 */
export interface SingleFlight<T> {
  /** @returns Whether the task was under way already, and its result. A failure is everybody's. */
  run(
    key: string,
    task: (signal: AbortSignal) => Promise<T>,
    signal: AbortSignal | undefined,
  ): Promise<{ joined: boolean; result: T }>
  /** From now on nobody joins what is under way under a key; who waits for it is given it. */
  unlist(key: string): void
  /** The same of every key. */
  unlistAll(): void
  /** Aborts every task, also those that nobody joins any more. */
  abort(reason: unknown): void
}

interface Flight<T> {
  result: Promise<T>
  controller: AbortController
  waiting: number
  ended: boolean
}

export function createSingleFlight<T>(): SingleFlight<T> {
  const flights = new Map<string, Flight<T>>()
  const underWay = new Set<Flight<T>>()

  const start = (key: string, task: (signal: AbortSignal) => Promise<T>): Flight<T> => {
    const controller = new AbortController()
    const flight: Flight<T> = { result: task(controller.signal), controller, waiting: 0, ended: false }
    flights.set(key, flight)
    underWay.add(flight)
    const end = (): void => {
      flight.ended = true
      underWay.delete(flight)
      if (flights.get(key) === flight) flights.delete(key)
    }
    // Whoever waits hears of a failure; nobody may be left.
    flight.result.then(end, end)
    return flight
  }

  return {
    async run(key, task, signal) {
      signal?.throwIfAborted()
      const known = flights.get(key)
      const flight = known ?? start(key, task)
      flight.waiting += 1
      try {
        return { joined: known !== undefined, result: await untilAborted(flight.result, signal) }
      } finally {
        flight.waiting -= 1
        if (flight.waiting === 0 && !flight.ended) {
          // One who comes now must not be given what is being aborted.
          if (flights.get(key) === flight) flights.delete(key)
          flight.controller.abort(signal?.reason)
        }
      }
    },
    unlist: (key) => void flights.delete(key),
    unlistAll: () => flights.clear(),
    abort(reason) {
      flights.clear()
      for (const { controller } of underWay) controller.abort(reason)
    },
  }
}
