import { lfsPointer } from '@x/cid'
import { BackendError } from '@x/storage-core'

import { once, type Answer } from './answer.ts'
import { parseRanges, type ByteRange } from './byte-range.ts'
import { contentType, inline } from './content-type.ts'
import { toHex } from './git-object.ts'
import { HubError } from './hub-error.ts'
import type { HubFile, HubSnapshot } from './hub-repositories.ts'
import { notKept } from './not-kept.ts'
import type { SnapshotIndex } from './snapshot-index.ts'
import { withNext } from './with-next.ts'

export interface FileRequest {
  route: 'resolve' | 'raw'
  path: string
  method: 'GET' | 'HEAD'
  headers: Headers
  /** Of every answer about the snapshot. */
  common: Record<string, string>
  signal: AbortSignal
}

/**
 * A file, ranges of it, or that it has not changed. A `HEAD` reads nothing.
 *
 * @throws {HubError} 404: there is no such file. 412, 416.
 */
export async function serveFile(snapshot: HubSnapshot, index: SnapshotIndex, request: FileRequest): Promise<Answer> {
  const { route, path, method, common, signal } = request
  const file = index.files.get(path)
  if (!file) {
    if (index.omitted.has(path)) throw notKept('file', common)
    throw new HubError(404, 'Entry not found', { code: 'EntryNotFound', headers: common })
  }
  const { etag, size, linked, read } = contentOf(snapshot, file, route)
  const headers = {
    ...common,
    etag,
    'accept-ranges': 'bytes',
    'content-type': route === 'raw' ? 'text/plain; charset=utf-8' : contentType(path),
    'content-disposition': inline(path),
    // As the hub does: a page of somebody else's files is no page of this origin.
    'content-security-policy': "default-src 'none'; sandbox",
    ...linked,
  }
  if (isUnchanged(request, etag)) return { status: 304, headers, body: undefined }
  const ranges = askedRanges(request, etag, size)
  if (ranges === 'refused') {
    const contentRange = { ...common, 'content-range': `bytes */${size}` }
    throw new HubError(416, `the file has ${size} bytes`, { headers: contentRange })
  }
  const isHead = method === 'HEAD'
  const bytesOf = ({ start, end }: ByteRange): AsyncGenerator<Uint8Array> =>
    exactly(read({ offset: start, length: end - start, signal }), end - start, `${snapshot.repo}/${path}`)
  const [first, ...more] = ranges ?? []
  if (first === undefined) {
    const length = { 'content-length': String(size) }
    // @huggingface/hub learns sizes from `Range: bytes=0-0`, which no empty file can answer with 206.
    const emptyRange = size === 0 && request.headers.has('range') ? { 'content-range': 'bytes */0' } : {}
    const body = isHead || size === 0 ? undefined : await begun(bytesOf({ start: 0, end: size }))
    return { status: 200, headers: { ...headers, ...length, ...emptyRange }, body }
  }
  if (more.length === 0) {
    const contentRange = {
      'content-range': toContentRange(first, size),
      'content-length': String(first.end - first.start),
    }
    return { status: 206, headers: { ...headers, ...contentRange }, body: await begun(bytesOf(first)) }
  }
  return multipart({ ranges: [first, ...more], size, headers, bytesOf })
}

interface Content {
  etag: string
  size: number
  linked: Record<string, string>
  read: (options: { offset: number; length: number; signal: AbortSignal }) => AsyncIterable<Uint8Array>
}

/** The file, or what stands for it in git. Clients name what they keep by the tag. */
function contentOf(snapshot: HubSnapshot, file: HubFile, route: 'resolve' | 'raw'): Content {
  const { path, size, lfs, sha256, gitOid } = file
  if (lfs && sha256 && route === 'raw') {
    const pointer = new TextEncoder().encode(lfsPointer({ sha256, size }))
    return {
      etag: `"${gitOid}"`,
      size: pointer.length,
      linked: {},
      read: ({ offset, length }) => once(pointer.subarray(offset, offset + length)),
    }
  }
  const etag = `"${lfs && sha256 ? toHex(sha256) : gitOid}"`
  const linked = lfs ? { 'x-linked-etag': etag, 'x-linked-size': String(size) } : {}
  return { etag, size, linked, read: (options) => snapshot.read(path, options) }
}

