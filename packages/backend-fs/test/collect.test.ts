import { rm, stat, utimes, writeFile } from 'node:fs/promises'
import { join } from 'node:path'

import { cidOf, RAW, type CID } from '@x/cid'
import { toSourceNode, type DirectorySource, type SourceNode } from '@x/storage-core'
import { expect, it, onTestFinished, vi } from 'vitest'

import { openFsStore } from '../src/index.ts'
import { layoutOf } from '../src/layout.ts'
import { encodeOwner } from '../src/owner-file.ts'
import { thisProcess, uniqueName } from '../src/process-identity.ts'
import { bytesOf, collect, directoryOf, filesBelow, isSame, openTemp, someBytes } from './support.ts'

const MIB = 1024 * 1024

/** A directory that gives its entries, and says so, before it waits to be let on. */
function waiting(entries: Record<string, Uint8Array>) {
  const arrived = Promise.withResolvers<void>()
  const goOn = Promise.withResolvers<void>()
  const source: DirectorySource = {
    type: 'directory',
    entries: async function* () {
      for (const [name, bytes] of Object.entries(entries)) {
        yield [name, toSourceNode(bytes)] as readonly [string, SourceNode]
      }
      arrived.resolve()
      await goOn.promise
      yield ['last', toSourceNode(someBytes(3, 'last'))] as const
    },
  }
  return { source, arrived: arrived.promise, goOn: goOn.resolve }
}

it.each([50, 5 * MIB])('leaves alone what an add in progress relies on: %d bytes', async (size) => {
  const { store, directory } = await openTemp()
  const bytes = someBytes(size, 'shared')
  const before = await store.add(bytes, { pin: false })
  const { source, arrived, goOn } = waiting({ bytes })
  const adding = store.add(source)
  await arrived
  // From this process and from another one's point of view.
  const other = await openFsStore({ directory })
  expect(await store.gc()).toMatchObject({ roots: [before.cid], blocks: 0 })
  expect(await other.gc()).toMatchObject({ roots: [], blocks: 0 })
  await store.remove(before.cid)
  goOn()
  const { cid } = await adding
  expect(isSame(await bytesOf(store.cat(cid, { path: 'bytes' })), bytes)).toBe(true)
  expect(await store.gc()).toMatchObject({ roots: [], blocks: 0 })
  await store.remove(cid)
  expect(await collect(store.blocks.list())).toEqual([])
  await other.close()
})

it('takes what an add that died relied on', async () => {
  const { store, directory } = await openTemp()
  const { cid } = await store.add(someBytes(2 * MIB), { pin: false })
  const { source, arrived } = waiting({ bytes: someBytes(2 * MIB) })
  const adding = store.add(source)
  await arrived
  const leases = await filesBelow(layoutOf(directory).leases)
  expect(leases).toHaveLength(1)
  for (const lease of leases) await rm(lease)
  expect(await store.gc()).toMatchObject({ roots: [cid], blocks: 1 })
  expect(await filesBelow(layoutOf(directory).files)).toEqual([])
  adding.catch(() => undefined)
})

it.each([-3600, 60, 400_000])(
  'a clock that is set %d seconds on takes nothing from an add in progress',
  async (seconds) => {
    const { store, directory } = await openTemp()
    const bytes = someBytes(2 * MIB, 'shared')
    const before = await store.add(bytes, { pin: false })
    const { source, arrived, goOn } = waiting({ bytes, own: someBytes(2 * MIB, 'own') })
    const adding = store.add(source)
    await arrived
    vi.useFakeTimers({ toFake: ['Date'], now: Date.now() + seconds * 1000 })
    onTestFinished(() => void vi.useRealTimers())
    const other = await openFsStore({ directory })
    expect(await filesBelow(layoutOf(directory).leases)).toHaveLength(1)
    expect(await other.gc()).toMatchObject({ roots: [before.cid], blocks: 0 })
    goOn()
    expect(await store.verify((await adding).cid)).toBe(4 * MIB + 3)
    await other.close()
  },
)

const HOUR_MS = 60 * 60 * 1000

it('an add says now and then that it still runs', async () => {
  vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] })
  onTestFinished(() => void vi.useRealTimers())
  const { store, directory } = await openTemp()
  const timers = vi.getTimerCount()
  const { source, arrived, goOn } = waiting({})
  const adding = store.add(source)
  await arrived
  const [lease = ''] = await filesBelow(layoutOf(directory).leases)
  await utimes(lease, 0, 0)
  vi.advanceTimersByTime(HOUR_MS)
  await expect.poll(async () => (await stat(lease)).mtimeMs).toBeGreaterThan(Date.now() - HOUR_MS)
  goOn()
  await adding
  expect(vi.getTimerCount()).toBe(timers)
})

