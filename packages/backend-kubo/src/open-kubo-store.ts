import type { CID } from '@x/cid'
import { BackendError, type AbortOptions, type SessionOptions, type StoreStatus } from '@x/storage-core'
import {
  codeOf,
  createContentReader,
  createGuardedBlockstore,
  createKeyedLock,
  createRecordNames,
  createRootRecords,
  promiseChecked,
} from '@x/storage-core/backend'

import { addContent } from './add-content.ts'
import { createCollector } from './collect.ts'
import { assertTarget, copyToMfs } from './copy-to-mfs.ts'
import { createIpns, peerCount } from './ipns.ts'
import { createKnownCodecs } from './known-codecs.ts'
import { createKuboBlockstore, type KuboBlockstore } from './kubo-blockstore.ts'
import type { KuboStore, RepoStat } from './kubo-store.ts'
import { createMfs } from './mfs.ts'
import { readOptions, type OpenKuboOptions } from './options.ts'
import { createPins } from './pins.ts'
import { assertHeld } from './reachable.ts'
import { createBookkeeping } from './records/bookkeeping.ts'
import { createKuboRecords } from './records/kubo-records.ts'
import { parseEndpoint } from './rpc/endpoint.ts'
import { createRpc, type Rpc } from './rpc/rpc.ts'
import { createTransport } from './rpc/transport.ts'
import { fieldsOf, numberOf } from './rpc/values.ts'
import { kuboVersion } from './version.ts'

const KNOWN_CODECS = 100_000
const HOLDING_MS = 24 * 60 * 60 * 1000

/**
 * Opens a store in a running Kubo daemon. Asks for its version, and changes nothing.
 *
 * @throws {InvalidInputError} An option cannot be.
 * @throws {UnsupportedError} A Kubo outside the supported versions.
 * @throws {BackendError} No daemon answers, it is no Kubo, or it wants other credentials.
 */
export async function openKuboStore(options: OpenKuboOptions): Promise<KuboStore> {
  const { name, path, repairPath, offline, headers, stallTimeoutMs } = readOptions(options)
  const transport = createTransport({ endpoint: parseEndpoint(options.url), headers, stallTimeoutMs })
  const rpc = createRpc(transport)
  let version: string
  try {
    version = await kuboVersion(rpc, options)
  } catch (error) {
    rpc.close()
    throw error
  }

  let closed = false
  const enter = ({ signal }: AbortOptions = {}): void => {
    signal?.throwIfAborted()
    if (closed) throw new BackendError(`${name} is closed`, { retryable: false })
  }
  const lock = createKeyedLock()
  const alone = <T>(task: () => Promise<T>, signal?: AbortSignal): Promise<T> => lock('records', task, signal)

  const pins = createPins(rpc, { offline, stallTimeoutMs })
  const mfs = createMfs(rpc, { offline })
  const codecs = createKnownCodecs(KNOWN_CODECS)
  const bookkeeping = createBookkeeping({ mfs, path, codecs, records: () => records })
  const records = createKuboRecords({ rpc, mfs, pins, bookkeeping, path })
  const repairs = { rpc, mfs, pins, repairPath }
  const inner = createKuboBlockstore({ ...repairs, name, offline, bookkeeping, codecs })
  const blocks: KuboBlockstore = promiseChecked({
    ...createGuardedBlockstore(inner, enter),
    openSession: (root: CID, sessionOptions?: SessionOptions) => {
      enter(sessionOptions)
      return inner.openSession(root, sessionOptions)
    },
  })
  const reader = createContentReader({ name, blocks, enter })
  const held = {
    stat: reader.stat,
    async blocksOf(root: CID, { signal }: AbortOptions): Promise<CID[]> {
      // Else the daemon looks for what is missing.
      if (offline) await assertHeld(rpc, root, { signal })
      return []
    },
  }
  const parts = { ...repairs, name, records, bookkeeping, path, enter, alone, holdingMs: HOLDING_MS }
  const rootRecords = createRootRecords({ ...parts, keeper: { adopt: () => undefined } }, held)

  return {
    name,
    version,
    blocks,
    names: createRecordNames(parts, rootRecords),
    add: (source, addOptions) => addContent(parts, source, addOptions),
    cat: reader.cat,
    stat: reader.stat,
    ls: reader.ls,
    verify: reader.verify,
    async has(root, { signal } = {}) {
      enter({ signal })
      try {
        await assertHeld(rpc, root, { signal })
        return true
      } catch (error) {
        if (codeOf(error) === 'NOT_FOUND') return false
        throw error
      }
    },
    ...rootRecords.methods,
    ...createCollector(parts),
    ...guarded(createIpns(rpc), enter),
    status: (statusOptions) => status({ name, rpc, enter }, statusOptions),
    async *daemonPins(listOptions) {
      enter(listOptions)
      yield* pins.list(listOptions)
    },
    async pinAs(root, pinOptions = {}) {
      enter(pinOptions)
      if (pinOptions.type === 'direct') await blocks.get(root, pinOptions)
      else await held.blocksOf(root, pinOptions)
      await pins.pin(root, pinOptions)
    },
    async repoStat(statOptions) {
      enter(statOptions)
      return repoStat(rpc, statOptions)
    },
    async copyToMfs(root, to, { replace, signal } = {}) {
      enter({ signal })
      assertTarget(to, path)
      await held.blocksOf(root, { signal })
      await copyToMfs(mfs, root, to, { replace, signal })
    },
    async mfsStat(at, { signal } = {}) {
      enter({ signal })
      assertTarget(at, path)
      return mfs.stat(at, { signal })
    },
    async close() {
      if (closed) return
      closed = true
      await records.close()
      await inner.close()
    },
  }
}

