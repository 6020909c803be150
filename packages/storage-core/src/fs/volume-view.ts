import { decodeNode, InvalidInputError, RAW, type CID } from '@x/cid'

import type { AbortOptions } from '../blockstore.ts'
import type { ContentStore, ContentType, Metadata } from '../content-store.ts'
import { NotFoundError } from '../errors.ts'
import { createByteGatherer } from '../gather-bytes.ts'
import { joinPath } from '../place.ts'
import { entriesOf, linkAt, type LinkTo, type TreeReader } from './tree-edit.ts'
import { volumePath } from './volume-path.ts'
import type { VolumeState } from './volume-state.ts'

export interface VolumeEntry {
  /** From the root; `''` is the root itself. */
  path: string
  type: ContentType
  cid: CID
  /** Bytes of a file, of a symlink's target; 0 for a directory. */
  size: number
  /** Of a symlink. */
  target?: string | undefined
  /** What the user keeps with the path. Default `{}`. */
  metadata: Metadata
}

export interface ReadFileOptions extends AbortOptions {
  /** First byte. Default 0; past the end gives nothing. */
  offset?: number | undefined
  /** Most bytes. Default: to the end. */
  length?: number | undefined
}

export interface ListOptions extends AbortOptions {
  /** Also what is below directories. Default true. */
  recursive?: boolean | undefined
}

/** A volume to read from, as it is or as it was. */
export interface VolumeView {
  /** @throws {NotFoundError} Nothing is there. */
  stat(path: string, options?: AbortOptions): Promise<VolumeEntry>
  /**
   * The bytes of a file, each leaf verified.
   *
   * @throws {NotFoundError} Nothing is there.
   * @throws {InvalidInputError} It is no file.
   */
  readFile(path: string, options?: ReadFileOptions): Promise<Uint8Array>
  /** As `readFile`, one piece after another. */
  createReadStream(path: string, options?: ReadFileOptions): AsyncIterable<Uint8Array>
  /**
   * What is below a directory, a directory before what is in it, in the order of their names. A file gives itself.
   *
   * @param path - Default the root.
   * @throws {NotFoundError} Nothing is there.
   */
  list(path?: string, options?: ListOptions): AsyncIterable<VolumeEntry>
}

/** @param load - Gives the state to read from, for each call. */
export function createVolumeView(
  store: ContentStore,
  load: (options: AbortOptions) => Promise<Pick<VolumeState, 'tree' | 'metadata'>>,
): VolumeView {
  const readerOf = ({ signal }: AbortOptions): TreeReader => ({
    get: (cid, options) => store.blocks.get(cid, options),
    signal,
  })

  async function find(path: string, options: AbortOptions) {
    const segments = volumePath(path)
    const reader = readerOf(options)
    const { tree, metadata } = await load(options)
    const link = await linkAt(reader, tree, segments)
    if (!link) throw new NotFoundError(path)
    return { reader, metadata, entry: await entryOf(reader, path, link.cid, { metadata, link }) }
  }

  async function* createReadStream(path: string, options: ReadFileOptions = {}): AsyncGenerator<Uint8Array> {
    const { entry } = await find(path, options)
    if (entry.type !== 'file') throw new InvalidInputError(`${path} is a ${entry.type}, not a file`, { input: path })
    yield* store.cat(entry.cid, options)
  }

  return {
    stat: async (path, options = {}) => (await find(path, options)).entry,
    createReadStream,
    async readFile(path, options) {
      const gathered = createByteGatherer()
      for await (const piece of createReadStream(path, options)) gathered.add(piece)
      return gathered.join()
    },
    async *list(path = '', { recursive = true, signal } = {}) {
      const { reader, metadata, entry } = await find(path, { signal })
      if (entry.type === 'directory') yield* below(reader, entry, { metadata }, recursive)
      else yield entry
    },
  }
}

async function entryOf(reader: TreeReader, path: string, cid: CID, of: Of): Promise<VolumeEntry> {
  const metadata = of.metadata.get(path) ?? {}
  // Of a raw leaf the link says how long it is: a list need not read the files.
  if (cid.code === RAW && of.link) return { path, type: 'file', cid, size: of.link.dagBytes, metadata }
  const node = decodeNode(cid, await reader.get(cid, { signal: reader.signal }))
  if (node.type === 'file') return { path, type: 'file', cid, size: node.fileBytes, metadata }
  if (node.type !== 'symlink') return { path, type: 'directory', cid, size: 0, metadata }
  const size = new TextEncoder().encode(node.target).length
  return { path, type: 'symlink', cid, size, target: node.target, metadata }
}

async function* below(reader: TreeReader, entry: VolumeEntry, of: Of, recursive: boolean): AsyncGenerator<VolumeEntry> {
  const links = [...(await entriesOf(reader, entry.cid)).values()]
  links.sort((a, b) => (a.name < b.name ? -1 : 1))
  for (const link of links) {
    const next = await entryOf(reader, joinPath(entry.path, link.name), link.cid, { ...of, link })
    yield next
    if (recursive && next.type === 'directory') yield* below(reader, next, of, recursive)
  }
}

interface Of {
  metadata: ReadonlyMap<string, Metadata>
  /** Where it is linked from. */
  link?: LinkTo | undefined
}
