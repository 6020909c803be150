import { BackendError, type ContentStat } from '@x/storage-core'
import { parseRange } from '@x/storage-core/backend'

import { begun, IMMUTABLE, type Answer } from '../answer.ts'
import { badRequest, HttpError } from '../http-error.ts'
import { isUnchanged } from '../is-unchanged.ts'
import { cidOf, pathOf } from '../parameters.ts'
import { PREFIX } from '../prefix.ts'
import type { Asked, Route } from '../route.ts'

const COMMON = {
  ...IMMUTABLE,
  'accept-ranges': 'bytes',
  'content-type': 'application/octet-stream',
  // What others stored is no page of this origin.
  'content-security-policy': "default-src 'none'; sandbox",
}

/** A file's bytes, or a range of them. */
export const catRoute: Route = {
  method: 'GET',
  path: `${PREFIX}/cat/{cid}/{path}`,
  scope: 'read',
  async run(asked) {
    const { request, store, signal } = asked
    const root = cidOf(asked)
    const path = pathOf(asked)
    const file = await store.stat(root, { path, signal })
    if (file.type !== 'file') throw noFile(file)
    const { size } = file
    const etag = `"${file.cid}"`
    const headers = { ...COMMON, etag }
    if (isUnchanged(request, etag)) return { status: 304, headers }
    const range = rangeOf(request, etag, size)
    if (range === 'unsatisfiable') {
      const contentRange = { 'content-range': `bytes */${size}` }
      throw new HttpError(416, 'OUT_OF_RANGE', `the file has ${size} bytes`, { headers: contentRange })
    }
    const { start, end } = range ?? { start: 0, end: size }
    const own = {
      'content-length': String(end - start),
      ...(range && { 'content-range': `bytes ${start}-${end - 1}/${size}` }),
    }
    const answer: Answer = { status: range ? 206 : 200, headers: { ...headers, ...own } }
    if (request.method === 'HEAD' || start === end) return answer
    const pieces = store.cat(root, { path, offset: start, length: end - start, signal })
    return { ...answer, body: await begun(exactly(pieces, end - start)) }
  },
}

function noFile({ cid, type }: ContentStat): HttpError {
  const hint = type === 'directory' ? `; ${PREFIX}/ls/${cid} lists it, and ${PREFIX}/car/${cid} has all of it` : ''
  return badRequest(`${cid} is a ${type}, not a file${hint}`)
}

function rangeOf({ method, headers }: Asked['request'], etag: string, size: number): ReturnType<typeof parseRange> {
  const ifRange = headers.get('if-range')
  const isAsked = method === 'GET' && (ifRange === null || ifRange.trim() === etag)
  return isAsked ? parseRange(headers.get('range'), size) : undefined
}

/** A body of another length than was announced is broken off. */
async function* exactly(pieces: AsyncIterable<Uint8Array>, length: number): AsyncGenerator<Uint8Array> {
  let left = length
  for await (const piece of pieces) {
    left -= piece.length
    if (left < 0) break
    yield piece
  }
  if (left === 0) return
  throw new BackendError(`the store gave ${left < 0 ? 'more' : 'fewer'} bytes than the file has`, { retryable: false })
}
