import { randomUUID } from 'node:crypto'

import type { CID } from '@x/cid'
import { BackendError, ConflictError, InvalidInputError, type AbortOptions } from '@x/storage-core'

import { cleanUp } from './clean-up.ts'
import type { CopyToMfsOptions } from './kubo-store.ts'
import { assertMfsPath, type Mfs } from './mfs.ts'

/**
 * @param to - Neither in the directory of the records, nor above it.
 * @throws {InvalidInputError} It is, or no path.
 */
export function assertTarget(to: string, records: string): void {
  assertMfsPath(to)
  const own = records.slice(0, records.lastIndexOf('/'))
  if (!`${to}/`.startsWith(`${own}/`) && !own.startsWith(`${to}/`)) return
  throw new InvalidInputError(`${to}: the store keeps its records in ${own}`, { input: to })
}

/** @throws {ConflictError} There is something, and it is not to be replaced. */
export async function copyToMfs(
  mfs: Mfs,
  root: CID,
  to: string,
  { replace = false, signal }: CopyToMfsOptions,
): Promise<void> {
  if (await mfs.link(root, to, { signal })) return
  if (replace) await replaceBy(mfs, root, to, { signal })
  else throw new ConflictError(`kubo: there is something at ${to} already`, { current: await mfs.stat(to, { signal }) })
}

/** A daemon replaces no directory, so what is there is moved aside: it may be in no other place. */
async function replaceBy(mfs: Mfs, root: CID, to: string, { signal }: AbortOptions): Promise<void> {
  const id = randomUUID()
  const [fresh, old] = [`${to}.${id}.new`, `${to}.${id}.old`]
  try {
    // Under another name first: what cannot be had takes no place.
    await mfs.link(root, fresh, { signal })
    signal?.throwIfAborted()
    // Without the signal from here on: in the end one of the two is there.
    try {
      await mfs.move(to, old)
      if (!(await mfs.link(root, to))) throw await takenMeanwhile(mfs, to, old)
    } catch (error) {
      await putBack(mfs, { root, to, old, error })
    }
    await mfs.remove([old])
  } finally {
    await cleanUp(mfs.remove([fresh]), { signal })
  }
}

/** Where an answer was lost, what happened is seen now. */
async function putBack(
  mfs: Mfs,
  { root, to, old, error }: { root: CID; to: string; old: string; error: unknown },
): Promise<void> {
  let isReplaced: boolean | undefined
  let isAside = false
  try {
    isReplaced = (await mfs.stat(to))?.equals(root)
    const before = isReplaced ? undefined : await mfs.stat(old)
    if (before && (await mfs.link(before, to))) await mfs.remove([old])
    else if (before) isAside = true
  } catch {
    // A daemon that does not even tell what is there. What failed first tells more.
    throw new BackendError(`${reasonOf(error)}; what was at ${to} is there or at ${old}`, {
      retryable: true,
      cause: error,
    })
  }
  if (isReplaced) return
  if (!isAside || error instanceof ConflictError) throw error
  throw new BackendError(`${reasonOf(error)}; what was at ${to} is at ${old}`, { retryable: true, cause: error })
}

const reasonOf = (error: unknown): string => (error instanceof Error ? error.message : String(error))

async function takenMeanwhile(mfs: Mfs, to: string, old: string): Promise<ConflictError> {
  const message = `kubo: somebody else has put something at ${to}; what was there is at ${old}`
  return new ConflictError(message, { current: await mfs.stat(to) })
}
