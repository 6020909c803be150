import path from 'node:path'

import { decideGates, type Environment, type FeatureName, type Gates, type GateSettings } from '@x/gating'
import {
  createReplicatedStore,
  createReplicator,
  createStoreTarget,
  createTieredStore,
  GatedError,
  UnsupportedError,
  type AbortOptions,
  type ContentSource,
  type CopyPolicy,
  type Outbox,
  type ReplicatedStore,
  type Replicator,
  type ReplicatorEvent,
  type ReplicatorOptions,
  type ReplicaTarget,
  type StoreStatus,
  type Tier,
  type TieredStore,
  type TieredStoreOptions,
  type TierRole,
  type TierStatus,
  type WritePolicy,
} from '@x/storage-core'

import { labelOf, type BackendKind, type BackendSpec } from '../backends/backend-spec.ts'
import { KUBO_AUTH_VARIABLE } from '../backends/kubo-auth.ts'
import { bucketAt, openBackend, type Backend } from '../backends/open-backend.ts'
import { featureOf } from '../backends/reach.ts'
import type { Storage } from '../open-storage.ts'
import { openOutbox } from '../outbox/open-outbox.ts'
import { refuseMissing } from '../required.ts'
import { openBucketTarget } from '../s3/open-bucket.ts'
import { createLateSource } from './late-source.ts'
import { createLateTarget } from './late-target.ts'
import { createLate, type Late } from './late.ts'

export interface ComposedBackend {
  spec: BackendSpec
  /** What it is called in receipts, the outbox and messages. Default: `labelOf(spec)`. What is owed is owed to that name. */
  name?: string | undefined
  /** Default: `near` for a daemon and for peers, `far` for gateways, static folders and buckets. */
  role?: TierRole | undefined
  /** When it gets what is written. Default `never`. */
  write?: WritePolicy | undefined
  /** As with its gate at `require`. Default false. */
  isRequired?: boolean | undefined
  /** Longest time without progress. Milliseconds; default: that of all. */
  stallTimeoutMs?: number | undefined
  /** What a Kubo daemon is asked with, as `IPFS_ACCELERATE_KUBO_AUTH` has it; asked for when it is opened. Default: the variable. */
  auth?: (() => Promise<string | undefined>) | undefined
}

