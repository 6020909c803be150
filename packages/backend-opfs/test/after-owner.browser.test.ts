import { CID } from '@x/cid'
import { toSourceNode, type DirectorySource, type SourceNode } from '@x/storage-core'
import { expect, it, onTestFinished } from 'vitest'

import type { OpfsStore } from '../src/opfs-store.ts'
import { createCaller } from '../src/shared/caller.ts'
import type { Channel } from '../src/shared/channel.ts'
import type { ToClient, ToOwner } from '../src/shared/messages.ts'
import { createRemoteStore } from '../src/shared/remote-store.ts'
import { serveClient, type Served } from '../src/shared/serve-client.ts'
import { collect, openForTest } from './opfs-setup.ts'
import { ports } from './served-setup.ts'

interface Client {
  remote: OpfsStore
  /** The store itself. */
  store: OpfsStore
  events: unknown[]
  /** Another owner of the same store. Its predecessor is gone. */
  link: (onPost?: (message: ToClient) => unknown) => Served
  /** An owner that does what it is told, and is gone before it says so. Resolves when it has done so many calls. */
  linkMute: (calls?: number) => Promise<void>
}

async function openClient(): Promise<Client> {
  const { store } = await openForTest()
  const events: unknown[] = []
  const caller = createCaller('opfs', (event) => events.push(event))
  const remote = createRemoteStore('opfs', caller, () => caller.close())
  let last: Served | undefined
  onTestFinished(() => last?.drop())

  function serve(wrap: (owner: Channel<ToOwner, ToClient>) => Channel<ToOwner, ToClient>): Served {
    last?.drop()
    const [client, owner] = ports()
    last = serveClient(store, wrap(owner))
    caller.link(client)
    return last
  }

  return {
    remote,
    store,
    events,
    link: (onPost = () => undefined) =>
      serve((owner) => ({
        ...owner,
        post(message, transfer) {
          owner.post(message, transfer)
          onPost(message)
        },
      })),
    async linkMute(calls = 1) {
      const done = Promise.withResolvers<void>()
      let left = calls
      serve((owner) => ({
        ...owner,
        post(message, transfer) {
          const isEnd = message.type === 'return' || message.type === 'throw'
          if (isEnd && (left -= 1) === 0) done.resolve()
          if (!isEnd) owner.post(message, transfer)
        },
      }))
      await done.promise
    },
  }
}

const lost = { code: 'BACKEND', retryable: true }

it('makes again what does twice what it does once, and tells of what does not', async () => {
  const { remote, store, link, linkMute } = await openClient()
  const { cid } = await store.add(Uint8Array.of(1), { name: 'one' })
  const { cid: other } = await store.add(Uint8Array.of(2), { name: 'two', pin: false })
  const calls = {
    pin: remote.pin(other),
    unpin: remote.unpin(cid),
    has: remote.has(cid),
    stat: remote.stat(cid),
    named: remote.names.set('three', cid),
    added: remote.add(new Blob([Uint8Array.of(3)]), { name: 'four' }),
    expecting: remote.names.set('five', cid, { expected: null }),
    deleting: remote.names.delete('two', { expected: other }),
    collecting: remote.gc(),
    planning: remote.gc({ dryRun: true }),
  }
  const settled = Promise.allSettled(Object.values(calls))
  await linkMute(Object.keys(calls).length)
  link()
  await settled
  await expect(calls.pin).resolves.toBeUndefined()
  await expect(calls.unpin).resolves.toBeUndefined()
  await expect(calls.has).resolves.toBe(true)
  await expect(calls.stat).resolves.toMatchObject({ cid, size: 1 })
  await expect(calls.named).resolves.toMatchObject({ name: 'three', cid })
  await expect(calls.added).resolves.toMatchObject({ size: 1 })
  await expect(calls.planning).resolves.toMatchObject({ roots: [] })
  await expect(calls.expecting).rejects.toMatchObject(lost)
  await expect(calls.deleting).rejects.toMatchObject(lost)
  await expect(calls.collecting).rejects.toMatchObject(lost)
  // What could not be told was done.
  expect((await collect(remote.names.list())).map(({ name }) => name)).toEqual(['five', 'four', 'one', 'three'])
  expect((await collect(remote.pins())).map((pin) => pin.cid.toString())).toContain(other.toString())
})

