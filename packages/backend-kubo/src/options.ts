import { InvalidInputError, type AbortOptions } from '@x/storage-core'

import { assertMfsPath } from './mfs.ts'

export type KuboAuth = { bearer: string } | { username: string; password: string }

export interface OpenKuboOptions extends AbortOptions {
  /**
   * Where the daemon's RPC is: `http://127.0.0.1:5001`, `https://...`, `unix:/path`, or a multiaddr of these. No default:
   * a daemon is used when it was named.
   */
  url: string
  /** As in the daemon's `API.Authorizations`. Default: none. */
  auth?: KuboAuth | undefined
  /** Sent with every request. Default: none. */
  headers?: Readonly<Record<string, string>> | undefined
  /**
   * Longest time without a byte in either direction, in milliseconds. While the daemon says that it works on a request, it
   * is waited for. Default 30_000.
   */
  stallTimeoutMs?: number | undefined
  /**
   * What the daemon does not hold is absent. `false`: it may look in its network, and who has not found a block after the
   * stall time cannot tell. Default true.
   */
  offline?: boolean | undefined
  /** The directory in the daemon's mutable file system for roots and names. Default `/ipfs-accelerate`. */
  directory?: string | undefined
  /** For errors, receipts and logs. Default `kubo`. */
  name?: string | undefined
}

const STALL_TIMEOUT_MS = 30_000

/** Options as they are used. */
export interface ReadOptions {
  stallTimeoutMs: number
  /** Where the versions of the records are, in MFS. */
  path: string
  /** Where in MFS what is being repaired is linked meanwhile. */
  repairPath: string
  name: string
  offline: boolean
  headers: Readonly<Record<string, string>>
}

/** Default options, and those that cannot be, found out. */
export function readOptions(options: OpenKuboOptions): ReadOptions {
  const { stallTimeoutMs = STALL_TIMEOUT_MS, directory = '/ipfs-accelerate', name = 'kubo', offline = true } = options
  if (!Number.isSafeInteger(stallTimeoutMs) || stallTimeoutMs <= 0 || stallTimeoutMs >= 2 ** 31) {
    throw new InvalidInputError(`stallTimeoutMs ${stallTimeoutMs} is not a number of milliseconds`, {
      input: String(stallTimeoutMs),
    })
  }
  assertMfsPath(directory)
  return {
    stallTimeoutMs,
    path: `${directory}/records`,
    repairPath: `${directory}/repair`,
    name,
    offline,
    headers: headersOf(options),
  }
}

function headersOf({ headers = {}, auth }: OpenKuboOptions): Record<string, string> {
  const sent: Record<string, string> = {}
  for (const [name, value] of Object.entries(headers)) {
    // The value may be a secret: it is in no message.
    if (!/^[!#$%&'*+.^_`|~\w-]+$/.test(name) || /[^\t\x20-\x7e\x80-\xff]/.test(value)) {
      throw new InvalidInputError(`header ${JSON.stringify(name)} cannot be sent`, { input: name })
    }
    sent[name.toLowerCase()] = value
  }
  if (auth === undefined) return sent
  if ('authorization' in sent) {
    throw new InvalidInputError('give either auth or a header of that purpose', { input: 'auth' })
  }
  sent['authorization'] = authorization(auth)
  return sent
}

function authorization(auth: KuboAuth): string {
  if ('bearer' in auth) {
    if (/^[\x21-\x7e]+$/.test(auth.bearer)) return `Bearer ${auth.bearer}`
    throw new InvalidInputError('auth.bearer cannot be sent', { input: 'auth.bearer' })
  }
  const { username, password } = auth
  if (username.includes(':')) throw new InvalidInputError('auth.username has a colon', { input: 'auth.username' })
  return `Basic ${Buffer.from(`${username}:${password}`, 'utf8').toString('base64')}`
}
