import { InvalidInputError, type CID, type IntegrityError } from '@x/cid'
import { type PartialFile, type PartialStore } from '@x/storage-core'

import type { ByteSource } from './byte-source.ts'
import { ClaimOverError } from './claim.ts'
import { noSource, wrongFile } from './download-errors.ts'
import { settingsOf, type DownloadOptions } from './download-options.ts'
import { BadLeafError, createFileRun, OwnMediumError, type FileRun } from './file-run.ts'
import { createJudge } from './judge.ts'
import { planOfOutboard, planOfSize } from './leaf-plan.ts'
import { createLeafPump } from './leaf-pump.ts'
import { findLocalRanges } from './local-ranges.ts'
import { findOutboard, outboardOfWhole } from './outboards.ts'
import { createProgress } from './progress.ts'
import { broughtFileOf, heldFileOf, receiptOf, type DownloadedFile, type DownloadResult } from './receipt.ts'
import { createSlots } from './slots.ts'
import { createSourceState, type SourceState } from './source-state.ts'
import { createTraffic } from './traffic.ts'
import { assertWanted, keyOfWanted, wholeDigestOf, type WantedFile } from './wanted-file.ts'
import { createWholeCheck, type WholeCheck } from './whole-digest.ts'

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
  for (const file of wanted) assertWanted(file)
  assertDistinct(sources)
  // The same file twice comes once.
  const keys = new Map(wanted.map(keyOfWanted).map((key) => [key.id, key]))
  await partials.assertRoom([...keys.values()], { signal: options.signal })
  return createDownload(partials, wanted, sources, options).run()
}

function assertDistinct(sources: readonly ByteSource[]): void {
  const names = new Set<string>()
  for (const { name } of sources) {
    if (names.has(name)) throw new InvalidInputError(`two sources are called ${name}`, { input: name })
    names.add(name)
  }
}

