import { decideGates, type Environment, type FeatureName, type Gates, type GateSettings } from '@x/gating'
import {
  createTieredStore,
  GatedError,
  type AbortOptions,
  type ContentSource,
  type StoreStatus,
  type Tier,
  type TieredStore,
  type TieredStoreOptions,
  type TierRole,
  type TierStatus,
} from '@x/storage-core'

import { labelOf, type BackendKind, type BackendSpec } from '../backends/backend-spec.ts'
import { openBackend } from '../backends/open-backend.ts'
import { featureOf } from '../backends/reach.ts'
import type { Storage } from '../open-storage.ts'
import { refuseMissing } from '../required.ts'
import { createLateSource } from './late-source.ts'

export interface ComposedBackend {
  spec: BackendSpec
  /** Default: `near` for a daemon and for peers, `far` for gateways, static folders and buckets. */
  role?: TierRole | undefined
}

export interface ComposeStorageOptions
  extends AbortOptions, Pick<TieredStoreOptions, 'read' | 'populate' | 'breaker' | 'latency' | 'onEvent'> {
  /** Asked by role, `near` first; of one role in the order given. */
  backends: readonly ComposedBackend[]
  /** A Kubo daemon may look for what it does not hold on its network. Default false. */
  search?: boolean | undefined
  /** Longest time without progress of one backend. Milliseconds; default 30_000. */
  stallTimeoutMs?: number | undefined
  /** Hears of what is no error of anybody's call. */
  onWarning?: ((message: string) => void) | undefined
  /** Default `process.env`. */
  environment?: Environment | undefined
  /** Positions of gates; they win over the environment. */
  gates?: GateSettings | undefined
}

/** A backend that was named and is not asked, with the reason of its gate. */
export interface LeftOut {
  name: string
  kind: BackendKind
  reason: string
}

export interface ComposedStorage extends TieredStore {
  readonly local: Storage
  /** Switched off, and so left out. */
  readonly leftOut: readonly LeftOut[]
  /** Probes the local store and every backend, now. */
  probe(options?: AbortOptions): Promise<(StoreStatus & TierStatus)[]>
}

const ROLES: readonly TierRole[] = ['near', 'far', 'origin']

const ROLE_OF: Readonly<Record<BackendKind, TierRole>> = {
  kubo: 'near',
  helia: 'near',
  lan: 'near',
  gateway: 'far',
  static: 'far',
  s3: 'far',
}

/**
 * One storage of the local one and of backends that are asked for what it lacks, as the gates allow. A backend that is not
 * there is no error: it is opened when it is asked, and left alone for a while when that fails. One whose gate is off is left
 * out, with the reason; one whose gate is at `require` has to be there now, and its failure is the failure of what asked it.
 *
 * Unlike a backend that is named for one command, these are configuration, so they are obeyed after the environment. Closing
 * it closes the storage.
 *
 * @throws {GatedError} A gate at `require` has no backend here, or that cannot be opened. `cause` is why.
 * @throws {InvalidSettingError} A variable or option has a value that means nothing.
 * @throws {TypeError} Two backends are the same.
 */
export async function composeStorage(storage: Storage, options: ComposeStorageOptions): Promise<ComposedStorage> {
  const { environment = process.env, gates: given, signal, stallTimeoutMs, search, onWarning } = options
  const gates = decideGates({ environment, options: given })
  refuseMissing(
    gates,
    options.backends.map(({ spec }) => spec.kind),
  )
  const leftOut: LeftOut[] = []
  const tiers: (Tier & { feature: FeatureName })[] = []
  for (const { spec, role = ROLE_OF[spec.kind] } of options.backends) {
    const name = labelOf(spec)
    const feature = featureOf(spec.kind)
    const { position, reason } = gates.features[feature]
    if (position === 'off' || position === 'local') {
      leftOut.push({ name, kind: spec.kind, reason })
      continue
    }
    const local = async (): Promise<Storage> => storage
    const opening = async (): Promise<ContentSource> => {
      const opened = await openBackend(spec, { local, search, stallTimeoutMs, onWarning, environment, gates: given })
      // A store is closed as its source, and so is a peer.
      return { ...(opened.store ?? opened.source), close: () => opened.close() }
    }
    tiers.push({ role, source: createLateSource(name, opening), isRequired: position === 'require', feature })
  }
  const inOrder = ROLES.flatMap((role) => tiers.filter((tier) => tier.role === role))
  const { read, populate, breaker, latency, onEvent } = options
  const composed = createTieredStore(storage, { tiers: inOrder, read, populate, breaker, latency, onEvent })
  try {
    for (const tier of inOrder) if (tier.isRequired) await assertThere(tier, gates, signal)
  } catch (error) {
    // The storage stays its caller's.
    await Promise.allSettled(inOrder.map(({ source }) => source.close()))
    throw error
  }

  return Object.assign(composed, {
    local: storage,
    leftOut,
    async probe(probeOptions: AbortOptions = {}) {
      const [local, ...statuses] = await Promise.all(
        [storage, ...inOrder.map(({ source }) => source)].map((source) => source.status(probeOptions)),
      )
      return [local, ...statuses].flatMap((status, at) => {
        const tier = composed.tiers()[at]
        return status && tier ? { ...status, ...tier } : []
      })
    },
  })
}

async function assertThere(
  { source, feature }: { source: ContentSource; feature: FeatureName },
  { features }: Gates,
  signal: AbortSignal | undefined,
): Promise<void> {
  const { available, reason = '' } = await source.status({ signal })
  if (available) return
  const message = `${feature} is required, and ${source.name} is not there: ${reason}. ${features[feature].reason}`
  throw new GatedError(message, { feature })
}
