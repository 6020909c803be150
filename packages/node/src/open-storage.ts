import path from 'node:path'

import { openFsStore, type FsStore } from '@x/backend-fs'
import { parseCid, type CID } from '@x/cid'
import {
  decideGates,
  FEATURE_NAMES,
  withConfiguredGates,
  type CiDecision,
  type ConfiguredGates,
  type Environment,
  type GateDecision,
  type Gates,
  type GateSettings,
} from '@x/gating'
import { BackendError, type AbortOptions, type GcOptions, type GcResult, type StoreStatus } from '@x/storage-core'

import type { BackendKind } from './backends/backend-spec.ts'
import { codeOf } from './code-of.ts'
import { dataDirectory } from './data-directory.ts'
import { IMPLEMENTED, refuseMissing } from './required.ts'

export interface OpenStorageOptions {
  /** Where the local store is. Default: `IPFS_ACCELERATE_CACHE_DIR`, else the platform's directory for data. */
  directory?: string | undefined
  /** Make the store when there is none. Default true. */
  create?: boolean | undefined
  /**
   * How much the local store may take. To stay below it an `add` removes roots that are neither pinned nor named, the
   * longest unused first, and is refused (`NO_SPACE`) when that is not enough. Bytes. Default: no limit.
   */
  maxBytes?: number | undefined
  /** Stops the opening. */
  signal?: AbortSignal | undefined
  /** Hears of what the local store did or left out without being asked. Default: nobody does. */
  onWarning?: ((message: string) => void) | undefined
  /** Default `process.env`. */
  environment?: Environment | undefined
  /** Positions of gates; they win over the environment. */
  gates?: GateSettings | undefined
  /** What a configuration file says of gates, as `loadConfiguration` of @x/configuration has it; the environment wins over it. */
  configuration?: { readonly gates: ConfiguredGates | undefined } | undefined
  /** Backends that the program opens beside it, with `openBackend`: a gate that requires one of them is content. */
  beside?: readonly BackendKind[] | undefined
}

/** What was probed just now, and where every switch stands. */
export interface StorageReport {
  backends: StoreStatus[]
  gates: GateReport[]
  ci: CiDecision
  /** Variables that look like a misspelt switch. */
  warnings: readonly string[]
}

export interface GateReport extends GateDecision {
  /** Whether this version has anything behind the switch. */
  implemented: boolean
}

export interface StorageGcResult extends GcResult {
  /**
   * Why what sessions derived was not looked through to its end; `onWarning` hears of it too. The rest is what the store
   * collected, and counts no derived file then.
   */
  derivedError?: BackendError | undefined
}

/**
 * The store that a program works with: a `ContentStore` with paths on disk, `add` with a `mode`, `rebuild`, and why it is
 * composed as it is.
 */
export interface Storage extends FsStore {
  readonly directory: string
  readonly gates: Gates
  /** Also removes what sessions derived from models that are not in the store any more; a dry run counts it. */
  gc(options?: GcOptions): Promise<StorageGcResult>
  describe(options?: AbortOptions): Promise<StorageReport>
}

/**
 * Opens the local store. A gate that requires another backend is refused unless the program opens that beside it, for what
 * is required is never left out silently.
 *
 * @throws {GatedError} A gate requires a backend that is not there.
 * @throws {InvalidSettingError} A variable or option has a value that means nothing.
 * @throws {NotFoundError} There is no store, and `create` is false.
 * @throws As `openFsStore`.
 */
export async function openStorage(options: OpenStorageOptions = {}): Promise<Storage> {
  const given = options.environment ?? process.env
  const environment = options.configuration ? withConfiguredGates(given, options.configuration.gates) : given
  const gates = decideGates({ environment, options: options.gates })
  refuseMissing(gates, options.beside ?? [])
  const directory = path.resolve(options.directory ?? dataDirectory(environment, process.platform))
  const { create, maxBytes, signal, onWarning } = options
  const store = await openFsStore({ directory, create, maxBytes, signal, onWarning })
  const collect = store.gc.bind(store)
  return Object.assign(store, {
    directory,
    gates,
    async gc(gcOptions: GcOptions = {}): Promise<StorageGcResult> {
      const { createDerivedArea, DERIVED } = await import('./sessions/derived-area.ts')
      const derived = createDerivedArea(path.join(directory, DERIVED))
      const isHeld = async (root: string): Promise<boolean> =>
        isCid(root) && store.has(parseCid(root), { signal: gcOptions.signal })
      // What the store says stands, whatever becomes of the derived files.
      const beside = async (result: GcResult, derivedBytes: () => Promise<number>): Promise<StorageGcResult> => {
        try {
          return { ...result, freedBytes: result.freedBytes + (await derivedBytes()) }
        } catch (cause) {
          gcOptions.signal?.throwIfAborted()
          if (!(cause instanceof Error) || codeOf(cause) === undefined) throw cause
          const message = `what sessions derived was not looked through to its end: ${cause.message}`
          onWarning?.(message)
          return { ...result, derivedError: new BackendError(message, { cause, retryable: false }) }
        }
      }
      if (gcOptions.dryRun) {
        let isKept: ((root: CID) => boolean) | undefined
        const planned = await collect({ ...gcOptions, onMarked: (isMarked) => void (isKept = isMarked) })
        return beside(planned, () =>
          derived.bytesWithout(async (root) => (await isHeld(root)) && isKept?.(parseCid(root)) !== false),
        )
      }
      // A second name of a file of the store takes nothing, until the store's own is gone.
      const [before] = await Promise.allSettled([derived.bytes()])
      const result = await collect(gcOptions)
      return beside(result, async () => {
        if (before.status === 'rejected') throw before.reason
        await derived.retain(isHeld)
        return Math.max(0, before.value - (await derived.bytes()))
      })
    },
    describe: async (describeOptions: AbortOptions = {}): Promise<StorageReport> => ({
      backends: [await store.status(describeOptions)],
      gates: FEATURE_NAMES.map((feature) => ({
        ...gates.features[feature],
        implemented: IMPLEMENTED.has(feature),
      })),
      ci: gates.ci,
      warnings: gates.warnings,
    }),
  })
}

function isCid(text: string): boolean {
  try {
    parseCid(text)
    return true
  } catch {
    return false
  }
}
