import { IntegrityError, type CID } from '@x/cid'
import { BackendError } from '@x/storage-core'
import { multihashKey } from '@x/storage-core/backend'

import type { Recent } from '../recent.ts'
import { watchStall, type StallWatch } from '../stall-watch.ts'
import { MAX_MESSAGE_BYTES, type Want } from './message.ts'

export interface AskedOptions {
  /** Whom is asked, for messages. */
  name: string
  /** Sends wants to the peer. A rejection is a failure of the peer. */
  send: (wants: readonly Want[]) => Promise<void>
  stallTimeoutMs: number
  /** What any peer was asked for: a block that comes late, or on a new connection, is none that nobody asked for. */
  everAsked: Recent
}

/** What one peer was asked for, and who waits for it. */
export interface Asked {
  block(cid: CID, signal: AbortSignal): Promise<Uint8Array | undefined>
  presence(cid: CID, signal: AbortSignal): Promise<boolean>
  /** Whether it was asked for something, now or so short a time ago that it may not know that it is void. */
  isExpecting(): boolean
  /** Bytes of any kind came from the peer. */
  onBytes(byteLength: number): void
  /** `false`: it was never asked for. */
  onBlock(key: string, bytes: Uint8Array): boolean
  onPresence(key: string, has: boolean): void
  /** Everybody who waits is told. */
  fail(reason: (cid: CID) => Error): void
  /** The CIDs with this hash function that somebody waits for. */
  waitingFor(hashCode: number): CID[]
}

interface Waiter {
  type: Want['type']
  resolve: (answer: Uint8Array | boolean) => void
  reject: (reason: unknown) => void
}

interface Entry {
  cid: CID
  /** What the peer was last asked. */
  type: Want['type']
  waiters: Set<Waiter>
}

/** So many blocks at most come at the same time. */
const MOST_AT_ONCE = 4

export function createAsked({ name, send, stallTimeoutMs, everAsked }: AskedOptions): Asked {
  const entries = new Map<string, Entry>()
  let outgoing = new Map<string, Want>()
  let lastAsked = -Infinity
  /** Since anything that was asked for came. */
  let bytesForNothing = 0
  /** While anything is waited for. */
  let watch: StallWatch | undefined

  function onStall(byteLength: number): void {
    const said = byteLength === 0 ? 'said nothing' : `sent ${byteLength} bytes`
    const why = `${name}: ${said} for ${stallTimeoutMs} ms`
    // Else it would send them all in the end.
    for (const [key, entry] of entries) takeBack(key, entry)
    fail((cid) => new BackendError(`${why}, asked for ${cid}`, { retryable: true }))
  }

  function takeBack(key: string, { cid, type }: Entry): void {
    post(key, { cid: cid.bytes, type, cancel: true, sendDontHave: false, priority: 0 })
  }

  function forget(key: string): void {
    entries.delete(key)
    if (entries.size > 0) return
    lastAsked = Date.now()
    watch?.stop()
    watch = undefined
  }

  function fail(reason: (cid: CID) => Error): void {
    const failed = [...entries.values()]
    for (const key of entries.keys()) forget(key)
    for (const { cid, waiters } of failed) for (const waiter of waiters) waiter.reject(reason(cid))
  }

  function post(key: string, want: Want): void {
    if (outgoing.size === 0) {
      // What is asked for in one turn goes in one message.
      queueMicrotask(() => {
        const wants = [...outgoing.values()]
        outgoing = new Map()
        send(wants).catch((cause: unknown) =>
          fail((cid) => new BackendError(`${name}: cannot be asked for ${cid}`, { cause, retryable: true })),
        )
      })
    }
    outgoing.set(key, want)
  }

  function ask(cid: CID, type: Want['type'], signal: AbortSignal): Promise<Uint8Array | boolean> {
    const key = multihashKey(cid)
    return new Promise((resolve, reject) => {
      if (signal.aborted) {
        reject(signal.reason)
        return
      }
      const unhook = (): void => signal.removeEventListener('abort', onAbort)
      const waiter: Waiter = {
        type,
        resolve: (answer) => {
          unhook()
          resolve(answer)
        },
        reject: (reason) => {
          unhook()
          reject(reason)
        },
      }
      const onAbort = (): void => {
        entry.waiters.delete(waiter)
        if (entry.waiters.size === 0 && entries.get(key) === entry) {
          forget(key)
          takeBack(key, entry)
        }
        waiter.reject(signal.reason)
      }
      const known = entries.get(key)
      const entry: Entry = known ?? { cid, type, waiters: new Set() }
      entry.waiters.add(waiter)
      signal.addEventListener('abort', onAbort)
      if (known && (known.type === 'block' || type === 'have')) return
      entry.type = type
      entries.set(key, entry)
      everAsked.note(key)
      post(key, { cid: cid.bytes, type, cancel: false, sendDontHave: true, priority: 1 })
      if (!watch) {
        watch = watchStall(stallTimeoutMs, onStall)
        bytesForNothing = 0
      }
    })
  }

  /** Tells those who are answered by it, and forgets what nobody waits for any more. */
  function settle(key: string, entry: Entry, give: (waiter: Waiter) => boolean): void {
    for (const waiter of entry.waiters) {
      if (!give(waiter)) continue
      entry.waiters.delete(waiter)
      // Only what was waited for is a sign: the same answer twice is none.
      watch?.note()
      bytesForNothing = 0
    }
    if (entry.waiters.size === 0) forget(key)
  }

  return {
    block: async (cid, signal) => {
      const bytes = await ask(cid, 'block', signal)
      return bytes instanceof Uint8Array ? bytes : undefined
    },
    presence: async (cid, signal) => (await ask(cid, 'have', signal)) !== false,
    isExpecting: () => entries.size > 0 || Date.now() - lastAsked < stallTimeoutMs,
    onBytes(byteLength) {
      // They may be of a block that is wanted, as long as they are not more than that.
      const isBlockWanted = [...entries.values()].some(({ type }) => type === 'block')
      const most = isBlockWanted ? MAX_MESSAGE_BYTES * Math.min(entries.size, MOST_AT_ONCE) : 0
      bytesForNothing += byteLength
      if (bytesForNothing <= most) watch?.onBytes(byteLength)
    },
    onBlock(key, bytes) {
      const entry = entries.get(key)
      if (!entry) return everAsked.has(key)
      let isFirst = true
      settle(key, entry, (waiter) => {
        if (waiter.type === 'have') waiter.resolve(true)
        else {
          // The bytes are the caller's, so each has its own.
          waiter.resolve(isFirst ? bytes : bytes.slice())
          isFirst = false
        }
        return true
      })
      return true
    },
    onPresence(key, has) {
      const entry = entries.get(key)
      if (!entry) return
      settle(key, entry, (waiter) => {
        // Who waits for the block goes on waiting when it is there.
        if (has && waiter.type === 'block') return false
        waiter.resolve(has)
        return true
      })
    },
    fail,
    waitingFor: (hashCode) =>
      [...entries.values()].map(({ cid }) => cid).filter((cid) => cid.multihash.code === hashCode),
  }
}

/** A peer sent a block that it was not asked for: it answers something else than what it was asked. */
export const lie =
  (name: string, actual: CID) =>
  (cid: CID): IntegrityError =>
    new IntegrityError(`${name}: asked for ${cid}, it sent ${actual}`, { cid, actual })