it('one that cannot be seen keeps what it has, however old, for as long as it renews its lease', async () => {
  const { store, directory } = await openTemp()
  const { leases, temp } = layoutOf(directory)
  const elsewhere = { ...thisProcess(), scope: 'another container' }
  const lease = join(leases, uniqueName(elsewhere))
  const staged = join(temp, uniqueName(elsewhere))
  await writeFile(lease, encodeOwner(elsewhere))
  await writeFile(staged, 'x')
  await utimes(staged, 0, 0)
  await store.gc()
  expect(await filesBelow(temp)).toEqual([staged])
  await utimes(lease, 0, 0)
  await store.gc()
  expect([await filesBelow(temp), await filesBelow(leases)]).toEqual([[], []])
})

it('what a process left whose id another one has got goes at once', async (context) => {
  if (process.platform !== 'linux') context.skip('only Linux tells when a process started')
  const { store, directory } = await openTemp()
  const { leases, temp } = layoutOf(directory)
  for (const gone of [
    { ...thisProcess(), pid: process.ppid, life: '1' },
    { ...thisProcess(), life: '1' },
  ]) {
    await writeFile(join(leases, uniqueName(gone)), encodeOwner(gone))
    // Killed before it had written who it is.
    await writeFile(join(leases, uniqueName(gone)), '')
    await writeFile(join(temp, uniqueName(gone)), 'x')
  }
  const mine = join(leases, uniqueName(thisProcess()))
  await writeFile(mine, '')
  await utimes(mine, 0, 0)
  await store.gc()
  expect([await filesBelow(temp), await filesBelow(leases)]).toEqual([[], [mine]])
})

it('reading goes on while what is read is collected', async () => {
  const { store } = await openTemp()
  const bytes = someBytes(20 * MIB)
  const { cid } = await store.add(bytes, { pin: false })
  const pieces: Uint8Array[] = []
  const reading = store.cat(cid)[Symbol.asyncIterator]()
  const first = await reading.next()
  expect(await store.gc()).toMatchObject({ roots: [cid] })
  for (let next = first; !next.done; next = await reading.next()) pieces.push(next.value)
  expect(isSame(Buffer.concat(pieces), bytes)).toBe(true)
  expect(await store.has(cid)).toBe(false)
})

it('a dry run says what would go, and nothing goes', async () => {
  const { store, directory } = await openTemp()
  await store.add(directoryOf({ a: someBytes(10), b: someBytes(3 * MIB) }), { pin: false })
  const kept = await store.add(directoryOf({ a: someBytes(10), c: someBytes(100_000) }))
  const before = await filesBelow(directory)
  const dry = await store.gc({ dryRun: true })
  expect(await filesBelow(directory)).toEqual(before)
  expect(await store.gc()).toEqual(dry)
  expect(dry.freedBytes).toBeGreaterThan(3 * MIB)
  expect(await store.verify(kept.cid)).toBe(100_010)
})

const files = (seed: string): Record<string, Uint8Array> =>
  Object.fromEntries(Array.from({ length: 40 }, (_, index) => [`${index}`, someBytes(50_000, `${seed}${index}`)]))

it('a pack goes when nothing in it is needed any more', async () => {
  const { store, directory } = await openTemp()
  const first = await store.add(directoryOf(files('a')))
  const second = await store.add(directoryOf({ ...files('b'), again: someBytes(50_000, 'a0') }))
  expect(await filesBelow(layoutOf(directory).packs)).toHaveLength(2)
  await store.remove(first.cid)
  expect(await store.verify(second.cid)).toBe(41 * 50_000)
  // One file of the first pack is left; it does not keep the other thirty-nine on the disk.
  const packed = Number((await store.status()).details.bytes)
  expect(packed).toBeLessThan(45 * 50_000)
  await store.remove(second.cid)
  expect(await filesBelow(join(directory, 'packs'))).toEqual([])
})

it('many adds and collections at once keep all that was acknowledged', async () => {
  const { store, directory } = await openTemp()
  const other = await openFsStore({ directory })
  const shared = someBytes(MIB + 9, 'shared')
  const kept: CID[] = []
  const work = async (worker: number): Promise<void> => {
    const by = worker % 2 === 0 ? store : other
    for (let round = 0; round < 6; round++) {
      const source = directoryOf({
        shared,
        small: someBytes(40, 'small'),
        own: someBytes(100_000, `${worker}-${round}`),
      })
      const { cid } = await by.add(source, { pin: round % 2 === 0 })
      if (round % 2 === 0) kept.push(cid)
    }
  }
  const adding = { isDone: false }
  const collecting = (async () => {
    while (!adding.isDone) await other.gc()
  })()
  await Promise.all([0, 1, 2, 3].map(work))
  adding.isDone = true
  await collecting
  for (const cid of kept) expect(await store.verify(cid)).toBe(MIB + 9 + 40 + 100_000)
  expect(await store.blocks.has(await cidOf(RAW, someBytes(40, 'small')))).toBe(true)
  await other.close()
})
