import type { CID } from '@x/cid'

import type { Context } from './command.ts'
import { parseCidPath } from './operands.ts'
import { UsageError } from './usage-error.ts'

/**
 * `CID[/path]`, or `ipns://NAME[/path]` where the backend can resolve names.
 *
 * @param options - `option`: the one of the command that names a backend, for the message.
 * @throws {UsageError} A name, and nobody to resolve it.
 * @throws {InvalidInputError} What should be a CID is none.
 */
export async function resolveRoot(
  { kubo: open, signal }: Pick<Context, 'kubo' | 'signal'>,
  text: string,
  { option = 'backend' }: { option?: 'backend' | 'from' } = {},
): Promise<{ root: CID; path: string }> {
  const [, name, path = ''] = /^(?:ipns:\/\/|\/ipns\/)([^/]+)(?:\/(.*))?$/.exec(text) ?? []
  if (name === undefined) return parseCidPath(text)
  if (!open) throw needsKubo(text, { option })
  const found = await (await open()).resolve(name, { signal })
  return { root: found.cid, path: `${found.path}/${path}`.replaceAll(/^\/+|\/+$/g, '') }
}

export const needsKubo = (name: string, { option = 'backend' }: { option?: string } = {}): UsageError =>
  new UsageError(`${name} is a name that a Kubo daemon resolves: --${option} kubo=URL`)
