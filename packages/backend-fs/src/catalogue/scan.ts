import { constants } from 'node:fs'
import { open, readdir, readFile, stat } from 'node:fs/promises'
import { basename, join } from 'node:path'

import { encodeWrappedLeaf, IntegrityError, isStorageError, MAX_BLOCK_BYTES, readOutboard, type CID } from '@x/cid'

import type { StoreContext } from '../context.ts'
import { ifThere, onDisk } from '../disk-error.ts'
import { isObject } from '../json.ts'
import { cidOfKey, keyOf } from '../layout.ts'
import { readAt, readPack } from '../packs/read-pack.ts'
import { partsOf } from '../parts-of.ts'
import { plainBytes } from '../plain-bytes.ts'
import { readRecord } from '../record-file.ts'
import type { Turn } from './catalogue.ts'
import type { PackedBlock } from './places.ts'

/** What lies in the store tells where everything is: this is how a lost index is found again. */
export interface Scanner {
  /** Takes in what the index does not know, and drops what has gone. Packs are hashed; of files the size is looked at. */
  scan(turn: Turn, signal?: AbortSignal): Promise<void>
  isEmpty(turn: Turn): boolean
}

/** That a root is a wrapped leaf over bytes of its own. */
interface Link {
  root: CID
  key: CID
}