const tagsOf = (header: string): readonly string[] =>
  [...header.matchAll(/(W\/)?("[^"]*")/g)].map(([, weak = '', tag = '']) => weak + tag)

/** @throws {HubError} 412: `If-Match` names another file. */
function isUnchanged({ headers }: FileRequest, etag: string): boolean {
  const match = headers.get('if-match')
  if (match !== null && match.trim() !== '*' && !tagsOf(match).includes(etag)) {
    throw new HubError(412, 'the file is another one', { headers: { etag } })
  }
  const noneMatch = headers.get('if-none-match')
  if (noneMatch === null) return false
  return noneMatch.trim() === '*' || tagsOf(noneMatch).some((tag) => tag.replace(/^W\//, '') === etag)
}

function askedRanges({ method, headers }: FileRequest, etag: string, size: number): ReturnType<typeof parseRanges> {
  const ifRange = headers.get('if-range')
  if (method !== 'GET' || size === 0 || (ifRange !== null && ifRange.trim() !== etag)) return undefined
  return parseRanges(headers.get('range'), size)
}

const toContentRange = ({ start, end }: ByteRange, size: number): string => `bytes ${start}-${end - 1}/${size}`

interface Multipart {
  ranges: readonly ByteRange[]
  size: number
  headers: Record<string, string>
  bytesOf: (range: ByteRange) => AsyncGenerator<Uint8Array>
}

/** @see https://www.rfc-editor.org/rfc/rfc9110#name-media-type-multipart-bytera */
async function multipart({ ranges, size, headers, bytesOf }: Multipart): Promise<Answer> {
  const boundary = toHex(crypto.getRandomValues(new Uint8Array(16)))
  const encoder = new TextEncoder()
  const { 'content-type': type, ...rest } = headers
  const heads = ranges.map((range, index) =>
    encoder.encode(
      `${index === 0 ? '' : '\r\n'}--${boundary}\r\nContent-Type: ${type}\r\nContent-Range: ${toContentRange(range, size)}\r\n\r\n`,
    ),
  )
  const end = encoder.encode(`\r\n--${boundary}--\r\n`)
  const length =
    heads.reduce((sum, head) => sum + head.length, end.length) +
    ranges.reduce((sum, range) => sum + range.end - range.start, 0)
  async function* parts(): AsyncGenerator<Uint8Array> {
    for (const [index, range] of ranges.entries()) {
      yield heads[index] ?? new Uint8Array()
      yield* bytesOf(range)
    }
    yield end
  }
  const own = { 'content-type': `multipart/byteranges; boundary=${boundary}`, 'content-length': String(length) }
  return { status: 206, headers: { ...rest, ...own }, body: await begun(parts()) }
}

/** A body of another length than was announced is broken off. */
async function* exactly(pieces: AsyncIterable<Uint8Array>, length: number, what: string): AsyncGenerator<Uint8Array> {
  let left = length
  for await (const piece of pieces) {
    left -= piece.length
    if (left < 0) break
    yield piece
  }
  if (left !== 0) {
    throw new BackendError(`${what}: ${left < 0 ? 'more' : 'fewer'} bytes than its listing has`, { retryable: false })
  }
}

/** Reads the first piece, so that what cannot be read at all is an error with a status. */
async function begun(pieces: AsyncGenerator<Uint8Array>): Promise<AsyncGenerator<Uint8Array>> {
  let first: IteratorResult<Uint8Array, unknown> | undefined = await pieces.next()
  return withNext(pieces, async () => {
    const result = first
    first = undefined
    return result ?? pieces.next()
  })
}
