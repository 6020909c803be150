import type { Block, CID } from '@x/cid'

import { blockKey } from './block-key.ts'
import type { AbortOptions, Blockstore, PutManyOptions } from './blockstore.ts'
import { codeOf } from './error-code.ts'
import { createKeyedLock } from './lock.ts'
import { putEach } from './put-each.ts'

/** The blocks of one add in progress: safe from collection until it ends. */
export interface Keeping {
  /** Puts a block and keeps it until the end. */
  keep(block: Block, options: AbortOptions): Promise<void>
  /** Keeps a block that is about to be put. */
  mark(cid: CID, options: AbortOptions): Promise<void>
  /** The blocks are wanted from now on. */
  commit(): void
  /** Deletes those blocks that nobody else put or keeps. A failure to delete leaves a block for `gc`. */
  rollBack(): Promise<void>
}

interface Swept {
  blocks: number
  freedBytes: number
}

export interface BlockKeeper {
  /** The store's blocks as others see them: what is put there is not taken back with a failed add. */
  readonly blocks: Blockstore
  begin(): Keeping
  /** Says that blocks which an add in progress put are wanted, even if that add fails. */
  adopt(keys: Iterable<string>): void
  /** Deletes the candidates that are neither wanted nor kept by an add in progress. */
  sweep(
    candidates: AsyncIterable<CID> | Iterable<CID>,
    wanted: { has(key: string): boolean },
    options: AbortOptions & { dryRun?: boolean | undefined },
  ): Promise<Swept>
}

/**
 * Lets adds write blocks while others are collected. Everything that puts or deletes one block takes turns on it, so a
 * block is never deleted between the moment an add finds it there and the moment it is kept.
 */
export function createBlockKeeper(inner: Blockstore): BlockKeeper {
  const turn = createKeyedLock()
  /** How many adds in progress keep a block. */
  const kept = new Map<string, number>()
  /** Blocks that were absent before an add in progress put them. */
  const uncommitted = new Set<string>()

  const release = (key: string): void => {
    const left = (kept.get(key) ?? 0) - 1
    if (left > 0) kept.set(key, left)
    else kept.delete(key)
  }

  function begin(): Keeping {
    const mine = new Map<string, CID>()
    const take = (key: string, cid: CID): void => {
      if (!mine.has(key)) kept.set(key, (kept.get(key) ?? 0) + 1)
      mine.set(key, cid)
    }
    return {
      // In its turn: a failed add that is about to delete it does so before it is put.
      mark: (cid, { signal }) => turn(blockKey(cid), async () => take(blockKey(cid), cid), signal),
      keep: ({ cid, bytes }, { signal }) => {
        const key = blockKey(cid)
        return turn(
          key,
          async () => {
            take(key, cid)
            if (!(await inner.has(cid, { signal }))) uncommitted.add(key)
            // Put also what is there: that may be damaged, and is repaired so.
            await inner.put(cid, bytes, { signal, verified: true })
          },
          signal,
        )
      },
      commit() {
        for (const key of mine.keys()) {
          release(key)
          uncommitted.delete(key)
        }
        mine.clear()
      },
      async rollBack() {
        const undo = [...mine].map(([key, cid]) =>
          turn(key, async () => {
            release(key)
            if (kept.has(key) || !uncommitted.delete(key)) return
            await inner.delete(cid)
          }),
        )
        mine.clear()
        // Said in the interface: what cannot be deleted is a loose block, for `gc`. Its caller hears why the add failed.
        await Promise.allSettled(undo)
      },
    }
  }

  async function sweepOne(
    cid: CID,
    { signal, dryRun }: AbortOptions & { dryRun?: boolean | undefined },
  ): Promise<number | undefined> {
    const key = blockKey(cid)
    return turn(
      key,
      async () => {
        if (kept.has(key)) return undefined
        const byteLength = await lengthOf(inner, cid, signal)
        if (byteLength !== undefined && !dryRun) await inner.delete(cid, { signal })
        return byteLength
      },
      signal,
    )
  }

  async function putMany(
    blocks: AsyncIterable<Block> | Iterable<Block>,
    options: PutManyOptions = {},
  ): Promise<number> {
    const keeping = begin()
    async function* marked(): AsyncGenerator<Block> {
      for await (const block of blocks) {
        // Nobody waits any more for what comes now.
        options.signal?.throwIfAborted()
        await keeping.mark(block.cid, options)
        yield block
      }
    }
    try {
      return await (inner.putMany ? inner.putMany(marked(), options) : putEach(inner, marked(), options))
    } finally {
      keeping.commit()
    }
  }

  return {
    blocks: {
      name: inner.name,
      putMany,
      has: (cid, options) => inner.has(cid, options),
      get: (cid, options) => inner.get(cid, options),
      put: (cid, bytes, options = {}) =>
        turn(
          blockKey(cid),
          async () => {
            await inner.put(cid, bytes, options)
            uncommitted.delete(blockKey(cid))
          },
          options.signal,
        ),
      delete: (cid, options = {}) => turn(blockKey(cid), () => inner.delete(cid, options), options.signal),
      list: (options) => inner.list(options),
      close: () => inner.close(),
    },
    begin,
    adopt(keys) {
      for (const key of keys) uncommitted.delete(key)
    },
    async sweep(candidates, wanted, options) {
      const swept: Swept = { blocks: 0, freedBytes: 0 }
      for await (const cid of candidates) {
        options.signal?.throwIfAborted()
        if (wanted.has(blockKey(cid))) continue
        const byteLength = await sweepOne(cid, options)
        if (byteLength === undefined) continue
        swept.blocks += 1
        swept.freedBytes += byteLength
      }
      return swept
    },
  }
}

/** `undefined` when the block is absent. A damaged block counts as 0: it goes, and how long it is cannot be told. */
async function lengthOf(blocks: Blockstore, cid: CID, signal: AbortSignal | undefined): Promise<number | undefined> {
  try {
    return (await blocks.get(cid, { signal })).length
  } catch (error) {
    if (codeOf(error) === 'NOT_FOUND') return undefined
    if (codeOf(error) === 'INTEGRITY') return 0
    throw error
  }
}
