import type { DownloadProgress } from './events.ts'
import type { FileRun } from './file-run.ts'
import type { SourceState } from './source-state.ts'
import type { Traffic } from './traffic.ts'

/** Says how far a download is. */
export interface Progress {
  /** It is on its way. */
  started(file: FileRun): void
  /** It is committed. */
  finished(file: FileRun): void
  /** The store has all of it. Bytes. */
  held(size: number): void
  /** Says it, when that was not done just now. */
  tell(): void
  /** Says it once more. */
  tellLast(): void
}

export interface ProgressOptions {
  /** Of what is wanted. Bytes. */
  totalSize: number
  states: readonly SourceState[]
  traffic: Traffic
  onProgress: ((progress: DownloadProgress) => void) | undefined
}

const EVERY_MS = 200

export function createProgress({ totalSize, states, traffic, onProgress }: ProgressOptions): Progress {
  const onTheirWay = new Set<FileRun>()
  let finishedBytes = 0
  let toldAt = 0

  const told = (now: number): DownloadProgress => {
    const loaded = [...onTheirWay].reduce((sum, file) => sum + file.doneBytes, finishedBytes)
    const { bytesPerSecond } = traffic
    return {
      total: {
        size: totalSize,
        loaded,
        bytesPerSecond,
        secondsLeft: loaded === totalSize ? 0 : bytesPerSecond > 0 ? (totalSize - loaded) / bytesPerSecond : undefined,
      },
      files: Array.from(onTheirWay, ({ wanted: { path, size }, doneBytes }) => ({ path, size, loaded: doneBytes })),
      sources: states.map((state) => ({
        name: state.name,
        loaded: state.bytes,
        bytesPerSecond: state.meter.bytesPerSecond() ?? 0,
        requests: state.active,
        failures: state.failures,
        state: state.out ? 'out' : state.active > 0 ? 'active' : now < state.notBefore ? 'waiting' : 'idle',
      })),
    }
  }

  const tellAt = (now: number): void => {
    toldAt = now
    onProgress?.(told(now))
  }

  return {
    started: (file) => onTheirWay.add(file),
    finished: (file) => {
      onTheirWay.delete(file)
      finishedBytes += file.wanted.size
    },
    held: (size) => (finishedBytes += size),
    tell: () => {
      const now = performance.now()
      if (onProgress && now - toldAt >= EVERY_MS) tellAt(now)
    },
    tellLast: () => {
      if (onProgress) tellAt(performance.now())
    },
  }
}
