import type { OnGatewayEvent } from '@x/backend-gateway'
import type { HeliaPeer } from '@x/backend-helia'
import type { KuboStore } from '@x/backend-kubo'
import type { Environment, GateSettings } from '@x/gating'
import { parseReference, type ModelReference } from '@x/model-loader'
import {
  BackendError,
  InvalidInputError,
  isStorageError,
  type AbortOptions,
  type ContentSource,
  type ContentStore,
} from '@x/storage-core'

import { openBucketFolder } from '../s3/open-bucket.ts'
import { labelOf, type BackendKind, type BackendSpec } from './backend-spec.ts'
import { KUBO_AUTH_VARIABLE, kuboAuthOf } from './kubo-auth.ts'
import { loadPackage } from './load-package.ts'
import { plainUrl, isUrl } from './plain-url.ts'
import { reachOf, type BackendReach } from './reach.ts'

export interface OpenBackendOptions extends AbortOptions {
  /** What a Helia peer serves, and reads first. Opened on first use; stays open. */
  local: () => Promise<ContentStore>
  /** A Kubo daemon may look for what it does not hold on its network. Default false. */
  search?: boolean | undefined
  /** Longest time without progress. Milliseconds; default 30_000. */
  stallTimeoutMs?: number | undefined
  /** Hears of what is no error of anybody's call, such as a gateway that another one stood in for. */
  onWarning?: ((message: string) => void) | undefined
  /** Default `process.env`. */
  environment?: Environment | undefined
  /** Positions of gates; they win over the environment. */
  gates?: GateSettings | undefined
}

/** A backend that was named, ready to use. */
export interface Backend {
  readonly kind: BackendKind
  /** In few words, with its hosts. */
  readonly label: string
  /** What it calls itself in its own messages. */
  readonly name: string
  readonly source: ContentSource
  /** Where it can be written too. */
  readonly store?: ContentStore | undefined
  readonly kubo?: KuboStore | undefined
  readonly helia?: HeliaPeer | undefined
  close(): Promise<void>
}

/**
 * Opens a backend, with its package, which is loaded now.
 *
 * @throws {InvalidInputError} An address means nothing, or is of more than one host.
 * @throws {GatedError} A switch does not let it connect there.
 * @throws {UnsupportedError} Its package is not installed.
 * @throws {BackendError} It is not there.
 */
export async function openBackend(spec: BackendSpec, options: OpenBackendOptions): Promise<Backend> {
  const { gates, environment = process.env } = options
  const reach = reachOf(spec.kind, { environment, gates })
  const what = spec.variable === undefined ? spec.kind : `${spec.kind} (${spec.variable})`
  // A bucket is no host; the server that it is at is asked for when that is known.
  if (spec.kind !== 's3') for (const address of spec.addresses) reach.assertAddress(address, what)
  const opened = await OPENERS[spec.kind](spec, { ...options, environment }, reach)
  return { kind: spec.kind, label: labelOf(spec), ...opened }
}

type Opened = Omit<Backend, 'kind' | 'label'>
type Opener = (spec: BackendSpec, options: OpenBackendOptions, reach: BackendReach) => Promise<Opened>

const OPENERS: Readonly<Record<BackendKind, Opener>> = {
  kubo: openKubo,
  gateway: openGateway,
  static: openStatic,
  s3: openS3,
  helia: openPeer,
  lan: openPeer,
}

async function openKubo(
  spec: BackendSpec,
  { environment = {}, search = false, stallTimeoutMs, signal }: OpenBackendOptions,
): Promise<Opened> {
  const { openKuboStore } = await loadPackage('@x/backend-kubo', () => import('@x/backend-kubo'))
  const [url = ''] = spec.addresses
  const { username, password } = URL.parse(url) ?? {}
  if (username || password) {
    const message = `kubo: a user or password in the address is not taken; ${KUBO_AUTH_VARIABLE} is for them`
    throw new InvalidInputError(message, { input: 'kubo' })
  }
  const auth = kuboAuthOf(environment)
  const opening = openKuboStore({ url, offline: !search, ...(auth && { auth }), stallTimeoutMs, signal })
  const kubo = await opening.catch((error: unknown) => {
    throw isRefused(error) ? wantsAuth(spec, auth, error) : error
  })
  return { name: kubo.name, source: kubo, store: kubo, kubo, close: () => kubo.close() }
}

/** HTTP 401 or 403, as the cause says. */
function isRefused(error: unknown): boolean {
  if (!isStorageError(error) || !(error.cause instanceof Error) || !('status' in error.cause)) return false
  return error.code === 'BACKEND' && (error.cause.status === 401 || error.cause.status === 403)
}