function createDownload(
  partials: PartialStore,
  wanted: readonly WantedFile[],
  sources: readonly ByteSource[],
  options: DownloadOptions,
): { run: () => Promise<DownloadResult> } {
  const settings = settingsOf(options)
  const { local, onProgress, onEvent, stallTimeoutMs, leastLocalBytes, createHasher } = settings
  const started = performance.now()
  const startedAt = new Date().toISOString()
  const stopping = new AbortController()
  const { signal } = stopping
  const states = sources.map(createSourceState)
  const totalSize = wanted.reduce((sum, { size }) => sum + size, 0)
  const slots = createSlots(settings.filesAtOnce)
  const traffic = createTraffic(totalSize)
  const progress = createProgress({ totalSize, states, traffic, onProgress })
  const judge = createJudge(settings)
  const pump = createLeafPump({ ...settings, states, judge, traffic, stopping })

  const onLiar = (state: SourceState, error: IntegrityError): void => judge.ban(state, error)

  /** What is here. */
  const copyLocal = async (file: FileRun): Promise<void> => {
    const { plan, local: ranges } = file
    if (!ranges) return
    for (const leaf of file.localLeaves()) {
      signal.throwIfAborted()
      const { offset, length } = plan.place(leaf)
      const fill = file.takeFill(leaf)
      const isRead = ranges.covers(offset, length) && (await ranges.read(offset, fill.bytes, { signal }))
      if (isRead) {
        await file
          .complete({ ...fill, filled: length, parts: [{ end: length, by: 'local' }] })
          .catch((error: unknown) => {
            if (error instanceof OwnMediumError) throw error.cause
            // It is fetched instead.
            if (!(error instanceof BadLeafError)) throw error
          })
      }
      file.releaseLocal(leaf)
      progress.tell()
    }
  }

  /** All of a file, once it is here. */
  const finish = async (file: FileRun): Promise<CID> => {
    const { plan, partial, wanted: asked } = file
    const tried = new Set<SourceState>()
    for (;;) {
      await pump.fetchMissing(file)
      if (file.isWhole()) {
        const isRight = (await file.matchesWhole()) ?? true
        const digests = file.leafDigests()
        const outboard =
          plan.outboard ?? (isRight ? await outboardOfWhole(asked, { partial, digests, signal }) : undefined)
        if (isRight && outboard) {
          await partial.commit(outboard, { signal })
          return outboard.root
        }
      }
      await blame(file, tried)
    }
  }

  /** The whole file did not match, or its only source failed: it comes again from one source alone. */
  const blame = async (file: FileRun, tried: Set<SourceState>): Promise<void> => {
    const { wanted: asked } = file
    const givers = [...file.given.keys()]
    const [only] = givers
    const isClear = givers.length === 1 && file.resumedBytes === 0 && file.localBytes === 0
    if (file.isWhole()) {
      const error = wrongFile(asked)
      for (const giver of givers) file.suspects.add(giver)
      if (only && isClear) judge.ban(only, error)
      onEvent?.({ type: 'file-restarted', path: asked.path, suspects: givers.map(({ name }) => name) })
    }
    if (file.only) tried.add(file.only)
    await file.startAgain(newWholeCheck(asked))
    file.local?.distrust(0, asked.size)
    const next = states.find((state) => !state.out && !file.refusals.has(state) && !tried.has(state))
    if (!next) throw [...file.suspects].length > 0 ? wrongFile(asked, file.suspects) : noSource(file, states)
    file.only = next
  }

  const newWholeCheck = (asked: WantedFile): WholeCheck | undefined => {
    const digest = wholeDigestOf(asked)
    return digest && createWholeCheck(digest, asked.size, createHasher)
  }

  const openRun = async (asked: WantedFile, partial: PartialFile): Promise<FileRun> => {
    const outboard = await findOutboard(asked, states, {
      signal,
      stallTimeoutMs,
      onLiar,
      onFailure: (state, error) => onEvent?.({ type: 'request-failed', source: state.name, path: asked.path, error }),
    })
    const plan = outboard ? planOfOutboard(outboard) : planOfSize(asked.size)
    const whole = outboard ? undefined : newWholeCheck(asked)
    const isThere = new Set(partial.spans.map(({ offset }) => offset))
    const ranges =
      local &&
      (await findLocalRanges(asked, {
        local,
        plan,
        leastLocalBytes,
        createHasher,
        signal,
        isDone: (leaf) => isThere.has(plan.place(leaf).offset),
      }))
    return createFileRun(asked, { plan, partial, whole, local: ranges, onLiar })
  }

  const bring = async (asked: WantedFile): Promise<DownloadedFile> => {
    const { path, size } = asked
    await slots.enter(signal)
    let hasSlot = true
    try {
      const opened = await partials.open(keyOfWanted(asked), {
        signal,
        onWaiting: (recordedBytes) => {
          onEvent?.({ type: 'file-waiting', path, recordedBytes })
          // Who waits for another process keeps nobody else waiting.
          if (hasSlot) slots.leave()
          hasSlot = false
        },
      })
      if ('held' in opened) {
        progress.held(size)
        onEvent?.({ type: 'file-finished', path, root: opened.held })
        return heldFileOf(asked, opened.held)
      }
      try {
        const file = await openRun(asked, opened)
        progress.started(file)
        const { resumedBytes } = file
        onEvent?.({ type: 'file-started', path, size, resumedBytes })
        await bringEmpty(file)
        await copyLocal(file)
        const root = await finish(file)
        progress.finished(file)
        onEvent?.({ type: 'file-finished', path, root })
        return broughtFileOf(file, root)
      } catch (error) {
        // Nobody may write any more when it is closed.
        stopping.abort(error)
        await pump.idle()
        throw error
      } finally {
        await opened.close()
      }
    } finally {
      if (hasSlot) slots.leave()
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

  return {
    run: async () => {
      const onAbort = (): void => stopping.abort(options.signal?.reason)
      options.signal?.addEventListener('abort', onAbort, { once: true })
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
        const done = results.flatMap((result) => (result.status === 'fulfilled' ? [result.value] : []))
        const durationMs = performance.now() - started
        return {
          files: done,
          receipt: receiptOf(states, { startedAt, durationMs, duplicateBytes: traffic.duplicateBytes }),
        }
      } finally {
        clearInterval(timer)
        options.signal?.removeEventListener('abort', onAbort)
        stopping.abort(new ClaimOverError('the download is over'))
        await pump.idle()
      }
    },
  }
}

async function bringEmpty(file: FileRun): Promise<void> {
  if (file.wanted.size > 0 || file.isWhole()) return
  await file.complete({ leaf: 0, bytes: new Uint8Array(), filled: 0, parts: [] }).catch((error: unknown) => {
    if (error instanceof OwnMediumError) throw error.cause
    throw wrongFile(file.wanted)
  })
}