export function createScanner(context: StoreContext): Scanner {
  const { layout } = context

  const takeOutboard = async (turn: Turn, path: string, name: string): Promise<void> => {
    const [keyText = '', rootText = keyText] = name.slice(0, -'.obd'.length).split('.')
    const key = cidOfKey(keyText)
    const root = cidOfKey(rootText)
    if (!key || !root || turn.keyOfRoot(root)) return
    const encoded = await ifThere(`read ${path}`, readFile(path))
    if (!encoded) return
    try {
      const outboard = await readOutboard(root, plainBytes(encoded))
      turn.putDag(root, key, partsOf(outboard))
    } catch (cause) {
      if (!isStorageError(cause)) throw cause
      // The root is known to be here all the same, and whoever asks for it hears of the damage.
      turn.putDag(root, key, [])
      context.warn(`${path} is damaged: ${cause.message}`)
    }
  }

  const takeFiles = async (turn: Turn, signal: AbortSignal | undefined): Promise<void> => {
    const there = new Set<string>()
    for await (const { name, path } of sharded(context, layout.files)) {
      signal?.throwIfAborted()
      if (name.endsWith('.obd')) await takeOutboard(turn, path, name)
      const key = name.endsWith('.bin') ? cidOfKey(name.slice(0, -'.bin'.length)) : undefined
      if (!key) continue
      there.add(keyOf(key))
      const known = turn.file(key)
      // A copy that is here takes the place of a file that was left where the user had it.
      if (known && known.path === undefined) continue
      const info = await ifThere(`look at ${path}`, stat(path))
      // Without a stamp it was not hashed since, as far as is known.
      if (info) turn.putFile({ key, bytes: info.size, path: undefined, stamp: '' })
    }
    for (const { key, path } of turn.files()) {
      if (path === undefined && !there.has(keyOf(key))) turn.deleteFile(key)
    }
  }

  const takeReferences = async (turn: Turn): Promise<void> => {
    for (const name of await listed(context, layout.references)) {
      const key = name.endsWith('.json') ? cidOfKey(name.slice(0, -'.json'.length)) : undefined
      if (!key || turn.file(key)) continue
      try {
        const record = await readRecord(layout.referenceOf(keyOf(key)), parseReference, key)
        if (record) turn.putFile({ key, ...record })
      } catch (cause) {
        if (!(cause instanceof IntegrityError)) throw cause
        // Where the file lies was known by this record alone; the user still has it.
        context.warn(`${cause.message}; add the file again`)
      }
    }
  }

  const takePacks = async (turn: Turn, signal: AbortSignal | undefined): Promise<void> => {
    const there = (await listed(context, layout.packs)).filter((name) => name.endsWith('.pack'))
    const known = new Set(turn.packs().map(({ name }) => name))
    // First what has gone: its blocks may lie in another pack too, also in one that is known.
    const gone = [...known].filter((name) => !there.includes(name))
    for (const name of gone) turn.deletePack(name)
    const links: Link[] = []
    if (gone.length > 0) {
      const notes = new Set(await listed(context, layout.quarantine))
      for (const name of there) if (known.has(name)) await takeAgain(turn, name, { notes, links, signal })
    }
    for (const name of there) if (!known.has(name)) await takePack(turn, name, { links, signal })
    await takeLinks(turn, links, signal)
  }

  const takePack = async (
    turn: Turn,
    name: string,
    { links, signal }: { links: Link[]; signal: AbortSignal | undefined },
  ): Promise<void> => {
    const path = layout.packOf(name)
    const info = await ifThere(`look at ${path}`, stat(path))
    if (!info) return
    turn.putPack(name, info.size)
    const blocks: PackedBlock[] = []
    for await (const entry of readPack(path)) {
      signal?.throwIfAborted()
      if (entry.kind === 'wrapped') links.push(entry)
      // It was hashed this moment: where the index knows of another place, that one may be damaged.
      else if (entry.kind === 'block') blocks.push({ block: entry.cid, offset: entry.offset, length: entry.length })
      else {
        context.warn(`${path} is damaged at ${entry.offset}: ${entry.cid ?? 'no entry'}`)
        turn.putPack(name, info.size, true)
      }
    }
    turn.putPacked(name, blocks)
  }

  /** What was known in another pack, that has gone, may lie in this one too. What was found damaged does not come back. */
  const takeAgain = async (
    turn: Turn,
    name: string,
    { notes, links, signal }: { notes: ReadonlySet<string>; links: Link[]; signal: AbortSignal | undefined },
  ): Promise<void> => {
    const blocks: PackedBlock[] = []
    for await (const entry of readPack(layout.packOf(name), true)) {
      signal?.throwIfAborted()
      if (entry.kind === 'wrapped') links.push(entry)
      if (entry.kind !== 'block' || turn.packed(entry.cid)) continue
      if (notes.has(basename(layout.noteOf(keyOf(entry.cid))))) continue
      blocks.push({ block: entry.cid, offset: entry.offset, length: entry.length })
    }
    turn.putPacked(name, blocks)
  }

  /**
   * An entry that says so proves nothing: where a pack is damaged, what is found in it may be the inside of a block, and
   * somebody's choice.
   */
  const takeLinks = async (turn: Turn, links: readonly Link[], signal: AbortSignal | undefined): Promise<void> => {
    const leaves = new Map<string, CID | undefined>()
    for (const { root, key } of links) {
      signal?.throwIfAborted()
      if (turn.keyOfRoot(root)) continue
      // Once for each, however many say something of it.
      if (!leaves.has(keyOf(key))) leaves.set(keyOf(key), await leafOver(turn, key))
      if (leaves.get(keyOf(key))?.equals(root.toV1())) turn.putDag(root, key, [])
    }
  }

  const leafOver = async (turn: Turn, key: CID): Promise<CID | undefined> => {
    const bytes = await bytesOf(turn, key)
    return bytes && (await encodeWrappedLeaf(1, bytes)).cid
  }

  /** Of one leaf, as they are. */
  const bytesOf = async (turn: Turn, key: CID): Promise<Uint8Array | undefined> => {
    const packed = turn.packed(key)
    const file = turn.file(key)
    const path = packed ? layout.packOf(packed.pack) : (file?.path ?? layout.fileOf(keyOf(key)))
    const { offset, length } = packed ?? { offset: 0, length: file?.bytes ?? Infinity }
    if (length > MAX_BLOCK_BYTES) return undefined
    const handle = await ifThere(`open ${path}`, open(path, constants.O_RDONLY | (constants.O_NONBLOCK ?? 0)))
    if (!handle) return undefined
    try {
      return await readAt(handle, path, offset, length)
    } finally {
      await handle.close()
    }
  }

  return {
    scan: async (turn, signal) => {
      await takeFiles(turn, signal)
      await takeReferences(turn)
      await takePacks(turn, signal)
    },
    isEmpty: (turn) => {
      for (const _ of turn.files()) return false
      return turn.packs().length === 0
    },
  }
}

function parseReference(value: unknown): { path: string; stamp: string; bytes: number } | undefined {
  if (!isObject(value)) return undefined
  const { path, stamp, bytes } = value
  if (typeof path !== 'string' || typeof stamp !== 'string' || typeof bytes !== 'number') return undefined
  return { path, stamp, bytes }
}

/** Names in a directory that every store has. One that is only read may be a copy that lacks the empty ones. */
export async function listed({ readOnly }: StoreContext, directory: string): Promise<string[]> {
  const names = readdir(directory)
  return readOnly ? ((await ifThere(`read ${directory}`, names)) ?? []) : onDisk(`read ${directory}`, names)
}

export async function* sharded(
  context: StoreContext,
  directory: string,
): AsyncGenerator<{ name: string; path: string }> {
  for (const shard of await listed(context, directory)) {
    for (const name of (await ifThere(`read ${directory}`, readdir(join(directory, shard)))) ?? []) {
      yield { name, path: join(directory, shard, name) }
    }
  }
}
