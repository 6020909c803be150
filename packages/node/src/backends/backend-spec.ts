import type { Environment } from '@x/gating'
import { InvalidInputError } from '@x/storage-core'

export type BackendKind = 'kubo' | 'gateway' | 'static' | 's3' | 'helia' | 'lan'

/** One backend as a person names it. */
export interface BackendSpec {
  kind: BackendKind
  /** URLs, multiaddrs or places in buckets, as they were written. They may hold a password. */
  addresses: readonly string[]
  /** The environment's variable that they are from. */
  variable?: string | undefined
}

interface KindRule {
  /** For messages. */
  form: string
  /** The environment's variable with what the kind alone stands for, written as after `=`. */
  variable?: string
  fewest: number
  most: number
  canBeWritten?: true
}

const RULES: Readonly<Record<BackendKind, KindRule>> = {
  kubo: { form: 'kubo=URL', variable: 'IPFS_ACCELERATE_KUBO_URL', fewest: 1, most: 1, canBeWritten: true },
  gateway: { form: 'gateway=URL[,URL...]', variable: 'IPFS_ACCELERATE_GATEWAY_URLS', fewest: 1, most: Infinity },
  static: { form: 'static=URL', variable: 'IPFS_ACCELERATE_STATIC_URL', fewest: 1, most: 1 },
  s3: { form: 's3=BUCKET[/PREFIX]', variable: 'IPFS_ACCELERATE_S3_PLACE', fewest: 1, most: 1 },
  helia: { form: 'helia=MULTIADDR[,...]', variable: 'IPFS_ACCELERATE_HELIA_PEERS', fewest: 1, most: Infinity },
  lan: { form: 'lan', fewest: 0, most: 0 },
}

/** How a backend is named, for help texts. */
export const BACKEND_FORMS: readonly string[] = Object.values(RULES).map(({ form }) => form)

/** Whether a backend of this kind is a store, with roots, pins and names, which is known before one is opened. */
export const canBeWritten = (kind: BackendKind): boolean => RULES[kind].canBeWritten === true

/** The environment's variables with addresses, for help texts. */
export const ADDRESS_VARIABLES: readonly string[] = Object.values(RULES).flatMap(({ variable }) => variable ?? [])

/**
 * A backend in few words, which tell it from another one of its kind: `gateway=a.example,b.example:8080`, `s3=models/export`,
 * `lan`. Has hosts and ports alone, or a bucket and a prefix, and so no password.
 */
export function labelOf({ kind, addresses }: BackendSpec): string {
  if (addresses.length === 0) return kind
  return `${kind}=${addresses.map(kind === 's3' ? bucketOf : hostOf).join(',')}`
}

const bucketOf = (place: string): string => /^(?:s3:\/\/)?([a-z0-9.-]{3,63}(?:\/[\w./-]*)?)$/.exec(place)?.[1] ?? '?'

function hostOf(address: string): string {
  const [, socketPath] = /^(?:unix:(?:\/\/(?=\/))?|\/unix(?=\/))(.*)$/.exec(address) ?? []
  if (socketPath !== undefined) return `unix:${socketPath}`
  if (!address.startsWith('/')) return URL.parse(address)?.host || '?'
  const [, host, port] = /^\/[a-z0-9]+\/([a-z0-9._:-]+)(?:\/(?:tcp|udp)\/(\d+))?(?:\/|$)/i.exec(address) ?? []
  return port === undefined ? (host ?? '?') : `${host}:${port}`
}

const isKind = (text: string): text is BackendKind => Object.hasOwn(RULES, text)

/**
 * Reads `kubo=http://127.0.0.1:5001`, `gateway=https://a.example,https://b.example`, `static=https://example.org/models`,
 * `s3=models/export`, whose server the variables of AWS programs name, `helia=/ip4/192.0.2.7/tcp/4001/p2p/12D3...`, which may name gateways too, and `lan`. A kind alone, such as `helia`, has the
 * addresses of its variable: `IPFS_ACCELERATE_KUBO_URL`, `_GATEWAY_URLS`, `_STATIC_URL`, `_S3_PLACE`, `_HELIA_PEERS`.
 *
 * @param environment - Default `process.env`.
 * @param otherForms - What may stand there beside backends, for the message: `mirror=URL`.
 * @throws {InvalidInputError} No such kind, or too few or too many addresses. Its message has no address.
 */
export function parseBackendSpec(
  text: string,
  environment: Environment = process.env,
  otherForms: readonly string[] = [],
): BackendSpec {
  const equals = text.indexOf('=')
  const kind = equals === -1 ? text : text.slice(0, equals)
  if (!isKind(kind)) {
    const shown = /^[a-z0-9-]{1,20}$/i.test(kind) ? JSON.stringify(kind) : 'what was given'
    const forms = [...BACKEND_FORMS, ...otherForms].join(', ')
    throw new InvalidInputError(`${shown} is no backend; there is ${forms}`, { input: 'backend' })
  }
  const { form, variable, fewest, most } = RULES[kind]
  const isAlone = equals === -1 && variable !== undefined
  const list = isAlone ? environment[variable] : text.slice(kind.length + 1)
  const addresses = list ? list.split(',') : []
  if (addresses.length < fewest || addresses.length > most || addresses.includes('')) {
    const instead = isAlone ? `, or set ${variable} to what follows the =` : ''
    throw new InvalidInputError(`backend ${kind}: write it as ${form}${instead}`, { input: kind })
  }
  return { kind, addresses, ...(isAlone && { variable }) }
}
