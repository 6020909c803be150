import { InvalidInputError, profileOf, RAW, type Block, type CID, type NodeLink, type ProfileName } from '@x/cid'

import type { AbortOptions } from '../blockstore.ts'
import type { ContentStore, Metadata } from '../content-store.ts'
import { codeOf } from '../error-code.ts'
import { ConflictError, NotFoundError } from '../errors.ts'
import { measureHeld } from '../held-file.ts'
import { createKeyedLock } from '../lock.ts'
import { copyMetadata } from '../metadata.ts'
import { assertName } from '../names.ts'
import type { ByteSource } from '../source.ts'
import {
  emptyDirectory,
  linkAt,
  nodeTypeOf,
  withLink,
  type LinkTo,
  type TreeEdit,
  type TreeReader,
} from './tree-edit.ts'
import { volumePathBelow } from './volume-path.ts'
import { buildPastState, buildState, readState, type VolumeState, type VolumeVersion } from './volume-state.ts'
import { createVolumeView, type VolumeView } from './volume-view.ts'

export interface VolumeOptions {
  /** Older states that are kept; the oldest go first. Default 100. */
  historyLimit?: number | undefined
  /** Default `unixfs-v1-2025`. */
  profile?: ProfileName | undefined
}

export interface WriteOptions extends AbortOptions {
  /** Kept with the state that the write makes. */
  message?: string | undefined
}

/**
 * A directory tree under a mutable name. A write makes a new state of the whole tree, and moves the name when all of it is
 * stored: a write that fails or is stopped changes nothing. A writer who comes second does its change again over what the
 * first one made.
 *
 * Paths are relative to the root, `/`-separated; `INVALID_INPUT` when absolute, with an empty segment, `.`, `..` or a NUL.
 */
export interface Volume extends VolumeView {
  readonly name: string
  /** The state as it is now; `undefined` before the first write. */
  version(options?: AbortOptions): Promise<VolumeVersion | undefined>
  /**
   * Writes a file, and the directories above it. A file that was there is replaced, with its metadata.
   *
   * @param options.metadata - Kept with the path; the CID of the file does not depend on it. Default `{}`.
   * @param options.expected - Fail unless this is there now; `null`: unless nothing is. Default: whatever it is.
   * @throws {InvalidInputError} A directory is there, or something above is none.
   * @throws {ConflictError} Somebody else changed the very path meanwhile, or it is not as expected.
   */
  writeFile(
    path: string,
    bytes: ByteSource,
    options?: WriteOptions & { metadata?: Metadata | undefined; expected?: CID | null | undefined },
  ): Promise<VolumeVersion>
  /** Makes a directory and those above it. Changes nothing when it is there. */
  makeDirectory(path: string, options?: WriteOptions): Promise<VolumeVersion>
  /** Replaces the metadata of a path. @throws {NotFoundError} Nothing is there. */
  setMetadata(path: string, metadata: Metadata, options?: WriteOptions): Promise<VolumeVersion>
  /**
   * Moves a file, symlink or tree with its metadata. A file at `to` is replaced.
   *
   * @throws {NotFoundError} Nothing is there.
   * @throws {InvalidInputError} `to` is a directory, or below `from`.
   */
  rename(from: string, to: string, options?: WriteOptions): Promise<VolumeVersion>
  /**
   * Removes a file, symlink or empty directory.
   *
   * @param options.recursive - Also a directory with all that is in it. Default false.
   * @throws {NotFoundError} Nothing is there.
   * @throws {InvalidInputError} It is a directory that is not empty.
   */
  remove(path: string, options?: WriteOptions & { recursive?: boolean | undefined }): Promise<VolumeVersion>
  /** The states that are kept, the newest, which is the one now, first. */
  history(options?: AbortOptions): AsyncIterable<VolumeVersion>
  /** An older state, by its root or its number, to read from. @throws {NotFoundError} It is not kept. */
  at(version: CID | number): VolumeView
  /** Makes the tree and its metadata what they were, as a new state. @throws {NotFoundError} It is not kept. */
  restore(version: CID | number, options?: WriteOptions): Promise<VolumeVersion>
}