export interface ComposeStorageOptions
  extends AbortOptions, Pick<TieredStoreOptions, 'read' | 'populate' | 'breaker' | 'latency' | 'onEvent'> {
  /** Asked by role, `near` first; of one role in the order given. */
  backends: readonly ComposedBackend[]
  /** A Kubo daemon may look for what it does not hold on its network. Default false. */
  search?: boolean | undefined
  /** Longest time without progress of one backend. Milliseconds; default 30_000. */
  stallTimeoutMs?: number | undefined
  /** How copies are made, where a backend gets any. */
  copies?: Pick<ReplicatorOptions, 'atOnce' | 'retryMs' | 'mostRetryMs' | 'leaves' | 'leaseMs'> | undefined
  onCopy?: ((event: ReplicatorEvent) => void) | undefined
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

/** What is owed to backends, and who brings it. */
export interface Copies extends Pick<ReplicatedStore, 'copyTo' | 'removeEverywhere'>, Pick<Replicator, 'drained'> {
  readonly outbox: Outbox
  readonly targets: readonly ReplicaTarget[]
  /** Tries again now what waits or was given up. Resolves to how many entries. */
  retry(filter?: { target?: string | undefined }): Promise<number>
}

export interface ComposedStorage extends TieredStore {
  readonly local: Storage
  /** `undefined` where no backend gets copies. */
  readonly copies: Copies | undefined
  /** Switched off, and so left out. */
  readonly leftOut: readonly LeftOut[]
  /** Probes the local store and every backend, now. */
  probe(options?: AbortOptions): Promise<(StoreStatus & TierStatus)[]>
}

const TAKES_COPIES: ReadonlySet<BackendKind> = new Set(['kubo', 's3'])

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
 * @throws {UnsupportedError} Copies are to be made where that cannot be done.
 * @throws {TypeError} Two backends are the same.
 */
export async function composeStorage(storage: Storage, options: ComposeStorageOptions): Promise<ComposedStorage> {
  const { environment = process.env, gates: given, signal, search, onWarning } = options
  const gates = decideGates({ environment, options: given })
  refuseMissing(
    gates,
    options.backends.map(({ spec }) => spec.kind),
  )
  const leftOut: LeftOut[] = []
  const tiers: (Tier & { feature: FeatureName })[] = []
  const policies: CopyPolicy[] = []
  const lates: Pick<Late<unknown>, 'close'>[] = []
  for (const backend of options.backends) {
    const { spec, name = labelOf(spec), role = ROLE_OF[spec.kind], write = 'never', auth } = backend
    const { stallTimeoutMs = options.stallTimeoutMs } = backend
    const feature = featureOf(spec.kind)
    const { position, reason } = gates.features[feature]
    if (write !== 'never' && !TAKES_COPIES.has(spec.kind)) {
      const takers = [...TAKES_COPIES].join(' and ')
      throw new UnsupportedError(`${name} can be read, and takes no copies: write ${write} is for ${takers}`)
    }
    if (position === 'off' || position === 'local') {
      leftOut.push({ name, kind: spec.kind, reason })
      continue
    }
    const isRequired = position === 'require' || backend.isRequired === true
    const local = async (): Promise<Storage> => storage
    const late = createLate(name, async () => {
      const asked = await auth?.()
      const withAuth = asked === undefined ? environment : { ...environment, [KUBO_AUTH_VARIABLE]: asked }
      return openBackend(spec, { local, search, stallTimeoutMs, onWarning, environment: withAuth, gates: given })
    })
    const source = createLateSource(late, (opened) => opened.store ?? opened.source)
    lates.push(late)
    tiers.push({ role, source, isRequired, feature })
    if (!TAKES_COPIES.has(spec.kind)) continue
    const lateTarget = createLate(name, async () => {
      if (spec.kind !== 's3') return targetOf(name, await late.open())
      const where = { ...bucketAt(spec.addresses[0] ?? ''), name }
      return openBucketTarget(where, { environment, gates: given, stallTimeoutMs })
    })
    lates.push(lateTarget)
    policies.push({ target: createLateTarget(lateTarget, source), write, isRequired, feature })
  }
  const inOrder = ROLES.flatMap((role) => tiers.filter((tier) => tier.role === role))
  const { read, populate, breaker, latency, onEvent } = options
  const tiered = createTieredStore(storage, { tiers: inOrder, read, populate, breaker, latency, onEvent })
  try {
    for (const tier of inOrder) if (tier.isRequired) await assertThere(tier, gates, signal)
    const isCopied = policies.some(({ write }) => write !== 'never')
    const copying = isCopied ? await openCopies(storage, tiered, policies, options) : undefined
    return {
      ...tiered,
      ...copying?.store,
      local: storage,
      copies: copying?.copies,
      leftOut,
      async probe(probeOptions: AbortOptions = {}) {
        const [local, ...statuses] = await Promise.all(
          [storage, ...inOrder.map(({ source }) => source)].map((source) => source.status(probeOptions)),
        )
        return [local, ...statuses].flatMap((status, at) => {
          const tier = tiered.tiers()[at]
          return status && tier ? { ...status, ...tier } : []
        })
      },
      async close() {
        await copying?.close()
        await Promise.allSettled(policies.map(({ target }) => target.close()))
        await tiered.close()
      },
    }
  } catch (error) {
    // The storage stays its caller's.
    await Promise.allSettled(lates.map((late) => late.close()))
    throw error
  }
}

/** Closed with the backend. */
const targetOf = (name: string, { store }: Backend): ReplicaTarget => {
  if (!store) throw new UnsupportedError(`${name} can be read, and takes no copies`)
  return { ...createStoreTarget(store, { name }), close: async () => undefined }
}

interface Copying {
  store: ReplicatedStore
  copies: Copies
  close(): Promise<void>
}

/** What is owed lies beside the store's index. */
async function openCopies(
  storage: Storage,
  tiered: TieredStore,
  policies: readonly CopyPolicy[],
  { copies: settings = {}, onCopy, onWarning }: ComposeStorageOptions,
): Promise<Copying> {
  const outbox = await openOutbox({ path: path.join(storage.directory, 'outbox.sqlite'), onWarning })
  const targets = policies.map(({ target }) => target)
  const replicator = createReplicator({
    ...settings,
    local: storage,
    targets,
    outbox,
    onEvent: onCopy,
    onError: (error) => onWarning?.(`the outbox fails: ${error instanceof Error ? error.message : String(error)}`),
  })
  const store = createReplicatedStore(tiered, { policies, replicator })
  return {
    store,
    copies: {
      outbox,
      targets,
      copyTo: (root, to, copyOptions) => store.copyTo(root, to, copyOptions),
      removeEverywhere: (root) => store.removeEverywhere(root),
      drained: (drainOptions) => replicator.drained(drainOptions),
      async retry(filter = {}) {
        const count = await outbox.retry(filter, Date.now())
        replicator.wake()
        return count
      },
    },
    async close() {
      await replicator.close()
      await outbox.close()
    },
  }
}

async function assertThere(
  { source, feature }: { source: ContentSource; feature: FeatureName },
  { features }: Gates,
  signal: AbortSignal | undefined,
): Promise<void> {
  const { available, reason = '' } = await source.status({ signal })
  if (available) return
  const { position, reason: why } = features[feature]
  const because = position === 'require' ? ` ${why}` : ''
  const message = `${source.name} is required, and is not there: ${reason}.${because}`
  throw new GatedError(message, { feature })
}
