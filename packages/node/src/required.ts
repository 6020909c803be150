import type { CID } from '@x/cid'
import {
  decideGates,
  FEATURE_NAMES,
  type Environment,
  type FeatureName,
  type Gates,
  type GateSettings,
} from '@x/gating'
import { GatedError, isStorageError, type AbortOptions } from '@x/storage-core'
import { linkedController } from '@x/storage-core/backend'

import type { BackendKind } from './backends/backend-spec.ts'
import type { Backend } from './backends/open-backend.ts'
import { featureOf } from './backends/reach.ts'

/** What has something behind its gate so far. */
export const IMPLEMENTED: ReadonlySet<FeatureName> = new Set([
  'network',
  'kubo',
  'helia',
  'gateway',
  's3',
  'lan',
  'hub',
  'patch',
])

/** Gates of what is no backend of a storage: what they require is required where it is used. */
const NOT_STORAGE: ReadonlySet<FeatureName> = new Set(['network', 'hub', 'patch', 'remote-inference'])

/** @throws {GatedError} A gate requires a backend that is none of these. */
export function refuseMissing({ features }: Gates, kinds: readonly BackendKind[]): void {
  const there = new Set(kinds.map(featureOf))
  for (const feature of FEATURE_NAMES) {
    const { position, reason } = features[feature]
    if (position !== 'require' || NOT_STORAGE.has(feature) || there.has(feature)) continue
    const why = IMPLEMENTED.has(feature) ? 'none was named' : 'this version has no such backend'
    throw new GatedError(`${feature} is required, and ${why}. ${reason}`, { feature })
  }
}

export interface RequiredOptions {
  /** Default `process.env`. */
  environment?: Environment | undefined
  /** Positions of gates; they win over the environment. */
  gates?: GateSettings | undefined
}

/**
 * For who opens backends before a storage, or without one: what `openStorage` refuses.
 *
 * @param kinds - Of the backends that will be opened.
 * @throws {GatedError} A gate requires a backend that is none of these.
 * @throws {InvalidSettingError} A variable or option has a value that means nothing.
 */
export function assertRequired(
  kinds: readonly BackendKind[],
  { environment = process.env, gates }: RequiredOptions = {},
): void {
  refuseMissing(decideGates({ environment, options: gates }), kinds)
}

/**
 * For who goes on without a backend that failed.
 *
 * @param left - Kinds of those that can still do its work.
 * @throws {GatedError} Its gate is at `require`, and none of those that are left is behind it. `cause` is the failure.
 */
export function assertMayGoOn(
  { kind, error }: { kind: BackendKind; error: unknown },
  left: readonly BackendKind[],
  { environment = process.env, gates }: RequiredOptions = {},
): void {
  const feature = featureOf(kind)
  const { position, reason } = decideGates({ environment, options: gates }).features[feature]
  if (position !== 'require' || left.some((other) => featureOf(other) === feature)) return
  throw new GatedError(`${feature} is required, and failed: ${messageOf(error)}. ${reason}`, { feature, cause: error })
}

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error))

/**
 * For who is about to ask several backends at once and to take what comes first, and so would never hear of one that is dead
 * or slow: behind each gate at `require` one has to give a block before the others are of any use. One that lacks it has failed.
 *
 * @throws {GatedError} None behind a gate at `require` gives it, or none was named. `cause` is what each said.
 */
export async function assertRequiredGive(
  backends: readonly Backend[],
  cid: CID,
  { environment = process.env, gates, signal }: RequiredOptions & AbortOptions = {},
): Promise<void> {
  const decided = decideGates({ environment, options: gates })
  const kinds = backends.map(({ kind }) => kind)
  refuseMissing(decided, kinds)
  const required = new Set(kinds.map(featureOf).filter((each) => decided.features[each].position === 'require'))
  const { controller, release } = linkedController(signal)

  async function oneGives(feature: FeatureName): Promise<void> {
    const behind = backends.filter(({ kind }) => featureOf(kind) === feature)
    const asked = behind.map(async ({ store, source }) =>
      (store ?? source).blocks.get(cid, { signal: controller.signal }),
    )
    try {
      await Promise.any(asked)
    } catch (cause) {
      signal?.throwIfAborted()
      if (!(cause instanceof AggregateError)) throw cause
      for (const error of cause.errors) if (!isStorageError(error)) throw error
      const said = behind.map(({ label }, at) => `${label}: ${messageOf(cause.errors[at])}`).join('; ')
      const { reason } = decided.features[feature]
      throw new GatedError(`${feature} is required, and failed: ${said}. ${reason}`, { feature, cause })
    }
  }

  try {
    await Promise.all([...required].map(oneGives))
  } finally {
    release()
    controller.abort()
  }
}

/** For work that asks several backends at once, and goes on without those that fail. */
export interface RequiredWatch {
  /** Aborts with the `GatedError` of `assertMayGoOn`, or as the one that was given. */
  signal: AbortSignal
  /** A backend does not give what it was asked for; what is none of them is no matter. */
  lose: (label: string, error: unknown) => void
  /** The work is over. */
  release: () => void
}

export function watchRequired(
  backends: readonly { label: string; kind: BackendKind }[],
  { signal, ...options }: RequiredOptions & AbortOptions = {},
): RequiredWatch {
  const { controller, release } = linkedController(signal)
  const left = new Map(backends.map(({ label, kind }) => [label, kind]))
  return {
    signal: controller.signal,
    release,
    lose(label, error) {
      const kind = left.get(label)
      if (kind === undefined) return
      left.delete(label)
      try {
        assertMayGoOn({ kind, error }, [...left.values()], options)
      } catch (refusal) {
        controller.abort(refusal)
      }
    },
  }
}
