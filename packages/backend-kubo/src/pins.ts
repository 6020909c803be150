import { CID, DAG_PB, RAW } from '@x/cid'
import { BackendError, type AbortOptions } from '@x/storage-core'
import { untilAborted } from '@x/storage-core/backend'

import { holdName, readHold } from './hold.ts'
import { daemonSays } from './rpc/rpc-error.ts'
import type { Rpc } from './rpc/rpc.ts'
import { cidOfText, fieldsOf, notKubo, textOf } from './rpc/values.ts'

export type PinType = 'recursive' | 'direct' | 'indirect'

/** A pin of the daemon's, whoever made it. */
export interface KuboPin {
  cid: CID
  type: PinType
  /** Empty when it has none. One that keeps what is being put is named here. */
  name: string
}

export interface ListPinsOptions extends AbortOptions {
  /** Default `recursive`. */
  type?: PinType | 'all' | undefined
  /** Those alone whose name has this in it. */
  name?: string | undefined
}

export interface PinOptions extends AbortOptions {
  /** The block alone, or everything below it. Default `recursive`. */
  type?: 'recursive' | 'direct' | undefined
  /** Default: none. At most 255 bytes. */
  name?: string | undefined
}

/** The pins of a daemon. CIDv0 and its CIDv1 twin are one root here, and two for the daemon. */
export interface Pins {
  list(options?: ListPinsOptions): AsyncGenerator<KuboPin>
  /** Those pins of a CID and of its twin that keep all of it. */
  of(cid: CID, options?: AbortOptions): Promise<KuboPin[]>
  /** The pin of a block alone. That of its twin's is another. */
  direct(cid: CID, options?: AbortOptions): Promise<KuboPin | undefined>
  /**
   * A pin that keeps a block, its own or one of what it is part of. For a daemon, the CIDs of one block under another
   * version or codec are others, though it is one block; here they are not.
   */
  over(cid: CID, options?: AbortOptions): Promise<KuboPin | undefined>
  /**
   * @param options.local - Do not let the daemon look in its network for what it lacks. Default: as the store was opened.
   * @throws {NotFoundError} Part of it is not there.
   */
  pin(cid: CID, options?: PinOptions & { local?: boolean }): Promise<void>
  /** Resolves whether or not there was a pin. */
  unpin(cid: CID, options?: AbortOptions): Promise<void>
  /** Takes away one pin, not that of the twin. */
  remove(pin: Pick<KuboPin, 'cid'>, options?: AbortOptions): Promise<void>
}

/**
 * @param options.stallTimeoutMs - How long a pin may be without progress.
 */
