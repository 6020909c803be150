import type { Ticket } from './waiting-room.ts'

/** One who asks for a result, perhaps with others at the same moment, for whom it is computed once. */
export interface Sharer {
  /** In whose queue it is put first: his own, or, where he has left, that of another who waits for it. */
  readonly caller: string
  /** What is computed for all of them waits: from now on in the queue of each. */
  queue(ticket: Ticket): void
  /** He does not wait for it any more. */
  leave(): void
}

interface Shared {
  /** How often each asks for it. */
  callers: Map<string, number>
  /** One, as a rule: those who ask after what is kept was changed do not wait for what was begun before that. */
  tickets: Set<Ticket>
}

/**
 * Lets what several callers wait for have its turn when the first of them has, not when it is the turn of whoever asked first.
 *
 * @returns Of the name of what is computed, and of who asks for it.
 */
export function createSharers(): (flight: string, caller: string) => Sharer {
  const flights = new Map<string, Shared>()

  return (flight, caller) => {
    const shared = flights.get(flight) ?? { callers: new Map<string, number>(), tickets: new Set<Ticket>() }
    flights.set(flight, shared)
    const { callers, tickets } = shared
    callers.set(caller, (callers.get(caller) ?? 0) + 1)
    for (const ticket of tickets) if (!ticket.alsoFor(caller)) tickets.delete(ticket)
    return {
      get caller() {
        const [first = caller] = callers.keys()
        return callers.has(caller) ? caller : first
      },
      queue(ticket) {
        tickets.add(ticket)
        for (const one of callers.keys()) ticket.alsoFor(one)
      },
      leave() {
        const left = (callers.get(caller) ?? 0) - 1
        if (left > 0) {
          callers.set(caller, left)
          return
        }
        callers.delete(caller)
        for (const ticket of tickets) ticket.notFor(caller)
        if (callers.size === 0) flights.delete(flight)
      },
    }
  }
}
