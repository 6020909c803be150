import { signal, type ReadonlySignal } from '@preact/signals'

/** One model that is on its way into the storage. */
export interface Addition {
  id: number
  /** What a person calls it. */
  title: string
  progress: AdditionProgress
  /** It ended so. `undefined`: it goes on. */
  outcome: { kind: 'added'; cid: string } | { kind: 'failed'; error: unknown } | { kind: 'stopped' } | undefined
  stop: () => void
  /** The same once more, after it has ended without success. */
  retry: () => void
}

export interface AdditionProgress {
  /** What happens now, for a person. */
  phase: string
  /** Bytes that are here and verified. */
  loaded: number
  /** Bytes of all files; `undefined`: not known yet. */
  total: number | undefined
  bytesPerSecond: number | undefined
  leftMs: number | undefined
  files: readonly { path: string; loaded: number; size: number | undefined }[]
  sources: readonly { name: string; bytesPerSecond: number | undefined; bytes: number; note: string | undefined }[]
}

export interface AdditionTask {
  signal: AbortSignal
  report: (progress: AdditionProgress) => void
}

const running = signal<readonly Addition[]>([])
export const additions: ReadonlySignal<readonly Addition[]> = running

let lastId = 0

const NOTHING_YET: AdditionProgress = {
  phase: 'Starting',
  loaded: 0,
  total: undefined,
  bytesPerSecond: undefined,
  leftMs: undefined,
  files: [],
  sources: [],
}

/**
 * Runs one, and lists it until it was added or dismissed.
 *
 * @param work - Resolves to the model's CID.
 * @param after - Called when it was added, before it is listed as such.
 */
export function startAddition(
  title: string,
  work: (task: AdditionTask) => Promise<string>,
  after: () => Promise<void>,
): void {
  const id = ++lastId
  const change = (part: Partial<Addition>): void => {
    running.value = running.value.map((one) => (one.id === id ? { ...one, ...part } : one))
  }
  const begin = async (controller: AbortController): Promise<void> => {
    try {
      const cid = await work({ signal: controller.signal, report: coalesced((progress) => change({ progress })) })
      await after()
      change({ outcome: { kind: 'added', cid } })
    } catch (error) {
      change({ outcome: controller.signal.aborted ? { kind: 'stopped' } : { kind: 'failed', error } })
    }
  }
  const fresh = (): Addition => {
    const controller = new AbortController()
    void begin(controller)
    return {
      id,
      title,
      progress: NOTHING_YET,
      outcome: undefined,
      stop: () => controller.abort(),
      retry: () => change(fresh()),
    }
  }
  running.value = [...running.value, fresh()]
}

export function dismiss(id: number): void {
  running.value = running.value.filter((one) => one.id !== id)
}

/** At most one call for each picture that the screen shows, with the newest. */
function coalesced<T>(take: (value: T) => void): (value: T) => void {
  let waiting: { value: T } | undefined
  return (value) => {
    if (!waiting) {
      requestAnimationFrame(() => {
        if (waiting) take(waiting.value)
        waiting = undefined
      })
    }
    waiting = { value }
  }
}
