import {
  DAG_PB,
  decodeNode,
  IntegrityError,
  RAW,
  readOutboard,
  UnsupportedError,
  verifyLeaf,
  type Block,
  type CID,
  type Outboard,
} from '@x/cid'
import { BackendError, BlockNotFoundError, type AbortOptions } from '@x/storage-core'
import {
  blockKey,
  codeOf,
  createSlots,
  discard,
  otherStaticVersion,
  STATIC_VERSION_PATH,
  staticBlockPath,
  staticDataPath,
  staticOutboardPath,
  type Want,
} from '@x/storage-core/backend'

import { causeOf, HttpStatusError, isRetryable, StreamRefusedError } from './failure.ts'
import { assertNotAPage, getBlock, request, type Connection } from './get-block.ts'
import { createKnownFiles, type KnownFile } from './known-files.ts'
import { openFileBytes, type FileBytes } from './open-file-bytes.ts'
import { probeInTime } from './probe-in-time.ts'
import { createPulse, readShortBody } from './read-body.ts'
import type { AskOptions, BlockStream, Upstream } from './upstream.ts'

export interface Explaining {
  /**
   * What it means that the folder's own file is not given, for a server that has more to say than a status. The body of the
   * answer is not read yet. Default: the status.
   *
   * @param path - Of that file, below the address.
   */
  explain?: ((response: Response, path: string, options: AbortOptions) => Promise<Error>) | undefined
}

export interface StaticUpstreamOptions extends Connection, Explaining {
  maxRequests: number
  maxStreams: number
  maxOutboardBytes: number
}

const VERSION_BYTES = 4096
// Outboards that are kept. About 1 GiB of file for each 32 KiB.
const KEPT_OUTBOARD_BYTES = 16 * 1024 * 1024
// Without ranges each leaf would cost all that comes before it: those of a long file, one by one, its length many times.
const MOST_SKIPPED_FOR_A_LEAF = 16 * 1024 * 1024

