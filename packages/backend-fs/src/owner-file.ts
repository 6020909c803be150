import { lstat, readFile } from 'node:fs/promises'

import { ifThere } from './disk-error.ts'
import { isObject } from './json.ts'
import { GIVEN_UP_AFTER_MS, livenessOf, type ProcessIdentity } from './process-identity.ts'

// Its writer may be between creating the file and writing it.
const HALF_WRITTEN_MS = 10_000

export const encodeOwner = (owner: ProcessIdentity): Uint8Array => new TextEncoder().encode(JSON.stringify(owner))

/** Whether the process named in a lease is gone; `undefined` when the file is. */
export async function isAbandoned(path: string, self: ProcessIdentity): Promise<boolean | undefined> {
  const text = await ifThere(`read ${path}`, readFile(path, 'utf8'))
  const info = await ifThere(`look at ${path}`, lstat(path))
  if (text === undefined || info === undefined) return undefined
  const idleMs = Date.now() - info.mtimeMs
  const owner = parseOwner(text)
  if (owner === undefined) return idleMs > HALF_WRITTEN_MS
  const liveness = livenessOf(owner, self)
  return liveness === 'dead' || (liveness === 'unknown' && idleMs > GIVEN_UP_AFTER_MS)
}

function parseOwner(text: string): ProcessIdentity | undefined {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    return undefined
  }
  if (!isObject(value)) return undefined
  const { machine, boot, scope, pid, startedMs } = value
  if (typeof machine !== 'string' || typeof boot !== 'string' || typeof scope !== 'string') return undefined
  if (typeof pid !== 'number' || typeof startedMs !== 'number') return undefined
  return { machine, boot, scope, pid, startedMs }
}