it('goes on where a reading was, and counts all of it in the receipt', async () => {
  const { remote, store, link } = await openClient()
  const bytes = new Uint8Array(9 * 1024 * 1024).map((_, index) => index % 251)
  const { cid } = await store.add(bytes)
  link()
  const receipts: unknown[] = []
  const pieces: Uint8Array[] = []
  const range = { offset: 1000, length: bytes.length - 2000 }
  for await (const piece of remote.cat(cid, { ...range, onReceipt: (receipt) => receipts.push(receipt) })) {
    pieces.push(piece)
    // While pieces are on their way.
    if (pieces.length === 2 || pieces.length === 4) link()
  }
  const read = new Uint8Array(await new Blob(pieces.map((piece) => piece.slice())).arrayBuffer())
  expect(read.length).toBe(range.length)
  expect(read.findIndex((byte, index) => byte !== bytes[range.offset + index])).toBe(-1)
  expect(receipts).toMatchObject([{ cid, bytes: range.length, verified: 'each-leaf' }])
  expect(receipts).toMatchObject([{ attempts: [{ outcome: 'failed' }, { outcome: 'answered' }] }])
})

it('lists each once, though its owner is gone midway', async () => {
  const { remote, store, link } = await openClient()
  const names = Array.from({ length: 300 }, (_, index) => `name-${String(index).padStart(3, '0')}`)
  const { cid } = await store.add(Uint8Array.of(1))
  for (const name of names) await store.names.set(name, cid)
  link()
  const listed: string[] = []
  for await (const { name } of remote.names.list()) {
    listed.push(name)
    if (listed.length % 100 === 0) link()
  }
  expect(listed).toEqual(names)
})

async function* once(): AsyncGenerator<Uint8Array> {
  yield new Uint8Array(1000).fill(1)
}

const directoryOf = (node: () => SourceNode): DirectorySource => ({
  type: 'directory',
  entries: () => [['file', node()]],
})

it('does not make again what can be read once alone', async () => {
  const { remote, link, linkMute } = await openClient()
  const bare = remote.add(once(), { name: 'bare' })
  const anew = remote.add(directoryOf(() => toSourceNode(once())))
  // Empty the second time, it would be another content.
  const node = toSourceNode(once())
  const spent = remote.add(
    directoryOf(() => node),
    { name: 'spent' },
  )
  const settled = Promise.allSettled([bare, anew, spent])
  await linkMute(3)
  link()
  await settled
  await expect(bare).rejects.toMatchObject(lost)
  await expect(anew).resolves.toMatchObject({ size: 1000 })
  await expect(spent).rejects.toMatchObject(lost)
})

it('gives up a call that no owner survives', async () => {
  const { remote, link, linkMute } = await openClient()
  const call = remote.names.get('name')
  const settled = Promise.allSettled([call])
  for (let owners = 0; owners < 4; owners++) await linkMute()
  link()
  await settled
  await expect(call).rejects.toMatchObject(lost)
  expect(await remote.names.get('name')).toBeUndefined()
})

it('an owner that leaves answers what could not be told, and leaves the rest to the next one', async () => {
  const { remote, store, link, events } = await openClient()
  const { cid } = await store.add(Uint8Array.of(1))
  const refused = Promise.withResolvers<void>()
  const leaving = link((message) => message.type === 'again' && refused.resolve())
  const first = remote.names.set('first', cid, { expected: null })
  await first
  const left = leaving.leave()
  const sent = remote.names.set('sent', cid, { expected: null })
  await left
  await refused.promise
  leaving.tell({ type: 'said last' })
  await expect.poll(() => events).toEqual([{ type: 'said last' }])
  const late = remote.names.set('late', cid, { expected: null })
  link()
  expect(await sent).toMatchObject({ name: 'sent' })
  expect(await late).toMatchObject({ name: 'late' })
})

it('hears an event of the owner, and takes metadata over as it is', async () => {
  const { remote, store, link, events } = await openClient()
  const { cid } = await store.add(Uint8Array.of(1))
  const owner = link()
  const metadata = { $: 'cid', text: 'none', list: [{ $: 'call', handle: 0 }], ['__proto__']: 1 }
  await remote.names.set('marked', cid, { metadata })
  owner.tell({ type: 'evicted', roots: [cid] })
  const record = await remote.names.get('marked')
  expect(JSON.stringify(record?.metadata)).toBe(JSON.stringify(metadata))
  expect(events).toEqual([{ type: 'evicted', roots: [cid] }])
  expect((await store.names.get('marked'))?.metadata).toEqual(record?.metadata)
  expect(record?.cid).toBeInstanceOf(CID)
})
