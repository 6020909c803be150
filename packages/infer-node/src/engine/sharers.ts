import type { Ticket } from './waiting-room.ts'

/** One who asks for a result, perhaps with others at the same moment, for whom it is computed once. */
export interface Sharer {
  /** What is computed for all of them waits: from now on in the queue of each. */
  queue(ticket: Ticket): void
  /** He does not wait for it any more. */
  leave(): void
}

interface Shared {
  /** How often each asks for it. */
  callers: Map<string, number>
  ticket: Ticket | undefined
}

/** Lets what several callers wait for have its turn when the first of them has, not when it is the turn of whoever asked first. */
export function createSharers(): (result: string, caller: string) => Sharer {
  const results = new Map<string, Shared>()

  return (result, caller) => {
    const shared = results.get(result) ?? { callers: new Map<string, number>(), ticket: undefined }
    results.set(result, shared)
    const { callers } = shared
    callers.set(caller, (callers.get(caller) ?? 0) + 1)
    shared.ticket?.alsoFor(caller)
    return {
      queue(ticket) {
        shared.ticket = ticket
        for (const one of callers.keys()) ticket.alsoFor(one)
      },
      leave() {
        const left = (callers.get(caller) ?? 0) - 1
        if (left > 0) {
          callers.set(caller, left)
          return
        }
        callers.delete(caller)
        shared.ticket?.notFor(caller)
        if (callers.size === 0) results.delete(result)
      },
    }
  }
}
