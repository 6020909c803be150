import { InvalidInputError } from '@x/cid'
import { BackendError, type AbortOptions } from '@x/storage-core'
import { discard, readBody } from '@x/storage-core/backend'

import { failureOf, type HubContext } from './context.ts'
import { etagText, isStrong } from './etag.ts'
import { createRetry, LEAST_PROGRESS_BYTES } from './retry.ts'
import type { Answer } from './send.ts'

/** A file whose bytes are wanted. Everything but the path is compared with what the hub says of it, where it does. */
export interface WantedHubFile {
  path: string
  /** Bytes. */
  size?: number | undefined
  /** 32 bytes. */
  sha256?: Uint8Array | undefined
  /** 40 hex. */
  gitOid?: string | undefined
}

export interface ReadFileOptions extends AbortOptions {
  /** Where to begin. Bytes; default 0. */
  offset?: number | undefined
  /** How many bytes. Default: to the end. */
  length?: number | undefined
  /** As `RetryOptions.attempts`, for this read; 1: what breaks off is an error. Default: the client's. */
  attempts?: number | undefined
}

/** What a whole answer to a request for a part may have before that part. */
const MAX_SKIPPED_BYTES = 8 * 2 ** 20

/** The address of a file; each segment is escaped. */
const fileUrl = ({ endpoint }: HubContext, repo: string, revision: string, path: string): URL =>
  new URL(
    `${repo}/resolve/${encodeURIComponent(revision)}/${path.split('/').map(encodeURIComponent).join('/')}`,
    endpoint.base,
  )

/**
 * Bytes of a file as they arrive, unchecked: whoever asked knows a digest. What breaks off is asked for again from where
 * it broke, as long as something came. Exactly the bytes asked for, or an error.
 *
 * @throws {NotFoundError} The hub says that there is no such file, revision or repository.
 * @throws {BackendError} It failed, or answers with another file than was listed, or with a page.
 * @throws {InvalidInputError} The range is outside of the file.
 */
export async function* readHubFile(
  context: HubContext,
  repo: string,
  commit: string,
  file: WantedHubFile,
  { offset = 0, length, attempts = context.retry.attempts, signal }: ReadFileOptions,
): AsyncGenerator<Uint8Array> {
  assertRange(file, offset, length)
  const end = length !== undefined ? offset + length : file.size
  if (end === offset && !(offset === 0 && file.size === undefined && length === undefined)) return
  const request: FileRequest = { context, repo, commit, file, size: file.size, end, validators: new Map(), signal }
  const retry = createRetry({ ...context.retry, attempts })
  let at = offset
  for (;;) {
    try {
      const { pieces, isLast } = await openAnswer(request, at)
      for await (const piece of pieces) {
        at += piece.length
        retry.noteProgress(piece.length)
        yield piece
      }
      if (isLast(at)) return
    } catch (error) {
      await retry.next(error, signal)
    }
  }
}

interface FileRequest {
  context: HubContext
  repo: string
  commit: string
  file: WantedHubFile
  /** The file's, as it is listed, or as the first answer said that has it. Bytes. */
  size: number | undefined
  /** Bytes; `undefined`: the file's end, which is not known. */
  end: number | undefined
  /** What an origin called the file, so that what is read later is of the same one. */
  validators: Map<string, string>
  signal: AbortSignal | undefined
}

interface FileAnswer {
  pieces: AsyncIterable<Uint8Array>
  /** Whether nothing is missing when so much has been read. */
  isLast: (at: number) => boolean
}

async function openAnswer(request: FileRequest, at: number): Promise<FileAnswer> {
  const { context, repo, commit, file, end, validators, signal } = request
  const { send, stallTimeoutMs, endpoint } = context
  const isWhole = at === 0 && (end === undefined || end === file.size)
  const range = isWhole ? undefined : `bytes=${at}-${end === undefined ? '' : end - 1}`
  const answer = await send(fileUrl(context, repo, commit, file.path), {
    headersFor: (origin) => {
      const validator = validators.get(origin)
      return {
        accept: '*/*',
        'accept-encoding': 'identity',
        ...(range !== undefined && { range }),
        ...(range !== undefined && validator !== undefined && { 'if-range': validator }),
      }
    },
    stallTimeoutMs,
    signal,
    onRedirect: (response) => assertSameFile(request, response.headers),
  })
  const { response, origin } = answer
  try {
    const span = spanOf(request, answer, range !== undefined, at)
    if (origin === endpoint.base.origin) assertSameFile(request, response.headers)
    const etag = response.headers.get('etag')
    if (isStrong(etag)) validators.set(origin, etag)
    const body = readBody(response, { label: endpoint.label, signal, stallTimeoutMs })
    return {
      pieces: within(body, span, at, (why) => refuse(request, why, true)),
      isLast: (read) => (end === undefined ? span.total === undefined || read === span.total : read === end),
    }
  } catch (error) {
    discard(response)
    throw error
  }
}

/** Which bytes an answer has, `until` behind the last one that is wanted. */
interface Span {
  start: number
  /** Bytes; `undefined`: until the answer ends. */
  until: number | undefined
  /** The file's size, where the answer says it. */
  total: number | undefined
}