/** A static folder. What is in it is named by CIDs and may lie, as everywhere. */
export function createStaticUpstream(options: StaticUpstreamOptions): Upstream {
  const { endpoint, health, send, stallTimeoutMs, maxRequests, maxStreams, maxOutboardBytes, explain } = options
  const { label } = endpoint
  const requests = createSlots(maxRequests)
  const known = createKnownFiles({ maxBytes: KEPT_OUTBOARD_BYTES })
  let isFolder = false
  let openStreams = 0

  /** Once: else what is absent could not be told from a folder that is not there. */
  async function assertFolder({ signal }: AbortOptions): Promise<void> {
    if (isFolder) return
    await readVersion({ signal })
    isFolder = true
  }

  async function readVersion({ signal }: AbortOptions): Promise<void> {
    const waiting = { signal, stallTimeoutMs }
    const response = await send(endpoint, STATIC_VERSION_PATH, waiting)
    const { status } = response
    if (status !== 200 && explain) {
      const cause = await explain(response, STATIC_VERSION_PATH, { signal })
      // Also where it says that something is absent: of what was asked for that tells nothing.
      const retryable = cause instanceof BackendError ? cause.retryable : isRetryable(status)
      const message = codeOf(cause) === 'NOT_FOUND' ? `${cause.message}; it is no static folder` : cause.message
      throw new BackendError(message, { cause, retryable })
    }
    const bytes = await readShortBody(response, VERSION_BYTES, { label, pulse: createPulse(), ...waiting })
    if (status !== 200 || bytes === undefined) {
      const isOther = status === 200 || status === 404 || status === 410
      const got = status === 200 ? `over ${VERSION_BYTES} bytes` : `HTTP status ${status}`
      const message = `${label}: ${isOther ? 'it is no static folder: ' : ''}${got} for ${STATIC_VERSION_PATH}`
      throw new BackendError(message, { retryable: isRetryable(status) })
    }
    assertVersion(label, bytes)
  }

  async function fileOf(cid: CID, asked: AskOptions): Promise<KnownFile | undefined> {
    const found = known.get(cid)
    if (found) return found
    const encoded = await readOutboardBytes(cid, asked)
    if (encoded === undefined) return undefined
    return known.add(cid, await readOutboard(cid, encoded), encoded.length)
  }

  /** `undefined` when there is none. */
  async function readOutboardBytes(cid: CID, { signal, pulse }: AskOptions): Promise<Uint8Array | undefined> {
    const path = staticOutboardPath(cid)
    // 403: absent in a bucket that may not be listed, or hidden. Where else the block could be will tell.
    const response = await request(options, path, cid, { signal, expected: [200, 403, 404, 410] })
    if (response.status !== 200) {
      discard(response)
      return undefined
    }
    assertNotAPage(options, response)
    const bytes = await readShortBody(response, maxOutboardBytes, { label, pulse, signal, stallTimeoutMs })
    if (bytes) return bytes
    throw new BackendError(`${label}: ${path} has over ${maxOutboardBytes} bytes`, { retryable: false })
  }

  async function blockOfFile(file: KnownFile, cid: CID, asked: AskOptions): Promise<Uint8Array> {
    const { outboard } = file
    const key = blockKey(cid)
    const index = file.leafIndex(key)
    if (index === undefined) return outboard.nodes.get(key)?.slice() ?? raise(new BlockNotFoundError(cid))
    const { offset, length } = outboard.leaf(index)
    if (length === 0) return verifyLeaf(outboard, index, new Uint8Array())
    // Who reads in order asks for few alone: the last one of a file, or the one that a store lacks.
    const maxSkippedBytes = asked.inOrder ? undefined : MOST_SKIPPED_FOR_A_LEAF
    const part = { cid: file.cid, outboard, offset, length, maxSkippedBytes }
    const bytes = await openFileBytes(options, part, asked)
    try {
      const leaf = await verifyLeaf(outboard, index, await bytes.take(length))
      asked.pulse.blocks += 1
      return leaf
    } finally {
      bytes.close()
    }
  }

  async function block(cid: CID, asked: AskOptions): Promise<Uint8Array> {
    await assertFolder(asked)
    const holder = known.holderOf(cid) ?? (cid.code === DAG_PB ? await fileOf(cid, asked) : undefined)
    if (holder) return blockOfFile(holder, cid, asked)
    const paths = [...(cid.code === RAW ? [staticDataPath(cid)] : []), staticBlockPath(cid)]
    const failures: unknown[] = []
    for (const path of paths) {
      try {
        return await getBlock(options, path, cid, asked)
      } catch (error) {
        failures.push(error)
        if (codeOf(error) !== 'NOT_FOUND' && !isForbidden(error)) throw error
      }
    }
    // What is hidden may be there.
    throw failures.find(isForbidden) ?? failures[0]
  }

  async function isThere(path: string, cid: CID, { signal }: AskOptions): Promise<boolean> {
    const expected = [200, 404, 410]
    const head = await request(options, path, cid, { method: 'HEAD', signal, expected: [...expected, 405, 501] })
    discard(head)
    if (head.status !== 405 && head.status !== 501) return head.status === 200
    const response = await request(options, path, cid, { signal, expected })
    discard(response)
    return response.status === 200
  }

  async function has(cid: CID, asked: AskOptions): Promise<boolean> {
    await assertFolder(asked)
    if (known.holderOf(cid)) return true
    const paths = [staticBlockPath(cid)]
    if (cid.code === RAW) paths.unshift(staticDataPath(cid))
    if (cid.code === DAG_PB) paths.unshift(staticOutboardPath(cid))
    let forbidden: unknown
    for (const path of paths) {
      try {
        if (await isThere(path, cid, asked)) return true
      } catch (error) {
        if (!isForbidden(error)) throw error
        forbidden = error
      }
    }
    if (forbidden === undefined) return false
    throw forbidden
  }

  async function stream({ cid, file, from, to }: Want, asked: AskOptions): Promise<BlockStream> {
    await assertFolder(asked)
    const found = await fileOf(file?.cid ?? cid, asked)
    if (!found) throw new StreamRefusedError(`${file?.cid ?? cid} is no file with an outboard`)
    const blockStart = file?.start ?? 0
    const end = Math.min(file?.end ?? to, found.outboard.fileBytes)
    openStreams += 1
    return streamFile(found, { blockStart, start: blockStart + Math.max(0, from), end }, asked)
  }

  function streamFile({ cid, outboard }: KnownFile, range: FileRange, asked: AskOptions): BlockStream {
    let bytes: FileBytes | undefined
    let isOpen = true
    const leave = (): void => {
      if (!isOpen) return
      isOpen = false
      openStreams -= 1
      bytes?.close()
    }

    async function readLeaf(index: number): Promise<Uint8Array> {
      const { offset, length } = outboard.leaf(index)
      if (length === 0) return new Uint8Array()
      const last = outboard.leaf(outboard.leafAt(range.end - 1))
      bytes ??= await openFileBytes(
        options,
        { cid, outboard, offset, length: last.offset + last.length - offset },
        asked,
      )
      return bytes.take(length)
    }

    const blocks = blocksOf(outboard, range, readLeaf)
    return {
      repeats: true,
      async next() {
        const { value, done } = await blocks.next()
        if (done === true) {
          leave()
          return undefined
        }
        asked.pulse.blocks += 1
        return value
      },
      close: leave,
    }
  }

  return {
    label,
    health,
    get streams() {
      return openStreams < maxStreams
    },
    block: (cid, asked) => requests.run(() => block(cid, asked), asked.signal),
    has: (cid, asked) => requests.run(() => has(cid, asked), asked.signal),
    stream,
    // Each file is asked for anew: another one may be whole.
    noteStream: () => undefined,
    probe: (asked) => probeInTime(options, readVersion, asked),
  }
}