/** Each of these calls begins with `enter`. */
function guarded(
  { publish, resolve, keys, generateKey, provide }: ReturnType<typeof createIpns>,
  enter: (options?: AbortOptions) => void,
): ReturnType<typeof createIpns> {
  const entered = async <T>(options: AbortOptions | undefined, task: () => Promise<T>): Promise<T> => {
    enter(options)
    return task()
  }
  return {
    publish: (root, options) => entered(options, () => publish(root, options)),
    resolve: (name, options) => entered(options, () => resolve(name, options)),
    async *keys(options) {
      enter(options)
      yield* keys(options)
    },
    generateKey: (name, options) => entered(options, () => generateKey(name, options)),
    provide: (root, options) => entered(options, () => provide(root, options)),
  }
}

async function repoStat(rpc: Rpc, { signal }: AbortOptions = {}): Promise<RepoStat> {
  const what = 'repo stat'
  const fields = fieldsOf(await rpc.json('repo/stat', { signal, what, patient: true }), what)
  return {
    repoBytes: numberOf(fields, 'RepoSize', what),
    maxBytes: numberOf(fields, 'StorageMax', what),
    blocks: numberOf(fields, 'NumObjects', what),
  }
}

/** Asks the daemon, now. */
async function status(
  { name, rpc, enter }: { name: string; rpc: Rpc; enter: (options?: AbortOptions) => void },
  options: AbortOptions = {},
): Promise<StoreStatus> {
  enter(options)
  const started = performance.now()
  const probed = { name, probedAt: new Date().toISOString() }
  try {
    const version = await kuboVersion(rpc, options)
    const what = 'repo stat'
    const size = { query: { 'size-only': true }, signal: options.signal, what }
    const fields = fieldsOf(await rpc.json('repo/stat', size), what)
    const details = {
      version,
      peers: await peerCount(rpc, options),
      repoBytes: numberOf(fields, 'RepoSize', what),
      maxBytes: numberOf(fields, 'StorageMax', what),
      pins: await pinCount(rpc, options),
    }
    return { ...probed, available: true, probeMs: performance.now() - started, details }
  } catch (error) {
    options.signal?.throwIfAborted()
    const code = codeOf(error)
    if (code !== 'BACKEND' && code !== 'UNSUPPORTED') throw error
    const reason = error instanceof Error ? error.message : String(error)
    return { ...probed, available: false, reason, probeMs: performance.now() - started, details: {} }
  }
}

async function pinCount(rpc: Rpc, { signal }: AbortOptions): Promise<number> {
  let count = 0
  const query = { type: 'recursive', stream: true }
  for await (const pin of rpc.lines('pin/ls', { query, signal, what: 'count pins' })) if (pin !== undefined) count += 1
  return count
}
