import { reasonOf } from '@x/storage-core/backend'

import { closeAll } from '../close-all.ts'
import type { Loaded } from '../workers/messages.ts'
import type { WorkerHost } from '../workers/worker-host.ts'
import type { Residence } from './residence.ts'

/** Holds models and runs them, one run after another. GGUFs run in the main thread, apart from graphs, so that neither waits for the other. */
export interface Slot {
  readonly kind: 'graphs' | 'ggufs'
  readonly host: WorkerHost
  /** The models of what was given to it. */
  readonly given: Residence[]
  /** The models that it has, or is loading. */
  readonly placed: Map<Residence, Loaded | Promise<Loaded>>
  /** It has loaded or run something. */
  hasAnswered: boolean
}

export interface SlotsOptions {
  /** How many of each kind. */
  workers: number
  startHost: () => WorkerHost
  /** Told, once for each thread that ended, what it was running. */
  onCrash: (guilty: Residence | undefined) => void
  onWarning: (message: string) => void
}

/** What runs models: started when something is to run, and again, later and later, where threads end before they have done anything. */
export interface Slots {
  /** Threads that ended without having been told to. */
  readonly crashes: number
  /** Those that go on. */
  all(): readonly Slot[]
  /** Those of them that may run a model. */
  for(residence: Residence): readonly Slot[]
  /** Starts those that are missing to run a model, unless they have to wait. `nowMs` of `performance.now`. */
  start(residence: Residence, nowMs: number): void
  /** In how many milliseconds those that are missing may be started; 0: at once, or none is missing. */
  restMs(residence: Residence, nowMs: number): number
  noteAnswer(slot: Slot): void
  /** What a thread did failed, because it ended. */
  noteCrash(slot: Slot): void
  /** Ends all, at once; resolves when all have ended, also those that crashed. */
  end(): Promise<void>
}

/** After a thread ended before it had answered anything; twice as long each time. */
const FIRST_RESTART_MS = 500
const LAST_RESTART_MS = 30_000

export function createSlots({ workers, startHost, onCrash, onWarning }: SlotsOptions): Slots {
  let slots: readonly Slot[] = []
  /** Of threads that crashed, what is left of them. */
  const ending = new Set<Promise<void>>()
  let crashes = 0
  /** Threads in a row that ended before they had answered anything. */
  let stillborn = 0
  /** No thread is started before. Of `performance.now`. */
  let startAtMs = 0

  const slotsFor = (residence: Residence): readonly Slot[] => slots.filter(({ kind }) => kind === kindOf(residence))

  function startOne(kind: Slot['kind']): Slot {
    const slot: Slot = { kind, host: startHost(), given: [], placed: new Map(), hasAnswered: false }
    void slot.host.crashed.then(() => noteCrash(slot))
    return slot
  }

  /** Once for each. Another takes its place when something waits. */
  function noteCrash(slot: Slot): void {
    if (!slots.includes(slot)) return
    slots = slots.filter((other) => other !== slot)
    crashes += 1
    const guilty = slot.given.find(({ handle }) => handle === slot.host.at)
    if (!slot.hasAnswered) {
      // One that had nothing to do is no sign that the next would end as well, unless it was not the first.
      const isHeld = guilty !== undefined || stillborn > 0
      if (isHeld) startAtMs = performance.now() + Math.min(FIRST_RESTART_MS * 2 ** stillborn, LAST_RESTART_MS)
      stillborn += 1
    }
    slot.placed.clear()
    const end = endCrashed(slot)
    ending.add(end)
    void end.then(() => ending.delete(end))
    onCrash(guilty)
  }

  async function endCrashed({ host }: Slot): Promise<void> {
    try {
      await host.end()
    } catch (error) {
      onWarning(`a thread that crashed did not end: ${reasonOf(error)}`)
    }
  }

  const restMs = (residence: Residence, nowMs: number): number => {
    // What ends is a thread of graphs.
    const mayWait = kindOf(residence) === 'graphs' && slotsFor(residence).length < workers
    return mayWait ? Math.max(0, startAtMs - nowMs) : 0
  }

  return {
    get crashes() {
      return crashes
    },
    all: () => slots,
    for: slotsFor,
    start(residence, nowMs) {
      if (restMs(residence, nowMs) > 0) return
      const missing = workers - slotsFor(residence).length
      const kind = kindOf(residence)
      slots = [...slots, ...Array.from({ length: missing }, () => startOne(kind))]
    },
    restMs,
    noteAnswer(slot) {
      slot.hasAnswered = true
      if (slot.kind === 'graphs') stillborn = 0
    },
    noteCrash,
    async end() {
      const all = slots
      slots = []
      await closeAll([...all.map(({ host }) => host.end()), ...ending])
    },
  }
}

const kindOf = ({ gguf }: Residence): Slot['kind'] => (gguf ? 'ggufs' : 'graphs')
