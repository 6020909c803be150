import { UnsupportedError, type AbortOptions } from '@x/storage-core'

import type { Rpc } from './rpc/rpc.ts'
import { fieldsOf, notKubo, textOf } from './rpc/values.ts'

/** The oldest Kubo that is spoken to; tests run against it, and against the newest. */
export const OLDEST_KUBO = '0.38.0'

/**
 * The daemon's version.
 *
 * @throws {BackendError} Whoever answers is not Kubo.
 * @throws {UnsupportedError} It is too old, or of a later major version.
 */
export async function kuboVersion(rpc: Rpc, { signal }: AbortOptions = {}): Promise<string> {
  const what = `version of ${rpc.address}`
  const fields = fieldsOf(await rpc.json('version', { signal }), what)
  const version = textOf(fields, 'Version', what)
  textOf(fields, 'Repo', what)
  const match = /^(\d+)\.(\d+)\.(\d+)/.exec(version)
  if (!match) throw notKubo(what, 'a version that is none')
  const [major = 0, minor = 0] = match.slice(1).map(Number)
  const [, oldest = 0] = OLDEST_KUBO.split('.').map(Number)
  if (major !== 0 || minor < oldest) {
    throw new UnsupportedError(
      `Kubo ${version} at ${rpc.address} is not supported: ${OLDEST_KUBO} and later are, below 1.0`,
    )
  }
  return version
}