function spanOf(request: FileRequest, { response }: Answer, isRange: boolean, at: number): Span {
  const { context, repo, commit, file, end } = request
  const { status, headers } = response
  if (status === 416) return refuse(request, 'it says that the file ends before the bytes that were asked for')
  if (status !== 200 && status !== 206) {
    throw failureOf(context, { repo, revision: commit, path: file.path }, response)
  }
  const type = headers.get('content-type') ?? ''
  if (/^text\/html\b/i.test(type) && !/\.html?$/i.test(file.path)) return refuse(request, 'it answers with a page')
  if (/^application\/vnd\.xet-/i.test(type)) return refuse(request, 'it answers with Xet, which was not asked for')
  const encoding = headers.get('content-encoding')
  const isEncoded = encoding !== null && encoding !== 'identity'
  if (status === 206) {
    if (!isRange) return refuse(request, 'it answers with a part, and all was asked for')
    if (isEncoded) return refuse(request, `it answers with a part that is encoded as ${encoding}`)
    const [, first, final, whole] = /^bytes (\d+)-(\d+)\/(\d+|\*)$/.exec(headers.get('content-range') ?? '') ?? []
    const [start, until] = [Number(first ?? Number.NaN), Number(final ?? Number.NaN) + 1]
    assertSize(request, whole === undefined || whole === '*' ? undefined : Number(whole))
    const total = request.size
    const last = end ?? total
    if (start !== at || !(until > at) || (last !== undefined && until > last)) {
      return refuse(request, 'it answers with another part than was asked for')
    }
    if (last === undefined) return refuse(request, 'it answers with a part, and not with the size of the whole')
    // Or a file could take a request for each byte.
    if (until < Math.min(last, at + LEAST_PROGRESS_BYTES, total ?? last)) {
      return refuse(request, `it answers with ${until - start} bytes, and ${last - at} were asked for`)
    }
    return { start, until, total }
  }
  const length = headers.get('content-length')
  assertSize(request, length === null || isEncoded ? undefined : Number(length))
  const total = request.size
  if (total !== undefined && end !== undefined && total < end) {
    return refuse(request, `it has ${total} bytes, and byte ${end} was asked for`)
  }
  if (at > MAX_SKIPPED_BYTES) return refuse(request, `it sends the whole file, and byte ${at} was asked for`)
  return { start: 0, until: end ?? total, total }
}

/** The bytes from `at` on, until the span ends. A body that ends before is broken. */
async function* within(
  body: AsyncIterable<Uint8Array>,
  { start, until, total }: Span,
  at: number,
  broken: (why: string) => never,
): AsyncGenerator<Uint8Array> {
  let position = start
  for await (const piece of body) {
    const from = Math.max(0, at - position)
    const to = until === undefined ? piece.length : Math.min(piece.length, until - position)
    position += piece.length
    if (from < to) yield piece.subarray(from, to)
    // The rest of a whole file is not wanted. A part ends here anyway.
    if (until !== undefined && position >= until) return
  }
  const missing = until ?? total
  if (missing !== undefined && position < missing) broken(`it ends after ${position - start} bytes`)
}

function assertSize(request: FileRequest, total: number | undefined): void {
  if (total === undefined) return
  request.size ??= total
  if (total === request.size) return
  refuse(request, `it has ${total} bytes, and ${request.size} are listed or were said before`)
}

/** Compares what the hub itself says of the file, which a CDN that it sends to may call otherwise. */
function assertSameFile(request: FileRequest, headers: Headers): void {
  const { file, commit } = request
  const said = headers.get('x-repo-commit')
  if (said !== null && said !== commit) refuse(request, `it answers for commit ${JSON.stringify(said.slice(0, 40))}`)
  const size = headers.get('x-linked-size')
  if (size !== null && file.size !== undefined && Number(size) !== file.size) {
    refuse(request, `it has ${Number(size)} bytes, and ${file.size} are listed`)
  }
  const tag = etagText(headers.get('x-linked-etag') ?? headers.get('etag'))
  const digest = file.sha256 && toHex(file.sha256)
  // Tags of another form are not the hub's; the bytes are checked anyway.
  const isOther =
    (digest !== undefined && tag !== undefined && /^[0-9a-f]{64}$/.test(tag) && tag !== digest) ||
    (file.gitOid !== undefined && tag !== undefined && /^[0-9a-f]{40}$/.test(tag) && tag !== file.gitOid)
  if (isOther) refuse(request, 'it has another file than was listed')
}

const isCount = (count: number): boolean => Number.isSafeInteger(count) && count >= 0

function assertRange({ path, size }: WantedHubFile, offset: number, length: number | undefined): void {
  if (!isCount(offset) || (length !== undefined && !isCount(offset + length)) || (length ?? 0) < 0) {
    throw new InvalidInputError('offset and length must be whole numbers of bytes', { input: `${offset}` })
  }
  if (size !== undefined && offset + (length ?? 0) > size) {
    const until = offset + (length ?? 0)
    throw new InvalidInputError(`${path} has ${size} bytes, and byte ${until} was asked for`, { input: `${until}` })
  }
}

function refuse({ context, repo, commit, file }: FileRequest, why: string, retryable = false): never {
  throw new BackendError(`${context.endpoint.label}: ${repo}@${commit}/${file.path}: ${why}`, { retryable })
}

const toHex = (bytes: Uint8Array): string => Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('')