interface Tree {
  tree: LinkTo
  metadata: Map<string, Metadata>
}

interface Change {
  /** What the change is about. Who finds it changed by somebody else gives up. */
  paths: readonly (readonly string[])[]
  /** Makes the new tree; `undefined` when nothing is to be done. */
  make: (edit: TreeEdit, state: Tree, current: VolumeState | undefined) => Promise<Tree | undefined>
}

const DEFAULT_HISTORY = 100

/**
 * Opens the volume that `name` points to, or will point to after the first write. Any number of volumes, in any number of
 * processes that may share the store, may be open over one name.
 *
 * @throws {InvalidInputError} A name that is refused, or a limit that is no whole number from 0.
 */
export function openVolume(store: ContentStore, name: string, options: VolumeOptions = {}): Volume {
  const { historyLimit = DEFAULT_HISTORY, profile } = options
  assertName(name)
  profileOf(profile)
  if (!Number.isSafeInteger(historyLimit) || historyLimit < 0) {
    throw new InvalidInputError(`historyLimit ${historyLimit} is no whole number from 0`, { input: `${historyLimit}` })
  }
  const turn = createKeyedLock()

  const readerOf = ({ signal }: AbortOptions): TreeReader => ({
    get: (cid, given) => store.blocks.get(cid, given),
    signal,
  })

  async function current(given: AbortOptions): Promise<{ at: CID; state: VolumeState } | undefined> {
    const record = await store.names.get(name, given)
    return record && { at: record.cid, state: await readState(readerOf(given), record.cid) }
  }

  async function commit({ paths, make }: Change, { message, signal }: WriteOptions): Promise<VolumeVersion> {
    return turn('write', () => commitInTurn(), signal)

    async function commitInTurn(): Promise<VolumeVersion> {
      let first: (LinkTo | undefined)[] | undefined
      for (;;) {
        signal?.throwIfAborted()
        const fresh = new Map<string, Block>()
        const edit: TreeEdit = {
          // What the change has made is not stored before it is whole.
          get: async (cid, given) => fresh.get(cid.toString())?.bytes ?? store.blocks.get(cid, given),
          signal,
          profile,
          onBlock: (block) => void fresh.set(block.cid.toString(), block),
        }
        const now = await current({ signal })
        const before = await treeNow(edit, now?.state)
        const there = await Promise.all(paths.map((path) => linkAt(edit, before.tree, path)))
        first ??= there
        const changed = there.findIndex((link, index) => !isSame(link, first?.[index]))
        if (changed !== -1) {
          const path = paths[changed]?.join('/') ?? ''
          throw new ConflictError(`${name}: ${JSON.stringify(path)} was changed by somebody else`, {
            current: there[changed]?.cid,
          })
        }
        const made = await make(edit, before, now?.state)
        if (!made && now) return versionOf(now.state)
        const { tree, metadata } = made ?? before
        const history = now && historyLimit > 0 ? await withPast(edit, now) : new Map<string, NodeLink>()
        const state: VolumeState = {
          sequence: (now?.state.sequence ?? 0) + 1,
          time: new Date().toISOString(),
          message,
          tree,
          metadata,
          history,
        }
        const root = await buildState(state, edit)
        if (await publish(root, { expected: now?.at ?? null, fresh: [...fresh.values()], signal })) {
          return versionOf(state)
        }
      }
    }
  }

  async function withPast(edit: TreeEdit, now: { at: CID; state: VolumeState }): Promise<Map<string, NodeLink>> {
    const key = String(now.state.sequence)
    const past: NodeLink = { name: key, ...(await buildPastState(edit, now.at, edit)) }
    const all = [...now.state.history.values(), past].toSorted((a, b) => Number(a.name) - Number(b.name))
    return new Map(all.slice(-historyLimit).map((link) => [link.name, link]))
  }

  /** Resolves to whether the name has moved; `false`: somebody else moved it before. */
  async function publish(
    root: CID,
    { expected, fresh, signal }: { expected: CID | null; fresh: readonly Block[]; signal: AbortSignal | undefined },
  ): Promise<boolean> {
    for (const { cid, bytes } of fresh) await store.blocks.put(cid, bytes, { signal })
    try {
      await store.names.set(name, root, { expected, signal })
    } catch (error) {
      if (codeOf(error) === 'CONFLICT') return false
      throw error
    }
    // Nothing kept them before the name did: a collection may have taken one. Not stopped any more, for the name has moved.
    for (const { cid, bytes } of fresh) if (!(await store.blocks.has(cid))) await store.blocks.put(cid, bytes)
    return true
  }

  const treeOfNow = async (given: AbortOptions): Promise<Tree> => {
    const now = await current(given)
    if (now) return { tree: now.state.tree, metadata: new Map(now.state.metadata) }
    throw new NotFoundError(name, { message: `the volume ${name} has no state yet` })
  }

  async function find(version: CID | number, now: VolumeState | undefined, reader: TreeReader): Promise<VolumeState> {
    const isIt = (state: VolumeState): boolean =>
      typeof version === 'number' ? state.sequence === version : state.tree.cid.equals(version)
    if (now && isIt(now)) return now
    const past = [...(now?.history.values() ?? [])].toSorted((a, b) => Number(b.name) - Number(a.name))
    for (const link of past) {
      if (typeof version === 'number' && link.name !== String(version)) continue
      const state = await readState(reader, link.cid)
      if (isIt(state)) return state
    }
    throw new NotFoundError(`${name}@${version}`)
  }

  async function writeFile(
    path: string,
    bytes: ByteSource,
    { metadata: given, expected, ...rest }: NonNullable<Parameters<Volume['writeFile']>[2]> = {},
  ): Promise<VolumeVersion> {
    const segments = volumePathBelow(path)
    const metadata = given && copyMetadata(given)
    const { signal } = rest
    // Kept by a name of its own until the tree has it; its pin would be confused with the user's.
    const holder = `volume-writes/${crypto.randomUUID()}`
    const added = await store.add(bytes, { name: holder, pin: false, profile, signal })
    try {
      const link = await linkToFile(added.cid, added.size, { signal })
      return await commit(
        {
          paths: [segments],
          make: async (edit, { tree, metadata: all }) => {
            const there = await linkAt(edit, tree, segments)
            if (expected !== undefined && !isSame(there, expected ? { cid: expected } : undefined)) {
              throw new ConflictError(`${name}: ${path} is not as expected`, { current: there?.cid })
            }
            await assertNoDirectory(edit, there, path)
            all.delete(path)
            if (metadata && Object.keys(metadata).length > 0) all.set(path, metadata)
            return { tree: await withLink(edit, tree, segments, link), metadata: all }
          },
        },
        rest,
      )
    } finally {
      await store.names.delete(holder)
    }
  }

  async function linkToFile(cid: CID, size: number, given: AbortOptions): Promise<LinkTo> {
    if (cid.code === RAW) return { cid, dagBytes: size }
    const built = await measureHeld({ keep: async () => true, getBlock: readerOf(given).get }, cid, given)
    if (!built) throw new NotFoundError(cid.toString(), { cid })
    return { cid, dagBytes: built.dagBytes }
  }

  return {
    name,
    ...createVolumeView(store, treeOfNow),
    async version(given = {}) {
      const now = await current(given)
      return now && versionOf(now.state)
    },
    writeFile,
    async makeDirectory(path, given = {}) {
      const segments = volumePathBelow(path)
      const make: Change['make'] = async (edit, { tree, metadata }) => {
        const there = await linkAt(edit, tree, segments)
        if (there && (await nodeTypeOf(edit, there.cid)) === 'directory') return undefined
        if (there) throw new InvalidInputError(`${path} is there and is no directory`, { input: path })
        return { tree: await withLink(edit, tree, segments, await emptyDirectory(edit)), metadata }
      }
      return commit({ paths: [], make }, given)
    },
    async setMetadata(path, given, rest = {}) {
      const segments = volumePathBelow(path)
      const copy = copyMetadata(given)
      const make: Change['make'] = async (edit, { tree, metadata }) => {
        if (!(await linkAt(edit, tree, segments))) throw new NotFoundError(path)
        metadata.delete(path)
        if (Object.keys(copy).length > 0) metadata.set(path, copy)
        return { tree, metadata }
      }
      return commit({ paths: [segments], make }, rest)
    },
    async rename(from, to, given = {}) {
      const [source, target] = [volumePathBelow(from), volumePathBelow(to)]
      if (to.startsWith(`${from}/`)) throw new InvalidInputError(`${to} is below ${from}`, { input: to })
      const make: Change['make'] = async (edit, { tree, metadata }) => {
        const link = await linkAt(edit, tree, source)
        if (!link) throw new NotFoundError(from)
        if (from === to) return undefined
        await assertNoDirectory(edit, await linkAt(edit, tree, target), to)
        const without = await withLink(edit, tree, source, undefined)
        metadata.delete(to)
        for (const path of pathsUnder(metadata, from)) {
          const kept = metadata.get(path)
          metadata.delete(path)
          if (kept) metadata.set(to + path.slice(from.length), kept)
        }
        return { tree: await withLink(edit, without, target, link), metadata }
      }
      return commit({ paths: [source, target], make }, given)
    },
    async remove(path, { recursive = false, ...rest } = {}) {
      const segments = volumePathBelow(path)
      const make: Change['make'] = async (edit, { tree, metadata }) => {
        const link = await linkAt(edit, tree, segments)
        if (!link) throw new NotFoundError(path)
        if (!recursive && !link.cid.equals((await emptyDirectory(edit)).cid)) {
          await assertNoDirectory(edit, link, path)
        }
        for (const under of pathsUnder(metadata, path)) metadata.delete(under)
        return { tree: await withLink(edit, tree, segments, undefined), metadata }
      }
      return commit({ paths: [segments], make }, rest)
    },
    async *history(given = {}) {
      const now = await current(given)
      if (!now) return
      yield versionOf(now.state)
      const past = [...now.state.history.values()].toSorted((a, b) => Number(b.name) - Number(a.name))
      for (const link of past) yield versionOf(await readState(readerOf(given), link.cid))
    },
    at: (version) =>
      createVolumeView(store, async (given) => find(version, (await current(given))?.state, readerOf(given))),
    restore: (version, given = {}) =>
      commit(
        {
          paths: [],
          make: async (edit, _tree, now) => {
            const { tree, metadata } = await find(version, now, edit)
            return { tree, metadata: new Map(metadata) }
          },
        },
        given,
      ),
  }
}

async function treeNow(edit: TreeEdit, state: VolumeState | undefined): Promise<Tree> {
  if (state) return { tree: state.tree, metadata: new Map(state.metadata) }
  return { tree: await emptyDirectory(edit), metadata: new Map() }
}

async function assertNoDirectory(reader: TreeReader, link: LinkTo | undefined, path: string): Promise<void> {
  if (link && (await nodeTypeOf(reader, link.cid)) === 'directory') {
    throw new InvalidInputError(`${path} is a directory`, { input: path })
  }
}

const pathsUnder = (metadata: ReadonlyMap<string, Metadata>, path: string): string[] =>
  [...metadata.keys()].filter((key) => key === path || key.startsWith(`${path}/`))

const isSame = (a: Pick<LinkTo, 'cid'> | undefined, b: Pick<LinkTo, 'cid'> | undefined): boolean =>
  a && b ? a.cid.equals(b.cid) : a === b

const versionOf = ({ tree, sequence, time, message }: VolumeState): VolumeVersion => ({
  root: tree.cid,
  sequence,
  time,
  ...(message !== undefined && { message }),
})
