import { InvalidInputError } from '@x/cid'
import type { PartialFile, PartialStore } from '@x/storage-core'
import { createSlots } from '@x/storage-core/backend'

import type { ByteSource } from './byte-source.ts'
import { ClaimOverError } from './claim.ts'
import { completeHere } from './complete-here.ts'
import { settingsOf, type DownloadOptions, type DownloadSettings } from './download-options.ts'
import { finishFile } from './finish-file.ts'
import { createJudge } from './judge.ts'
import { createLeafPump } from './leaf-pump.ts'
import { openFileRun } from './open-file-run.ts'
import { createProgress } from './progress.ts'
import { broughtFileOf, heldFileOf, receiptOf, type DownloadedFile, type DownloadResult } from './receipt.ts'
import { createSourceState } from './source-state.ts'
import { createTraffic } from './traffic.ts'
import { assertWanted, canBeChecked, keyOfWanted, type WantedFile } from './wanted-file.ts'
import { withPartial } from './with-partial.ts'

const TICK_MS = 100

/**
 * Brings files from several sources at once, each leaf checked before it is recorded, and commits each file to `partials`
 * when it is whole. What an earlier run or another process has recorded is not fetched again. Nothing that is committed is
 * safe for longer than some days: add it to what it belongs to, then call `partials.release()`.
 *
 * A file whose root is known is checked leaf by leaf where a source gives its outboard. Any other one is checked when it is
 * whole; should it not match, it comes again from one source after another, and those that gave it are named.
 *
 * @throws {NotFoundError} No source has one of the files.
 * @throws {IntegrityError} Every source that gave one of the files gave another one.
 * @throws {UnsupportedError} The root of one of the files is none that a profile gives, and no source has its outboard: what
 *   came cannot be checked.
 * @throws {BackendError} No source gives one of the files; it says why each does not.
 * @throws {NoSpaceError} They do not fit in; nothing was fetched, or what was fetched stays for later.
 */
export async function download(
  partials: PartialStore,
  wanted: readonly WantedFile[],
  sources: readonly ByteSource[],
  options: DownloadOptions = {},
): Promise<DownloadResult> {
  options.signal?.throwIfAborted()
  const settings = settingsOf(options)
  for (const file of wanted) assertWanted(file)
  assertDistinct(sources)
  assertAlone(wanted, sources)
  // The same file twice comes once.
  const keys = new Map(wanted.map(keyOfWanted).map((key) => [key.id, key]))
  await partials.assertRoom([...keys.values()], { signal: options.signal })
  return run(partials, wanted, sources, settings)
}

function assertDistinct(sources: readonly ByteSource[]): void {
  const names = new Set<string>()
  for (const { name } of sources) {
    if (names.has(name)) throw new InvalidInputError(`two sources are called ${name}`, { input: name })
    names.add(name)
  }
}

/** Bytes of several sources could be of several files, and nobody would know. */
function assertAlone(wanted: readonly WantedFile[], sources: readonly ByteSource[]): void {
  const unchecked = wanted.find((file) => !canBeChecked(file))
  if (!unchecked || sources.length <= 1) return
  const { path } = unchecked
  throw new InvalidInputError(`${path}: no digest is known, and ${sources.length} sources are named`, { input: path })
}

async function run(
  partials: PartialStore,
  wanted: readonly WantedFile[],
  sources: readonly ByteSource[],
  settings: DownloadSettings,
): Promise<DownloadResult> {
  const { requestsPerSource, stallTimeoutMs, maxBytesPerSecond, filesAtOnce, retries, backoffMs, maxWaitMs } = settings
  const { local, leastLocalBytes, createHasher, onProgress, onEvent } = settings
  const startedMs = performance.now()
  const startedAt = new Date().toISOString()
  const stopping = new AbortController()
  const { signal } = stopping

  const states = sources.map(createSourceState)
  const totalSize = wanted.reduce((sum, { size }) => sum + size, 0)
  const slots = createSlots(filesAtOnce)
  const traffic = createTraffic(totalSize)
  const progress = createProgress({ totalSize, states, traffic, onProgress })
  const judge = createJudge({ retries, backoffMs, maxWaitMs, onEvent })
  const pump = createLeafPump({
    states,
    judge,
    traffic,
    stopping,
    requestsPerSource,
    stallTimeoutMs,
    maxBytesPerSecond,
  })

  /** Resolves when nobody writes any more. */
  const stop = async (reason: unknown): Promise<void> => {
    stopping.abort(reason)
    await pump.idle()
  }

  const bring = (asked: WantedFile): Promise<DownloadedFile> =>
    withPartial(asked, {
      partials,
      slots,
      signal,
      onEvent,
      onHeld: (root) => {
        progress.held(asked.size)
        onEvent?.({ type: 'file-finished', path: asked.path, root })
        return heldFileOf(asked, root)
      },
      onOpen: (partial) => bringMissing(asked, partial),
    })

  const bringMissing = async (asked: WantedFile, partial: PartialFile): Promise<DownloadedFile> => {
    const { path, size } = asked
    const parts = { states, judge, createHasher, signal, onEvent }
    const file = await openFileRun(asked, partial, { ...parts, local, leastLocalBytes, stallTimeoutMs })
    try {
      progress.started(file)
      onEvent?.({ type: 'file-started', path, size, resumedBytes: file.resumedBytes })
      await completeHere(file, { signal, onLeaf: () => progress.tell() })
      const root = await finishFile(file, { ...parts, pump })
      progress.finished(file)
      onEvent?.({ type: 'file-finished', path, root })
      return broughtFileOf(file, root)
    } catch (error) {
      await stop(error)
      throw error
    } finally {
      await file.local?.close()
    }
  }

  const tick = (): void => {
    try {
      pump.tick()
      progress.tell()
    } catch (error) {
      stopping.abort(error)
    }
  }

  const onAbort = (): void => stopping.abort(settings.signal?.reason)
  settings.signal?.addEventListener('abort', onAbort, { once: true })
  // While it was found out whether there is room.
  if (settings.signal?.aborted) onAbort()
  const timer = setInterval(tick, TICK_MS)
  try {
    const results = await Promise.allSettled(
      wanted.map((file) =>
        bring(file).catch((error: unknown) => {
          stopping.abort(error)
          throw error
        }),
      ),
    )
    signal.throwIfAborted()
    progress.tellLast()
    const files = results.flatMap((result) => (result.status === 'fulfilled' ? [result.value] : []))
    const durationMs = performance.now() - startedMs
    return { files, receipt: receiptOf(states, { startedAt, durationMs, duplicateBytes: traffic.duplicateBytes }) }
  } finally {
    clearInterval(timer)
    settings.signal?.removeEventListener('abort', onAbort)
    await stop(new ClaimOverError('the download is over'))
  }
}
