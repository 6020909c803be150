import type { OpfsStore } from '../opfs-store.ts'
import { namedChannel, type Channel } from './channel.ts'
import { clientLock, linkName, noticesName } from './lock-names.ts'
import { PROTOCOL, type Notice, type ToClient, type ToOwner } from './messages.ts'
import { serveClient, type Served } from './serve-client.ts'

/** The owner of a store, which others in the origin are clients of. */
export interface Owner {
  /** Ends the store. What is under way goes on with the next owner. */
  leave(): Promise<void>
}

export interface OwnOptions {
  /** Who owns it holds its lock. */
  directory: string
  /** The channel of the one who started it. */
  first: Channel<ToOwner, ToClient>
}

/** Lets all tabs have a store that was opened here. */
export function ownAndServe(store: OpfsStore, { directory, first }: OwnOptions): Owner {
  const owner = crypto.randomUUID()
  const clients = new Map<string, Served>()
  const over = new AbortController()
  const notices = namedChannel<Notice, Notice>(noticesName(directory))
  const own = serveClient(store, first)

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
      const all = [own, ...clients.values()]
      await Promise.all(all.map((client) => client.leave()))
      for (const client of all) client.drop()
      await store.close()
    },
  }
}
