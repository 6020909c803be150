import {
  assertRange,
  pathSegments,
  readDirectory,
  readFile,
  resolvePath,
  walkDag,
  type CID,
  type NodeLink,
} from '@x/cid'

import type { BlockSource } from './block-source.ts'
import type { AbortOptions } from './blockstore.ts'
import type {
  CatOptions,
  ContentStat,
  ContentStore,
  DirectoryEntry,
  PathOptions,
  VerifyOptions,
} from './content-store.ts'
import { codeOf } from './error-code.ts'
import { BlockNotFoundError, NotFoundError } from './errors.ts'
import { atPlace, atPlaceInFile, joinPath } from './place.ts'
import { openSession } from './planned-session.ts'
import { startReceipt } from './receipt.ts'
import { createDagStat } from './stat-dag.ts'
import { readWholeDag } from './walk.ts'

/** What a store does without changing anything. */
export interface ContentReader extends Pick<ContentStore, 'cat' | 'stat' | 'ls' | 'has' | 'verify'> {
  /** Every block of a DAG. @throws {BlockNotFoundError} One of them is not held. */
  blocksOf(root: CID, options: AbortOptions): Promise<CID[]>
}

export interface ContentReaderParts {
  name: string
  blocks: BlockSource
  /** Start of every call. */
  enter: (options?: AbortOptions) => void
}

/** Entries of a directory that are looked up before their turn. */
const ENTRIES_AHEAD = 8

export function createContentReader({ name, blocks, enter }: ContentReaderParts): ContentReader {
  const get = (cid: CID, options: AbortOptions): Promise<Uint8Array> => blocks.get(cid, options)

  async function resolve(root: CID, { path = '', signal }: PathOptions): Promise<{ cid: CID; file: string }> {
    let cid = root
    let file = ''
    for (const segment of pathSegments(path)) {
      const within = file
      const next = await resolvePath(get, cid, segment, { signal }).catch((error: unknown) => {
        throw atPlace(error, { file: within })
      })
      file = joinPath(file, segment)
      if (next === undefined) throw new NotFoundError(`${root}/${file}`, { cid: root })
      cid = next
    }
    return { cid, file }
  }

  async function* cat(root: CID, options: CatOptions = {}): AsyncGenerator<Uint8Array> {
    const { offset = 0, length, signal, onReceipt } = options
    enter(options)
    assertRange(offset, length)
    const finish = startReceipt('cat', name)
    const { cid, file } = await resolve(root, options)
    let bytes = 0
    const session = openSession(blocks, cid, { offset, length, signal })
    try {
      for await (const piece of readFile(session.get, cid, { offset, length, signal })) {
        bytes += piece.length
        yield piece
      }
    } catch (error) {
      throw await atPlaceInFile(error, { get, root: cid, file, position: offset + bytes, signal })
    } finally {
      await session.close()
    }
    onReceipt?.(finish({ cid: root, bytes, verified: 'each-leaf' }))
  }

  async function stat(root: CID, options: PathOptions = {}): Promise<ContentStat> {
    enter(options)
    const { cid, file } = await resolve(root, options)
    const dag = createDagStat(blocks, options)
    try {
      return await dag.statOf(cid, file)
    } finally {
      dag.close()
    }
  }

  async function* ls(root: CID, options: PathOptions = {}): AsyncGenerator<DirectoryEntry> {
    enter(options)
    const { cid, file } = await resolve(root, options)
    const dag = createDagStat(blocks, options)
    // One round trip for each would take long where the blocks are far away.
    const coming: Promise<DirectoryEntry>[] = []
    try {
      for await (const { name: entry, cid: at } of entriesOf(cid, file, options)) {
        const next = dag.statOf(at, joinPath(file, entry)).then((found) => ({ name: entry, ...found }))
        // Who asks for it hears of a failure.
        next.catch(() => undefined)
        coming.push(next)
        const first = coming.length > ENTRIES_AHEAD ? coming.shift() : undefined
        if (first) yield await first
      }
      for (const last of coming) yield await last
    } finally {
      dag.close()
    }
  }

  async function* entriesOf(cid: CID, file: string, { signal }: AbortOptions): AsyncGenerator<NodeLink> {
    const session = openSession(blocks, cid, { scope: 'entity', signal })
    try {
      yield* readDirectory(session.get, cid, { signal })
    } catch (error) {
      throw atPlace(error, { file })
    } finally {
      await session.close()
    }
  }

  async function blocksOf(root: CID, { signal }: AbortOptions): Promise<CID[]> {
    const found: CID[] = []
    for await (const cid of walkDag(get, root, { signal })) {
      if (!(await blocks.has(cid, { signal }))) throw new BlockNotFoundError(cid)
      found.push(cid)
    }
    return found
  }

  async function has(root: CID, options: AbortOptions = {}): Promise<boolean> {
    enter(options)
    try {
      await blocksOf(root, options)
      return true
    } catch (error) {
      if (codeOf(error) === 'NOT_FOUND') return false
      throw error
    }
  }

  async function verify(root: CID, options: VerifyOptions = {}): Promise<number> {
    enter(options)
    const { cid, file } = await resolve(root, options)
    const session = openSession(blocks, cid, { signal: options.signal })
    try {
      return await readWholeDag(session.get, cid, { file }, options)
    } finally {
      await session.close()
    }
  }

  return { cat, stat, ls, has, verify, blocksOf }
}