/** In words of who has no options but the environment. */
function wantsAuth(spec: BackendSpec, auth: object | undefined, cause: unknown): BackendError {
  const wanted = auth === undefined ? 'credentials' : 'other credentials'
  const message = `${labelOf(spec)}: the daemon wants ${wanted} (${KUBO_AUTH_VARIABLE}), or does not allow this`
  return new BackendError(message, { retryable: false, cause })
}

/** Also the hosts that a server redirects to are asked for. */
const guardedFetch =
  (reach: BackendReach): typeof fetch =>
  async (input, init) => {
    const url = new URL(input instanceof Request ? input.url : input)
    reach.assertHost(url.hostname)
    return fetch(input, init)
  }

/** What the last one says is what the call rejects with. */
const warningOf =
  (onWarning: OpenBackendOptions['onWarning']): OnGatewayEvent =>
  (event) => {
    if (event.type !== 'gateway-lied' && event.type !== 'gateway-failed') return
    if (!event.isLast) onWarning?.(event.error.message)
  }

async function openGateway(
  { addresses }: BackendSpec,
  { stallTimeoutMs, onWarning }: OpenBackendOptions,
  reach: BackendReach,
): Promise<Opened> {
  const { openGatewaySource } = await loadPackage('@x/backend-gateway', () => import('@x/backend-gateway'))
  const source = await openGatewaySource({
    gateways: addresses,
    stallTimeoutMs,
    fetch: guardedFetch(reach),
    onEvent: warningOf(onWarning),
  })
  return { name: source.name, source, close: () => source.close() }
}

async function openStatic(
  { addresses: [url = ''] }: BackendSpec,
  { stallTimeoutMs, onWarning }: OpenBackendOptions,
  reach: BackendReach,
): Promise<Opened> {
  const { openStaticSource } = await loadPackage('@x/backend-gateway', () => import('@x/backend-gateway'))
  const source = await openStaticSource({
    url,
    stallTimeoutMs,
    fetch: guardedFetch(reach),
    onEvent: warningOf(onWarning),
  })
  return { name: source.name, source, close: () => source.close() }
}

const noBucket = (): InvalidInputError =>
  new InvalidInputError('the place of an s3 backend is BUCKET or BUCKET/PREFIX', { input: 's3' })

/** @throws {InvalidInputError} It is none. The message does not show it, for it may hold a password. */
export function bucketAt(place: string): Extract<ModelReference, { kind: 's3' }> {
  const written = place.startsWith('s3://') ? place.slice('s3://'.length) : place
  if (/[:@]/.test(written.split('/')[0] ?? '')) throw noBucket()
  const parsed = parseReference(`s3://${written}`)
  if (parsed.kind !== 's3') throw noBucket()
  return parsed
}

async function openS3(
  { addresses: [place = ''] }: BackendSpec,
  { stallTimeoutMs, onWarning, environment, gates, signal }: OpenBackendOptions,
): Promise<Opened> {
  const parsed = bucketAt(place)
  const { openStaticSource } = await loadPackage('@x/backend-gateway', () => import('@x/backend-gateway'))
  const folder = await openBucketFolder(parsed, { environment, gates, stallTimeoutMs, signal })
  const source = await openStaticSource({
    name: 's3',
    url: folder.url.href,
    stallTimeoutMs,
    fetch: folder.fetch,
    explain: folder.explain,
    onEvent: warningOf(onWarning),
  })
  return { name: source.name, source, close: () => source.close() }
}

async function openPeer(
  { kind, addresses }: BackendSpec,
  { local, stallTimeoutMs, onWarning }: OpenBackendOptions,
  reach: BackendReach,
): Promise<Opened> {
  const { openHelia } = await loadPackage('@x/backend-helia', () => import('@x/backend-helia'))
  // Peers on the network are whoever answers.
  if (kind === 'lan') reach.assertAny()
  const peers = addresses.filter((address) => !isUrl(address))
  const gateways = addresses.filter(isUrl)
  for (const gateway of gateways) plainUrl(gateway, 'backend')
  const peer = await openHelia({
    store: await local(),
    network: networkFor(kind, peers),
    peers,
    gateways,
    providers: kind === 'lan' ? 'any' : 'given',
    serve: 'none',
    stallTimeoutMs,
    onWarning,
  })
  return { name: peer.name, source: peer.source, helia: peer, close: () => peer.close() }
}

function networkFor(kind: BackendSpec['kind'], peers: readonly string[]): 'http' | 'lan' | 'libp2p' {
  if (kind === 'lan') return 'lan'
  return peers.length === 0 ? 'http' : 'libp2p'
}
