import { BackendError, InUseError } from '@x/storage-core'

import type { SentOptions } from '../open-own-store.ts'
import type { OpfsStore } from '../opfs-store.ts'
import { ported } from '../port-error.ts'
import { createCaller } from './caller.ts'
import { namedChannel, portChannel, type Channel } from './channel.ts'
import { holdLock } from './hold-lock.ts'
import { clientLock, linkName, noticesName, ownerLock } from './lock-names.ts'
import { PROTOCOL, type Notice, type ToClient, type ToOwner } from './messages.ts'
import { createRemoteStore } from './remote-store.ts'
import { assertCanOwn, startOwner } from './start-owner.ts'

// What two channels of a worker carry may overtake each other, so a question may come before there is somebody to hear the answer.
const ASK_AGAIN_MS = 500

/**
 * A store that all tabs of the origin share. One of them owns it: whoever holds its lock. All others wait for that lock, so that
 * when the tab of the owner is gone, however, the next one owns it; meanwhile they call the owner.
 *
 * @param hooks.onEvent - Hears of each `StoreEvent` of the owner, wherever that is, while there is one.
 */
export async function openSharedStore(
  options: SentOptions,
  { onEvent }: { onEvent?: ((event: unknown) => void) | undefined } = {},
): Promise<OpfsStore> {
  const { name, directory } = options
  assertCanOwn(name)
  const client = crypto.randomUUID()
  const caller = createCaller(name, onEvent)
  const opened = Promise.withResolvers<void>()
  const alive = await ported(`${name}: lock ${directory}`, () => holdLock(clientLock(directory, client)))
  const notices = namedChannel<Notice, Notice>(noticesName(directory))
  /** The owner whose clients we are, or will be when it has heard of us. */
  let link: { owner: string; channel: Channel<ToClient, ToOwner> } | undefined
  let isLinked = false
  let isOwning = false
  let isClosing = false
  const waiting = new AbortController()
  const released = Promise.withResolvers<void>()

  function askSoon(): void {
    if (isLinked || isOwning || isClosing) return
    ask()
    setTimeout(askSoon, ASK_AGAIN_MS)
  }

  function ask(): void {
    // Also when one was heard of: what a tab said before it was gone may come after what the next one says.
    notices.post({ type: 'who-owns' })
    if (link) notices.post({ type: 'client', client, owner: link.owner })
  }

  function take(channel: Channel<ToClient, ToOwner>): void {
    isLinked = true
    caller.link(channel)
    opened.resolve()
  }

  function meet(owner: string): void {
    // Who has the lock is the only one there is.
    if (link?.owner === owner || isOwning) return
    isLinked = false
    const channel = namedChannel<ToClient, ToOwner>(linkName(directory, client, owner))
    link = { owner, channel }
    channel.listen((message) => {
      if (message.type === 'welcome' && link?.channel === channel && !isLinked) take(channel)
    })
    askSoon()
  }

  function end(error: Error): void {
    caller.fail(error)
    opened.reject(error)
    waiting.abort()
  }

  notices.listen((notice) => {
    if (notice.type !== 'owner') return
    if (notice.protocol === PROTOCOL) return meet(notice.owner)
    end(new InUseError(`${name}: another tab has ${directory} open with another version of this package; reload it`))
  })

  /** With the lock. Resolves when this tab does not own the store any more. */
  async function own(): Promise<void> {
    isOwning = true
    link = undefined
    const { port1, port2 } = new MessageChannel()
    const owner = await startOwner(options, port2)
    take(portChannel(port1))
    await Promise.race([owner.died, released.promise])
    await owner.leave()
    caller.unlink()
    isOwning = false
    isLinked = false
    askSoon()
  }

  async function takeTurns(): Promise<void> {
    while (!waiting.signal.aborted) await navigator.locks.request(ownerLock(directory), { signal: waiting.signal }, own)
  }
  const turns = takeTurns().catch((cause: unknown) => {
    // It waited, and need not any more.
    if (cause === waiting.signal.reason) return
    end(cause instanceof Error ? cause : new BackendError(`${name}: ${String(cause)}`, { cause, retryable: false }))
    // Who closes it hears why it could not be closed.
    if (isClosing) throw cause
  })
  // `close` waits for it, after others.
  turns.catch(() => undefined)
  askSoon()

  async function close(): Promise<void> {
    if (isClosing) return
    isClosing = true
    // What is under way has an owner until it has ended.
    await caller.close()
    waiting.abort()
    released.resolve()
    try {
      await turns
    } finally {
      notices.close()
      await alive.release()
    }
  }

  try {
    await opened.promise
  } catch (error) {
    await close()
    throw error
  }
  return createRemoteStore(name, caller, close)
}
