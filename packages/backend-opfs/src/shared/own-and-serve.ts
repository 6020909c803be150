import { openOwnStore, type SentOptions } from '../open-own-store.ts'
import type { StoreEvent } from '../store-event.ts'
import { namedChannel, portChannel } from './channel.ts'
import { clientLock, linkName, noticesName } from './lock-names.ts'
import { PROTOCOL, type Notice, type ToClient, type ToOwner } from './messages.ts'
import { serveClient, type Served } from './serve-client.ts'

/** The owner of a store, which others in the origin are clients of. */
export interface Owner {
  /** Ends the store. What is under way goes on with the next owner. */
  leave(): Promise<void>
}

/**
 * Opens a store here, and lets all tabs have it.
 *
 * @param port - The channel of who holds the lock.
 */
export async function ownAndServe(options: SentOptions, port: MessagePort): Promise<Owner> {
  const { directory } = options
  const owner = crypto.randomUUID()
  const clients = new Map<string, Served>()
  let own: Served | undefined
  const store = await openOwnStore({ ...options, onEvent: tell })
  const over = new AbortController()
  own = serveClient(store, portChannel(port))
  const notices = namedChannel<Notice, Notice>(noticesName(directory))

  function tell(event: StoreEvent): void {
    // While it is being opened nobody is there to hear of anything.
    for (const client of everyone()) client.tell(event)
  }

  function everyone(): Served[] {
    return [...(own ? [own] : []), ...clients.values()]
  }

  function welcome(client: string): void {
    const known = clients.get(client)
    if (known) return known.greet()
    const channel = namedChannel<ToOwner, ToClient>(linkName(directory, client, owner))
    const served = serveClient(store, channel)
    clients.set(client, served)
    served.greet()
    // It is let go of when the client has closed, or its tab is gone, however.
    const gone = navigator.locks.request(clientLock(directory, client), { signal: over.signal }, async () => {
      served.drop()
      clients.delete(client)
    })
    // Nobody waits for anyone when the owner leaves.
    gone.catch(() => undefined)
  }

  const present = (): void => notices.post({ type: 'owner', owner, protocol: PROTOCOL })
  notices.listen((notice) => {
    if (notice.type === 'who-owns') present()
    else if (notice.type === 'client' && notice.owner === owner) welcome(notice.client)
  })
  present()

  return {
    async leave() {
      notices.close()
      over.abort()
      const all = everyone()
      await Promise.all(all.map((client) => client.leave()))
      await store.close()
      for (const client of all) client.drop()
    },
  }
}
