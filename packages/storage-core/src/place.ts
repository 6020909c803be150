import { IntegrityError, isStorageError, readNode, type CID, type GetBlock } from '@x/cid'

import type { AbortOptions } from './blockstore.ts'

/** Where a block lies below a root. */
export interface Place {
  /** Path of the file or directory inside the DAG; empty for the root itself. */
  file: string
  /** First byte of that file which the block holds. */
  offset?: number | undefined
}

export const joinPath = (...segments: readonly string[]): string => segments.filter((part) => part !== '').join('/')

/** Says where the damage lies. Other errors are given back as they are. */
export function atPlace(error: unknown, { file, offset }: Place): unknown {
  if (!isIntegrityError(error)) return error
  const where = [file === '' ? undefined : file, offset === undefined ? undefined : `byte ${offset}`]
  const message = [...where.filter((part) => part !== undefined), error.message].join(': ')
  return new IntegrityError(message, { cid: error.cid, actual: error.actual, file, offset, cause: error })
}

/**
 * Like `atPlace`, for a file that was read up to `position`: finds where in it the damaged block starts, which may be
 * before that when the reading began in the middle of the block.
 */
export async function atPlaceInFile(
  error: unknown,
  { get, root, file, position, signal }: AbortOptions & { get: GetBlock; root: CID; file: string; position: number },
): Promise<unknown> {
  if (!isIntegrityError(error)) return error
  return atPlace(error, { file, offset: await startOf(error.cid, { get, root, position, signal }) })
}

/** Descends to `position` and stops at the block. */
async function startOf(
  cid: CID,
  { get, root, position, signal }: AbortOptions & { get: GetBlock; root: CID; position: number },
): Promise<number | undefined> {
  let current = root
  let start = 0
  while (!current.equals(cid)) {
    const node = await readNode(get, current, { signal })
    if (node.type !== 'file') return undefined
    let childStart = start + node.data.length
    const next = node.children.find((child) => {
      if (position < childStart + child.fileBytes) return true
      childStart += child.fileBytes
      return false
    })
    if (next === undefined) return undefined
    current = next.cid
    start = childStart
  }
  return start
}

const isIntegrityError = (error: unknown): error is IntegrityError =>
  isStorageError(error) && error.code === 'INTEGRITY'
