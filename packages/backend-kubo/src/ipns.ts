import { parseCid, type CID } from '@x/cid'
import { BackendError, ConflictError, InvalidInputError, NotFoundError, type AbortOptions } from '@x/storage-core'

import type { KuboKey, KuboStore, PublishOptions } from './kubo-store.ts'
import { daemonSays } from './rpc/rpc-error.ts'
import type { Rpc } from './rpc/rpc.ts'
import { fieldsOf, notKubo, textOf } from './rpc/values.ts'

/** Names that a daemon signs and looks up, and its announcements. */
export function createIpns(rpc: Rpc): Pick<KuboStore, 'publish' | 'resolve' | 'keys' | 'generateKey' | 'provide'> {
  async function publish(root: CID, { key, lifetimeSeconds, signal }: PublishOptions = {}): Promise<string> {
    if (lifetimeSeconds !== undefined && !(Number.isSafeInteger(lifetimeSeconds) && lifetimeSeconds > 0)) {
      const input = String(lifetimeSeconds)
      throw new InvalidInputError(`lifetimeSeconds ${input} is not a whole number of seconds`, { input })
    }
    const what = `publish ${root}`
    const lifetime = lifetimeSeconds === undefined ? undefined : `${lifetimeSeconds}s`
    const query = { key, lifetime, resolve: false, 'allow-offline': true }
    const put = async (local: boolean): Promise<string> => {
      const options = { args: [`/ipfs/${root}`], query, local, signal, what, patient: true }
      return textOf(fieldsOf(await rpc.json('name/publish', options), what), 'Name', what)
    }
    try {
      // At home first: a daemon without a router would drop it.
      const name = await put(true)
      if (await hasPeers(rpc, { signal })) await put(false)
      return name
    } catch (error) {
      if (daemonSays(error, /no key by the given name/)) {
        throw new NotFoundError(`key ${JSON.stringify(key)}`, { cause: error })
      }
      throw error
    }
  }

  async function resolve(name: string, { signal }: AbortOptions = {}): Promise<{ cid: CID; path: string }> {
    const bare = name.replace(/^(?:\/ipns\/|ipns:\/\/)/, '')
    if (!/^[\w.-]{1,255}$/.test(bare))
      throw new InvalidInputError(`${JSON.stringify(name)} is no IPNS name`, { input: name })
    const what = `resolve ${bare}`
    const ask = async (local: boolean): Promise<string> => {
      const options = { args: [`/ipns/${bare}`], local, signal, what, patient: true }
      return textOf(fieldsOf(await rpc.json('name/resolve', options), what), 'Path', what)
    }
    const places = (await hasPeers(rpc, { signal })) ? [false, true] : [true]
    let failure: unknown
    for (const local of places) {
      try {
        return pathOf(await ask(local), what)
      } catch (error) {
        if (!daemonSays(error, /could not resolve name|routing: not found|record not found/)) throw error
        failure = error
      }
    }
    throw new NotFoundError(`/ipns/${bare}`, { cause: failure })
  }

  async function* keys({ signal }: AbortOptions = {}): AsyncGenerator<KuboKey> {
    const what = 'list keys'
    const { Keys: listed } = fieldsOf(await rpc.json('key/list', { signal, what }), what)
    if (!Array.isArray(listed)) throw notKubo(what, 'no keys')
    for (const key of listed) yield toKey(key, what)
  }

  async function generateKey(name: string, { signal }: AbortOptions = {}): Promise<KuboKey> {
    if (name === '' || name === 'self' || /[/\p{Cc}]/u.test(name)) {
      throw new InvalidInputError(`${JSON.stringify(name)} cannot be the name of a key`, { input: name })
    }
    const what = `make key ${JSON.stringify(name)}`
    try {
      return toKey(await rpc.json('key/gen', { args: [name], signal, what, once: true }), what)
    } catch (error) {
      if (daemonSays(error, /already exists/))
        throw new ConflictError(`${what}: there is one`, { current: undefined, cause: error })
      throw error
    }
  }

  async function provide(root: CID, { signal }: AbortOptions = {}): Promise<void> {
    const what = `provide ${root}`
    const args = [root.toString()]
    try {
      for await (const event of rpc.lines('routing/provide', { args, local: false, signal, what, patient: true })) {
        const { Type: type, Extra: extra } = fieldsOf(event, what)
        if (type === QUERY_ERROR) throw new BackendError(`kubo: ${what}: ${String(extra)}`, { retryable: true })
      }
    } catch (error) {
      if (daemonSays(error, /not found locally/)) throw new NotFoundError(root.toString(), { cid: root, cause: error })
      if (daemonSays(error, /no connected peers/)) {
        throw new BackendError(`kubo: ${what}: the daemon has no peers to tell`, { retryable: true, cause: error })
      }
      throw error
    }
  }

  return { publish, resolve, keys, generateKey, provide }
}

/** An event of go-libp2p's queries. */
const QUERY_ERROR = 3

/** Whether the daemon is connected to anybody. */
export async function peerCount(rpc: Rpc, { signal }: AbortOptions): Promise<number> {
  const what = 'list peers'
  try {
    const { Peers: peers } = fieldsOf(await rpc.json('swarm/peers', { signal, what }), what)
    return Array.isArray(peers) ? peers.length : 0
  } catch (error) {
    // `ipfs daemon --offline`.
    if (daemonSays(error, /must be run in online mode|not online/)) return 0
    throw error
  }
}

const hasPeers = async (rpc: Rpc, options: AbortOptions): Promise<boolean> => (await peerCount(rpc, options)) > 0

function pathOf(text: string, what: string): { cid: CID; path: string } {
  const [, cid, path = ''] = /^\/ipfs\/([^/]+)(?:\/(.*))?$/.exec(text) ?? []
  if (cid === undefined) throw notKubo(what, 'a path that is not in /ipfs')
  return { cid: parseCid(cid), path }
}

function toKey(value: unknown, what: string): KuboKey {
  const fields = fieldsOf(value, what)
  return { name: textOf(fields, 'Name', what), id: textOf(fields, 'Id', what) }
}
