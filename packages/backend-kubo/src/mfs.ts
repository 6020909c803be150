import { readDirectory, type CID, type GetBlock } from '@x/cid'
import { InvalidInputError, type AbortOptions } from '@x/storage-core'

import { getHeldBlock } from './get-block.ts'
import { daemonSays } from './rpc/rpc-error.ts'
import type { Rpc } from './rpc/rpc.ts'
import { cidOfText, fieldsOf, textOf } from './rpc/values.ts'

interface MfsEntry {
  name: string
  cid: CID
}

/** The daemon's mutable file system, which keeps what is in it from collection. Paths are absolute. */
export interface Mfs {
  /** `undefined`: there is nothing. */
  stat(path: string, options?: AbortOptions): Promise<CID | undefined>
  /** `undefined`: there is no such directory. */
  list(path: string, options?: AbortOptions): Promise<MfsEntry[] | undefined>
  /**
   * Makes an entry, and the directories above it. Several that make one at the same time: the first one does.
   *
   * @returns Whether it did; `false`: there is something of that name.
   */
  link(cid: CID, path: string, options?: AbortOptions): Promise<boolean>
  /** Into the place of a path that is free: what is a directory there takes it in. Resolves whether or not it was there. */
  move(from: string, to: string): Promise<void>
  /** And those above it. Resolves whether or not it was there. */
  makeDirectory(path: string, options?: AbortOptions): Promise<void>
  /** Resolves whether or not they were there. */
  remove(paths: readonly string[], options?: AbortOptions): Promise<void>
}

export function createMfs(rpc: Rpc, { offline }: { offline: boolean }): Mfs {
  const get: GetBlock = (cid, options) => getHeldBlock(rpc, cid, options)

  async function stat(path: string, { signal }: AbortOptions = {}): Promise<CID | undefined> {
    const what = `stat of ${path}`
    try {
      const fields = fieldsOf(await rpc.json('files/stat', { args: [path], signal, what }), what)
      return cidOfText(textOf(fields, 'Hash', what), what)
    } catch (error) {
      if (isMissing(error)) return undefined
      throw error
    }
  }

  return {
    stat,
    async list(path, options = {}) {
      // Read here: the daemon would read each entry too, and look in its network for those that it does not hold.
      const cid = await stat(path, options)
      if (cid === undefined) return undefined
      const entries: MfsEntry[] = []
      for await (const entry of readDirectory(get, cid, options)) entries.push({ name: entry.name, cid: entry.cid })
      return entries
    },
    async link(cid, path, { signal } = {}) {
      const what = `link ${path}`
      const query = { parents: true }
      const args = [`/ipfs/${cid}`, path]
      try {
        await rpc.run('files/cp', { args, query, local: offline, signal, what, cid, patient: true, once: true })
        return true
      } catch (error) {
        if (isThere(error)) return false
        throw error
      }
    },
    async move(from, to) {
      const what = `move ${from}`
      try {
        await rpc.run('files/mv', { args: [from, to], what, patient: true, once: true })
      } catch (error) {
        if (!isMissing(error)) throw error
      }
    },
    async makeDirectory(path, { signal } = {}) {
      const what = `make ${path}`
      await rpc.run('files/mkdir', { args: [path], query: { parents: true }, signal, what, patient: true })
    },
    async remove(paths, { signal } = {}) {
      for (const path of paths) {
        const what = `remove ${path}`
        try {
          await rpc.run('files/rm', { args: [path], query: { force: true }, signal, what, patient: true })
        } catch (error) {
          if (!isMissing(error)) throw error
        }
      }
    },
  }
}

/**
 * A path in MFS as it is used.
 *
 * @throws {InvalidInputError} It is not absolute, is the root, or has a segment that is empty, `.` or `..`.
 */
export function assertMfsPath(path: string): string {
  const segments = path.split('/').slice(1)
  if (!path.startsWith('/') || segments.some((segment) => ['', '.', '..'].includes(segment)) || /\p{Cc}/u.test(path)) {
    throw new InvalidInputError(`${JSON.stringify(path)} is no absolute path of a file or directory`, { input: path })
  }
  return path
}

/** The path and every directory above it, the root first. */
export function pathsTo(path: string): string[] {
  const segments = path.split('/').slice(1)
  return ['/', ...segments.map((_, index) => `/${segments.slice(0, index + 1).join('/')}`)]
}

// At the end: before it may be a path, which is the caller's. In the words of Kubo 0.38 to 0.43.
const isMissing = (error: unknown): boolean => daemonSays(error, /(?:file does not exist|Not a directory)$/)
const isThere = (error: unknown): boolean =>
  daemonSays(error, /(?:already has entry by that name|file already exists)$/)
