import { createHash } from 'node:crypto'
import { readFile } from 'node:fs/promises'

import { IntegrityError, type CID } from '@x/cid'
import { BackendError } from '@x/storage-core'

import type { StoreContext } from './context.ts'
import { ifThere } from './disk-error.ts'
import { writeWhole, type DirtyDirectories } from './durable-write.ts'

/**
 * A record is one line of JSON and, on the next, that line's SHA-256: a flipped bit in it is noticed, as it is in a block.
 */
export async function writeRecord(
  context: StoreContext,
  path: string,
  value: object,
  dirty: DirtyDirectories,
): Promise<void> {
  const line = JSON.stringify(value)
  await writeWhole(context, path, new TextEncoder().encode(`${line}\n${sha256Hex(line)}\n`), dirty)
}

/**
 * `undefined` when there is none.
 *
 * @param parse - `undefined` for a value of another shape.
 * @param cid - What the record is about, when its file name tells.
 * @throws {IntegrityError} It was changed, and `cid` is known.
 * @throws {BackendError} It was changed, and what it was about is lost with it.
 */
export async function readRecord<T>(
  path: string,
  parse: (value: unknown) => T | undefined,
  cid?: CID,
): Promise<T | undefined> {
  const text = await ifThere(`read ${path}`, readFile(path, 'utf8'))
  if (text === undefined) return undefined
  const [line = '', digest] = text.split('\n')
  const record = digest === sha256Hex(line) ? parseJson(line, parse) : undefined
  if (record !== undefined) return record
  const message = `fs: the record ${path} is damaged; add or set it again, or remove it`
  throw cid ? new IntegrityError(message, { cid, file: path }) : new BackendError(message, { retryable: false })
}

function parseJson<T>(line: string, parse: (value: unknown) => T | undefined): T | undefined {
  let value: unknown
  try {
    value = JSON.parse(line)
  } catch {
    // The caller says that it is damaged.
    return undefined
  }
  return parse(value)
}

const sha256Hex = (text: string): string => createHash('sha256').update(text).digest('hex')
