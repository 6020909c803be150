import { CID } from '@x/cid'
import { isStorageError, type Blockstore } from '@x/storage-core'
import { multihashKey } from '@x/storage-core/backend'

import { messageOf } from '../message-of.ts'
import { encodeMessage, MAX_MESSAGE_BYTES, type Presence, type Want } from './message.ts'
import type { Outbox } from './outbox.ts'
import { MalformedError, varintOf } from './varint.ts'

export interface LedgerOptions {
  /** Whose wants they are, for messages. */
  name: string
  blocks: Pick<Blockstore, 'has' | 'get'>
  /** Whether the peer may have a block that is held. */
  mayServe: (cid: CID) => Promise<boolean>
  outbox: Outbox
  onServed: (byteLength: number) => void
  onWarning: (message: string) => void
}

/** What one peer wants of us. */
export interface Ledger {
  receive(wants: readonly Want[], isFull: boolean): void
  /** Blocks and answers that it waits for. */
  readonly waiting: number
  close(): void
}

/** More wants of one peer are answered with "do not have". As many as Kubo keeps. */
const MAX_WANTS = 1024
/** Of the largest hash that anybody uses, twice. */
const MAX_CID_BYTES = 160

/** Answers without a block that go into one message. */
const MAX_PRESENCES = 512

/** Room in a message for what is not the block. Bytes. */
const OVERHEAD = 256

interface Wanted {
  cid: CID
  type: Want['type']
  sendDontHave: boolean
  priority: number
}

/**
 * Answers wants one after another: a block is read when the one before it has been taken by the network, so that a peer
 * that reads slowly, or wants much, holds two blocks in memory at the most.
 */
export function createLedger({ name, blocks, mayServe, outbox, onServed, onWarning }: LedgerOptions): Ledger {
  const wanted = new Map<string, Wanted>()
  /** What is not answered for want of room. */
  let refused: Presence[] = []
  let isRunning = false
  const closing = new AbortController()

  function take(): [key: string, wanted: Wanted] | undefined {
    let best: [string, Wanted] | undefined
    for (const entry of wanted) if (best === undefined || entry[1].priority > best[1].priority) best = entry
    if (best) wanted.delete(best[0])
    return best
  }

  /** The block, whether it is there, or that it is not. */
  async function look({ cid, type }: Wanted): Promise<Uint8Array | boolean> {
    const { signal } = closing
    try {
      if (!(await mayServe(cid))) return false
      if (type === 'have') return await blocks.has(cid, { signal })
      const bytes = await blocks.get(cid, { signal })
      if (bytes.length + OVERHEAD <= MAX_MESSAGE_BYTES) return bytes
      onWarning(`${name} wants ${cid}, of ${bytes.length} bytes: Bitswap takes ${MAX_MESSAGE_BYTES} at most`)
      return false
    } catch (error) {
      if (!closing.signal.aborted && !(isStorageError(error) && error.code === 'NOT_FOUND')) {
        onWarning(`${name} wants ${cid}, which cannot be read: ${messageOf(error)}`)
      }
      return false
    }
  }

  async function run(): Promise<void> {
    let sending: Promise<unknown> = Promise.resolve()
    let presences: Presence[] = []
    const post = (pieces: readonly Uint8Array[], byteLength: number): void => {
      sending = sending.then(() => outbox.write(pieces)).then(() => onServed(byteLength))
      // Whoever sends the next one is told. Until then it is no error that nobody handles.
      sending.catch(() => undefined)
    }
    const flush = (): void => {
      if (presences.length === 0) return
      post(encodeMessage({ presences }), 0)
      presences = []
    }
    while (!closing.signal.aborted) {
      const next = take()
      if (next === undefined && refused.length === 0) break
      presences.push(...refused)
      refused = []
      if (next) {
        const [, want] = next
        const found = await look(want)
        if (closing.signal.aborted) return
        if (found instanceof Uint8Array) {
          flush()
          await sending
          post(encodeMessage({ blocks: [{ prefix: prefixOf(want.cid), data: found }] }), found.length)
        } else if (found || want.sendDontHave) presences.push({ cid: want.cid.bytes, has: found })
      }
      if (presences.length >= MAX_PRESENCES || wanted.size === 0) {
        flush()
        await sending
      }
    }
    flush()
    await sending
  }

  function start(): void {
    if (isRunning || closing.signal.aborted) return
    isRunning = true
    run()
      .catch((error: unknown) => {
        // It does not read what it wants, or is gone.
        wanted.clear()
        refused = []
        if (!closing.signal.aborted) onWarning(messageOf(error))
      })
      .finally(() => {
        isRunning = false
        if (wanted.size > 0 || refused.length > 0) start()
      })
  }

  return {
    get waiting() {
      return wanted.size
    },
    receive(wants, isFull) {
      if (isFull) wanted.clear()
      for (const want of wants) {
        if (want.cid.length > MAX_CID_BYTES) throw new MalformedError(`a CID of ${want.cid.length} bytes`)
        // A copy: what is decoded lies in the message, which would be kept as long as the want.
        const bytes = want.cid.slice()
        const cid = CID.decode(bytes)
        const key = multihashKey(cid)
        if (want.cancel) wanted.delete(key)
        else if (wanted.size < MAX_WANTS || wanted.has(key)) {
          const { type, sendDontHave, priority } = want
          wanted.set(key, { cid, type, sendDontHave, priority })
        } else if (want.sendDontHave && refused.length < MAX_WANTS) refused.push({ cid: bytes, has: false })
      }
      if (wanted.size > 0 || refused.length > 0) start()
    },
    close() {
      closing.abort(new Error('the exchange was closed'))
      wanted.clear()
      refused = []
    },
  }
}

function prefixOf({ version, code, multihash }: CID): Uint8Array {
  const parts = [version, code, multihash.code, multihash.size].map(varintOf)
  return Uint8Array.from(parts.flatMap((part) => [...part]))
}