/** So a bucket that may not be listed says that something is absent. */
function isForbidden(error: unknown): boolean {
  const cause = causeOf(error)
  return cause instanceof HttpStatusError && cause.status === 403
}

function raise(error: Error): never {
  throw error
}

interface FileRange {
  /** Where the block begins that is the first to be given. */
  blockStart: number
  /** The first byte that is wanted. */
  start: number
  /** The byte after the last one. */
  end: number
}

/** The blocks of a range of a file, depth-first, from the one on that begins at `blockStart`, or nodes that begin with it. */
async function* blocksOf(
  outboard: Outboard,
  { blockStart, start, end }: FileRange,
  readLeaf: (index: number) => Promise<Uint8Array>,
): AsyncGenerator<Block> {
  const stack = [{ cid: outboard.root, from: 0, to: outboard.fileBytes }]
  for (let next = stack.pop(); next !== undefined; next = stack.pop()) {
    const { cid, from, to } = next
    const node = outboard.nodes.get(blockKey(cid))
    if (node === undefined) {
      const index = outboard.leafAt(from)
      yield { cid, bytes: await verifyLeaf(outboard, index, await readLeaf(index)) }
      continue
    }
    if (from >= blockStart) yield { cid, bytes: node.slice() }
    const decoded = decodeNode(cid, node)
    if (decoded.type !== 'file') throw new IntegrityError(`${cid} is no part of a file`, { cid })
    let position = from
    const below: typeof stack = []
    for (const child of decoded.children) {
      const childEnd = position + child.fileBytes
      if (child.fileBytes > 0 && childEnd > start && position < end)
        below.push({ cid: child.cid, from: position, to: childEnd })
      position = childEnd
    }
    stack.push(...below.toReversed())
    if (to !== position) throw new IntegrityError(`${cid} disagrees with its parent about its size`, { cid })
  }
}

function assertVersion(label: string, bytes: Uint8Array): void {
  const other = otherStaticVersion(bytes)
  if (other === undefined) return
  const { why, isStaticFolder, cause } = other
  const message = `${label}: ${isStaticFolder ? '' : 'it is no static folder: '}${STATIC_VERSION_PATH} ${why}`
  throw isStaticFolder ? new UnsupportedError(message) : new BackendError(message, { cause, retryable: false })
}