export function createPins(rpc: Rpc, { offline, stallTimeoutMs }: { offline: boolean; stallTimeoutMs: number }): Pins {
  async function* list({ type = 'recursive', name, signal }: ListPinsOptions = {}): AsyncGenerator<KuboPin> {
    const what = 'list pins'
    const query = { type, names: true, stream: true }
    for await (const value of rpc.lines('pin/ls', { query, signal, what, patient: true })) {
      const found = toPin(value, what)
      // Not by the daemon, which takes as long, and knows no name of a hold.
      if (name === undefined || found.name.includes(name)) yield found
    }
  }

  /** What `pin ls` says of one CID; nothing when it is not pinned so. */
  async function* ask(cid: CID, type: PinType | 'all', signal?: AbortSignal): AsyncGenerator {
    const query = { type, names: true, stream: true }
    const options = { args: [cid.toString()], query, signal, what: `pins of ${cid}`, patient: true }
    try {
      yield* rpc.lines('pin/ls', options)
    } catch (error) {
      if (!daemonSays(error, / is not pinned$/)) throw error
    }
  }

  async function pinOf(cid: CID, type: 'recursive' | 'direct', signal?: AbortSignal): Promise<KuboPin | undefined> {
    let found: KuboPin | undefined
    // To the end, so that the connection can be used again.
    for await (const value of ask(cid, type, signal)) found ??= toPin(value, `pins of ${cid}`)
    return found
  }

  async function over(cid: CID, { signal }: AbortOptions = {}): Promise<KuboPin | undefined> {
    const what = `pins of ${cid}`
    const forms = new Map([...twinsOf(cid), CID.createV1(RAW, cid.multihash)].map((form) => [form.toString(), form]))
    for (const form of forms.values()) {
      let root: string | undefined
      let own: KuboPin | undefined
      for await (const value of ask(form, 'all', signal)) {
        ;[, root] = /^indirect through (\S+)$/.exec(textOf(fieldsOf(value, what), 'Type', what)) ?? []
        if (root === undefined) own = toPin(value, what)
      }
      const found = root === undefined ? own : await pinOf(cidOfText(root, what), 'recursive', signal)
      if (found) return found
    }
    return undefined
  }

  async function of(cid: CID, { signal }: AbortOptions = {}): Promise<KuboPin[]> {
    // A direct pin keeps all of a block that has no links.
    const asked = twinsOf(cid).map((twin) => pinOf(twin, 'recursive', signal))
    if (cid.code !== DAG_PB) asked.push(pinOf(cid, 'direct', signal))
    return (await Promise.all(asked)).filter((found) => found !== undefined)
  }

  async function pin(
    cid: CID,
    { type = 'recursive', name, local = offline, signal }: PinOptions & { local?: boolean } = {},
  ): Promise<void> {
    const what = `pin ${cid}`
    const query = { recursive: type === 'recursive', name, progress: true }
    const progress = { seen: '', at: performance.now() }
    let isDone = false
    const options = { args: [cid.toString()], query, local, signal, what, cid, patient: true }
    for await (const value of rpc.lines('pin/add', options)) {
      const { Pins: pinned, Progress: nodes, Bytes: bytes } = fieldsOf(value, what)
      if (Array.isArray(pinned)) isDone = true
      // It says how far it is every half second, also when it gets no further.
      const seen = `${String(nodes)} ${String(bytes)}`
      if (seen !== progress.seen) Object.assign(progress, { seen, at: performance.now() })
      else if (performance.now() - progress.at > stallTimeoutMs) {
        // Nor does it while it waits for a collection.
        if (await untilAborted(rpc.isCollecting(), signal)) progress.at = performance.now()
        else throw new BackendError(`kubo: ${what}: no progress for ${stallTimeoutMs} ms`, { retryable: true })
      }
    }
    if (!isDone) throw notKubo(what, 'it does not say that it is pinned')
  }

  async function remove({ cid }: Pick<KuboPin, 'cid'>, { signal }: AbortOptions = {}): Promise<void> {
    try {
      await rpc.run('pin/rm', { args: [cid.toString()], signal, what: `unpin ${cid}`, patient: true })
    } catch (error) {
      // Somebody else was faster.
      if (!daemonSays(error, /not pinned/)) throw error
    }
  }

  async function unpin(cid: CID, options: AbortOptions = {}): Promise<void> {
    for (const pinned of await of(cid, options)) await remove(pinned, options)
  }

  return { list, of, direct: (cid, { signal } = {}) => pinOf(cid, 'direct', signal), over, pin, unpin, remove }
}

/** What `pin` of a store makes: everything below a root, but of a block whose links it does not follow that alone. */
export const pinTypeOf = (cid: CID): 'recursive' | 'direct' =>
  cid.code === DAG_PB || cid.code === RAW ? 'recursive' : 'direct'

/** Whether it keeps all of a root, and for more than the moment in which it is put. */
export const isPinOfContent = ({ cid, type }: KuboPin): boolean =>
  readHold(cid) === undefined && (type === 'recursive' || (type === 'direct' && cid.code !== DAG_PB))

/** The CID, and the other version of it where there is one. */
function twinsOf(cid: CID): CID[] {
  if (cid.version === 0) return [cid, cid.toV1()]
  const { code, digest } = cid.multihash
  const hasTwin = cid.code === DAG_PB && code === 0x12 && digest.length === 32
  return hasTwin ? [cid, cid.toV0()] : [cid]
}

function toPin(value: unknown, what: string): KuboPin {
  const fields = fieldsOf(value, what)
  const type = textOf(fields, 'Type', what)
  const { Name: given = '' } = fields
  if (typeof given !== 'string') throw notKubo(what, 'a name that is no text')
  const cid = cidOfText(textOf(fields, 'Cid', what), what)
  const hold = readHold(cid)
  const name = hold ? holdName(hold) : given
  if (type === 'recursive' || type === 'direct') return { cid, type, name }
  if (type.startsWith('indirect')) return { cid, type: 'indirect', name }
  throw notKubo(what, 'a pin of no known type')
}
