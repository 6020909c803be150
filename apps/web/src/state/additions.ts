import { signal, type ReadonlySignal } from '@preact/signals'

/** One model that is on its way into the storage. */
export interface Addition {
  id: number
  key: string | undefined
  /** What a person calls it. */
  title: string
  progress: AdditionProgress
  /** It ended so. `undefined`: it goes on. */
  outcome: Outcome | undefined
  stop: () => void
  /** The same once more, after it has ended without success. */
  retry: () => void
  /** It is listed no more. */
  dismiss: () => void
}

/** `interrupted`: the page was closed or killed while it went on. */
type Outcome =
  | { kind: 'added'; cid: string }
  | { kind: 'failed'; error: unknown }
  | { kind: 'stopped' }
  | { kind: 'interrupted' }

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
  /** What was wrong with a source, for a person; the newest of each. */
  problems: readonly SourceProblem[]
}

export interface SourceProblem {
  source: string
  text: string
}

export interface AdditionOptions {
  /** What is added, where it can be gone on with: it is listed as interrupted no more once it begins again. */
  key?: string | undefined
  title: string
  /** Resolves to the model's CID. */
  work: (task: AdditionTask) => Promise<string>
  /** Called when it was added, before it is listed as such. */
  after: () => Promise<void>
  /** Called when it is listed no more. */
  dismissed?: (() => Promise<void>) | undefined
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
  problems: [],
}

/** Runs one, and lists it until it is dismissed. */
export function startAddition(options: AdditionOptions): void {
  const { key } = options
  const isStale = ({ outcome, ...one }: Addition): boolean => outcome?.kind === 'interrupted' && one.key === key
  if (key !== undefined) running.value = running.value.filter((one) => !isStale(one))
  list(options, undefined, NOTHING_YET).retry()
}

/** Lists one that was interrupted, for the user to go on with. */
export function listInterrupted(
  options: AdditionOptions,
  { loaded, total }: Pick<AdditionProgress, 'loaded' | 'total'>,
): void {
  list(options, { kind: 'interrupted' }, { ...NOTHING_YET, loaded, total })
}

function list(
  { key, title, work, after, dismissed }: AdditionOptions,
  outcome: Outcome | undefined,
  progress: AdditionProgress,
): Addition {
  const id = ++lastId
  let controller = new AbortController()
  const change = (part: Partial<Addition>): void => {
    running.value = running.value.map((one) => (one.id === id ? { ...one, ...part } : one))
  }
  const run = async (stopped: AbortSignal): Promise<Outcome> => {
    try {
      const cid = await work({ signal: stopped, report: coalesced((reported) => change({ progress: reported })) })
      await after()
      return { kind: 'added', cid }
    } catch (error) {
      return stopped.aborted ? { kind: 'stopped' } : { kind: 'failed', error }
    }
  }
  const addition: Addition = {
    id,
    key,
    title,
    progress,
    outcome,
    stop: () => controller.abort(),
    retry() {
      controller = new AbortController()
      change({ outcome: undefined, progress: NOTHING_YET })
      void run(controller.signal).then((ended) => change({ outcome: ended }))
    },
    dismiss() {
      running.value = running.value.filter((one) => one.id !== id)
      dismissed?.().catch((error: unknown) => {
        running.value = [...running.value, { ...addition, outcome: { kind: 'failed', error } }]
      })
    },
  }
  running.value = [...running.value, addition]
  return addition
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
