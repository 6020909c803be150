import { lstat, readFile } from 'node:fs/promises'
import { basename } from 'node:path'

import { ifThere } from './disk-error.ts'
import { isObject } from './json.ts'
import { isGivenUp, livenessOf, livenessOfName, type ProcessIdentity } from './process-identity.ts'

export const encodeOwner = (owner: ProcessIdentity): Uint8Array => new TextEncoder().encode(JSON.stringify(owner))

/** Whether the process named in a lease is gone; `undefined` when the file is. */
export async function isAbandoned(path: string, self: ProcessIdentity): Promise<boolean | undefined> {
  const text = await ifThere(`read ${path}`, readFile(path, 'utf8'))
  const info = await ifThere(`look at ${path}`, lstat(path))
  if (text === undefined || info === undefined) return undefined
  const owner = parseOwner(text)
  // Its writer may be between creating the file and writing it, for as long as the machine sleeps.
  const liveness = owner ? livenessOf(owner, self) : livenessOfName(basename(path), self)
  return isGivenUp(liveness, Date.now() - info.mtimeMs)
}

function parseOwner(text: string): ProcessIdentity | undefined {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    // Empty or cut off: the caller goes by its name and age.
    return undefined
  }
  if (!isObject(value)) return undefined
  const { machine, boot, scope, pid, life } = value
  if (typeof machine !== 'string' || typeof boot !== 'string' || typeof scope !== 'string') return undefined
  if (typeof pid !== 'number' || typeof life !== 'string') return undefined
  return { machine, boot, scope, pid, life }
}
