import type { ContentStore } from '@x/storage-core'
import type { ContentStoreSetup } from '@x/storage-core/conformance'
import { onTestFinished } from 'vitest'

import type { OpfsStore } from '../src/opfs-store.ts'
import { createCaller } from '../src/shared/caller.ts'
import { namedChannel, portChannel, type Channel } from '../src/shared/channel.ts'
import type { ToClient, ToOwner } from '../src/shared/messages.ts'
import { createRemoteStore } from '../src/shared/remote-store.ts'
import { serveClient } from '../src/shared/serve-client.ts'
import { opfsContentStore } from './opfs-setup.ts'

type Ends = [client: Channel<ToClient, ToOwner>, owner: Channel<ToOwner, ToClient>]

/** As within one tab, where memory is handed over. */
export function ports(): Ends {
  const { port1, port2 } = new MessageChannel()
  return [portChannel(port1), portChannel(port2)]
}

/** As between tabs. */
export function names(): Ends {
  const name = crypto.randomUUID()
  return [namedChannel(name), namedChannel(name)]
}

/** A store as a client of it sees it, both in this page. */
function serve(store: OpfsStore, [client, owner]: Ends): OpfsStore {
  const served = serveClient(store, owner)
  const caller = createCaller(store.name)
  caller.link(client)
  onTestFinished(() => served.drop())
  return createRemoteStore(store.name, caller, () => caller.close())
}

/** The conformance suite's stores, each behind a channel. */
export function servedBehind(connect: () => Ends): ContentStoreSetup {
  const behind = new WeakMap<ContentStore, OpfsStore>()
  const { open, openBroken, corrupt, leavesRead, ...rest } = opfsContentStore
  const wrap = async (opening: Promise<OpfsStore>): Promise<OpfsStore> => {
    const store = await opening
    const remote = serve(store, connect())
    behind.set(remote, store)
    return remote
  }
  const behindOf = (remote: ContentStore): OpfsStore => {
    const store = behind.get(remote)
    if (!store) throw new Error('not opened here')
    return store
  }
  return {
    ...rest,
    open: () => wrap(open()),
    openBroken: () => wrap(openBroken()),
    corrupt: (remote, cid) => corrupt(behindOf(remote), cid),
    leavesRead: (remote) => leavesRead(behindOf(remote)),
  }
}
