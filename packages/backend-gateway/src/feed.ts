import type { Block } from '@x/cid'

import type { BlockStream } from './upstream.ts'

/** A stream that is read a bounded number of bytes ahead. */
export interface Feed {
  readonly repeats: boolean
  /** The next block, which stays; `undefined` at the end. What the stream throws comes after the blocks before it. */
  peek(): Promise<Block | undefined>
  /** The same, as far as it has arrived. */
  peekNow(): Block | undefined
  /** Takes away what `peek` gave. */
  shift(): void
  /** Ends the request. What had arrived, unused, is the result. */
  close(): Block[]
}

/** What an empty block takes all the same. */
const BLOCK_OVERHEAD_BYTES = 1024

/** So that a stream of blocks without bytes has an end, too. */
export const heldBytesOf = ({ bytes }: Pick<Block, 'bytes'>): number => bytes.length + BLOCK_OVERHEAD_BYTES

export function createFeed(stream: BlockStream, { readAheadBytes }: { readAheadBytes: number }): Feed {
  const arrived: Block[] = []
  let arrivedBytes = 0
  let failure: { error: unknown } | undefined
  let ended = false
  let changed = Promise.withResolvers<void>()

  const hasEnded = (): boolean => ended
  const isFull = (): boolean => arrivedBytes >= readAheadBytes

  const notify = (): void => {
    changed.resolve()
    changed = Promise.withResolvers()
  }

  async function read(): Promise<void> {
    while (!hasEnded()) {
      if (isFull()) {
        await changed.promise
        continue
      }
      const block = await stream.next()
      if (block === undefined) break
      arrived.push(block)
      arrivedBytes += heldBytesOf(block)
      notify()
    }
    ended = true
    notify()
  }

  read().catch((error: unknown) => {
    failure = { error }
    ended = true
    notify()
  })

  return {
    repeats: stream.repeats,
    async peek() {
      while (arrived.length === 0 && !hasEnded()) await changed.promise
      const block = arrived[0]
      if (block === undefined && failure) throw failure.error
      return block
    },
    peekNow: () => arrived[0],
    shift() {
      const block = arrived.shift()
      if (block) arrivedBytes -= heldBytesOf(block)
      notify()
    },
    close() {
      ended = true
      notify()
      stream.close()
      return arrived.splice(0)
    },
  }
}
