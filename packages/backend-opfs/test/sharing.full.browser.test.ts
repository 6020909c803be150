import { CID } from '@x/cid'
import { expect, it, onTestFinished } from 'vitest'

import { openOpfsStore, type OpfsStore } from '../src/index.ts'
import { namedChannel } from '../src/shared/channel.ts'
import { holdLock } from '../src/shared/hold-lock.ts'
import { noticesName, ownerLock } from '../src/shared/lock-names.ts'
import type { Notice } from '../src/shared/messages.ts'
import { collect, dataFiles, fresh } from './opfs-setup.ts'
import { openTab } from './tabs.ts'

const MIB = 1024 * 1024

async function open(directory: string): Promise<OpfsStore> {
  const store = await openOpfsStore({ directory })
  onTestFinished(() => store.close())
  return store
}

const namesOf = async (store: OpfsStore): Promise<string[]> =>
  (await collect(store.names.list())).map(({ name }) => name)

it('tabs add to one store at once, and each reads what the others added', async () => {
  const directory = fresh()
  const tabs = [await openTab(directory), await openTab(directory), await openTab(directory)]
  const cids = await Promise.all(tabs.map((tab, index) => tab.do('add', `name-${index}`, index, 3 * MIB)))
  for (const tab of tabs) {
    expect(await tab.do('names')).toEqual(['name-0', 'name-1', 'name-2'])
    for (const cid of cids) expect(await tab.do('cat', cid)).toBe(3 * MIB)
  }
  // The file itself, in a tab that does not own the store.
  expect(await tabs[2]?.do('file', cids[1])).toEqual({ size: 3 * MIB, isFilled: true })
})

it('of tabs that move a name at once, each step is made by one of them', async () => {
  const directory = fresh()
  const store = await open(directory)
  const roots: string[] = []
  for (let value = 0; value < 7; value++) roots.push((await store.add(Uint8Array.of(value))).cid.toString())
  const tabs = [await openTab(directory), await openTab(directory)]
  const won = await Promise.all(tabs.map((tab) => tab.do('race', 'moved', 40, ...roots)))
  const steps = won.reduce<number>((sum, count) => sum + Number(count), 0)
  expect(steps).toBeGreaterThan(0)
  const { cid } = (await store.names.get('moved')) ?? {}
  // From none to the first, and on: a step that two had made would be missing here.
  expect(cid?.toString()).toBe(roots[(steps - 1) % roots.length])
})

it('a tab whose owner is gone owns the store, and its calls go on', async () => {
  const directory = fresh()
  const owner = await openTab(directory)
  const held = await owner.do('add', 'held', 7, 9 * MIB)
  const store = await open(directory)
  const pieces = store.cat((await collect(store.roots()))[0]!.cid)[Symbol.asyncIterator]()
  let read = (await pieces.next()).value?.length ?? 0
  const adding = owner.do('addBlob', 'lost', 8, 64 * MIB, MIB)
  adding.catch(() => undefined)
  await owner.says('is reading')
  owner.kill()
  for (let next = await pieces.next(); !next.done; next = await pieces.next()) {
    expect(next.value.every((byte) => byte === 7)).toBe(true)
    read += next.value.length
  }
  expect(read).toBe(9 * MIB)
  // Of what the tab had begun nothing is there.
  expect(await namesOf(store)).toEqual(['held'])
  expect((await collect(store.roots())).map(({ cid }) => cid.toString())).toEqual([held])
  await store.gc()
  expect(await dataFiles(directory)).toHaveLength(1)
})

it('an add whose owner is gone is made again, where its source can be read again', async () => {
  const directory = fresh()
  const owner = await openTab(directory)
  const other = await openTab(directory)
  const adding = other.do('addBlob', 'whole', 8, 64 * MIB, MIB)
  const once = other.do('addSilent', 'once')
  once.catch(() => undefined)
  await other.says('is reading')
  owner.kill()
  expect(await other.do('cat', await adding)).toBe(64 * MIB)
  await expect(once).rejects.toMatchObject({ code: 'BACKEND', retryable: true })
  expect(await other.do('names')).toEqual(['whole'])
  expect(await dataFiles(directory)).toHaveLength(1)
})

it('when the owner closes the store, the next tab owns it, and loses nothing', async () => {
  const directory = fresh()
  const store = await openOpfsStore({ directory })
  const other = await openTab(directory)
  const adding = other.do('addBlob', 'whole', 8, 64 * MIB, MIB)
  await other.says('is reading')
  await store.close()
  expect(await other.do('cat', await adding)).toBe(64 * MIB)
  await expect(store.names.get('whole')).rejects.toMatchObject({ code: 'BACKEND', retryable: false })
})

it('what a client had begun is gone with it, while the owner goes on', async () => {
  const directory = fresh()
  const store = await open(directory)
  const client = await openTab(directory)
  const adding = client.do('addSilent', 'never')
  adding.catch(() => undefined)
  await client.says('is reading')
  await expect.poll(() => dataFiles(directory)).toHaveLength(1)
  client.kill()
  // The owner hears of it when the browser has ended the tab.
  await expect.poll(() => dataFiles(directory)).toHaveLength(0)
  expect(await namesOf(store)).toEqual([])
})

it('a worker that can start no other has the store in itself, and shares it', async () => {
  const directory = fresh()
  const worker = new Worker(new URL('./children/alone.ts', import.meta.url), { type: 'module' })
  const said = new Promise<string>((resolve, reject) => {
    worker.addEventListener('message', ({ data }) => resolve(String(data)))
    worker.addEventListener('error', ({ message }) => reject(new Error(message)))
  })
  worker.postMessage(directory, [])
  const cid = CID.parse(await said)
  const store = await open(directory)
  expect(await store.verify(cid)).toBe(100_000)
  worker.terminate()
  expect(await store.verify(cid)).toBe(100_000)
  await store.add(Uint8Array.of(1), { name: 'after' })
  expect(await namesOf(store)).toEqual(['after', 'alone'])
})

it('does not share with a tab that has another version of the package', async () => {
  const directory = fresh()
  const held = await holdLock(ownerLock(directory))
  onTestFinished(() => held.release())
  const notices = namedChannel<Notice, Notice>(noticesName(directory))
  onTestFinished(() => notices.close())
  notices.listen(({ type }) => type === 'who-owns' && notices.post({ type: 'owner', owner: 'newer', protocol: 99 }))
  await expect(openOpfsStore({ directory })).rejects.toMatchObject({ code: 'IN_USE' })
})
