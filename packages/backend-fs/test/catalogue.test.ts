import { appendFileSync } from 'node:fs'
import { chmod, cp, readdir, readFile, rm, stat, truncate, writeFile } from 'node:fs/promises'
import { dirname } from 'node:path'

import { buildFile, encodeDagCbor, parseCid } from '@x/cid'
import { InUseError } from '@x/storage-core'
import { DamagedDatabaseError } from '@x/storage-core/backend'
import { expect, it } from 'vitest'

import { openCatalogue } from '../src/catalogue/catalogue.ts'
import { openIndexLock } from '../src/catalogue/index-lock.ts'
import { appendToJournal } from '../src/catalogue/journal.ts'
import { createScanner } from '../src/catalogue/scan.ts'
import { createContext } from '../src/context.ts'
import { openFsStore, type FsStore } from '../src/index.ts'
import { layoutOf, type Layout } from '../src/layout.ts'
import { thisProcess } from '../src/process-identity.ts'
import { asNobody, bytesOf, collect, directoryOf, isSame, openTemp, someBytes, startChild } from './support.ts'

const MIB = 1024 * 1024

/** Of every kind that a store can hold. */
async function filled(): Promise<{ store: FsStore; layout: Layout }> {
  const { store, directory } = await openTemp()
  await store.add(someBytes(2 * MIB + 5), { name: 'org/large', metadata: { a: [1, null] } })
  await store.add(someBytes(700_000, 'v0'), { profile: 'unixfs-v0-2015' })
  await store.add(someBytes(20, 'v0 small'), { profile: 'unixfs-v0-2015', pin: false })
  await store.add(directoryOf({ a: someBytes(9), b: someBytes(MIB + 1), 'ä"\n': someBytes(0) }), { name: 'a name / ü' })
  await store.add(directoryOf(Object.fromEntries(Array.from({ length: 300 }, (_, i) => [`f${i}`, someBytes(i)]))))
  const manifest = await encodeDagCbor({ hello: 'world' })
  await store.blocks.put(manifest.cid, manifest.bytes)
  await store.names.set('.manifests/x', manifest.cid)
  return { store, layout: layoutOf(directory) }
}

async function stateOf(store: FsStore) {
  const roots = await collect(store.roots())
  return {
    roots: roots.map(({ cid, ...rest }) => ({ cid: cid.toString(), ...rest })),
    pins: (await collect(store.pins())).map(({ cid, pinnedAt }) => `${cid} ${pinnedAt}`),
    names: (await collect(store.names.list())).map(({ cid, ...rest }) => ({ cid: cid.toString(), ...rest })),
    blocks: (await collect(store.blocks.list())).map(String).toSorted(),
    bytes: (await store.status()).details.bytes,
  }
}

const removeIndex = async (layout: Layout): Promise<void> => {
  for (const end of ['', '-wal', '-shm']) await rm(`${layout.index}${end}`, { force: true })
}

/** The store is opened without reading it. */
async function damageTable(layout: Layout, name: 'names' | 'packed'): Promise<void> {
  const { DatabaseSync } = process.getBuiltinModule('node:sqlite')
  const index = new DatabaseSync(layout.index)
  const root = index.prepare('SELECT rootpage FROM sqlite_master WHERE name = ?').get(name)?.['rootpage']
  index.close()
  const PAGE = 4096
  const bytes = await readFile(layout.index)
  bytes.fill(0xff, (Number(root) - 1) * PAGE, Number(root) * PAGE)
  await writeFile(layout.index, bytes)
}

it.each([
  ['deleted', removeIndex],
  ['cut short', (layout: Layout) => truncate(layout.index, 5000)],
  ['overwritten', (layout: Layout) => writeFile(layout.index, someBytes(50_000))],
  [
    'of another version',
    async (layout: Layout) => {
      const { DatabaseSync } = process.getBuiltinModule('node:sqlite')
      const database = new DatabaseSync(layout.index)
      database.exec("UPDATE meta SET value = 99 WHERE name = 'schema'")
      database.close()
    },
  ],
])('an index that is %s is found again in files and journal', async (_what, damage) => {
  const { store, layout } = await filled()
  const before = await stateOf(store)
  await store.close()
  await damage(layout)
  const again = await openFsStore({ directory: layout.directory })
  expect(await stateOf(again)).toEqual(before)
  for (const { cid, size } of await collect(again.roots())) expect(await again.verify(cid)).toBe(size)
  expect(await again.gc({ dryRun: true })).toMatchObject({ roots: [{}] })
  await again.close()
})

it('rebuild changes nothing that a reader can see, and says what it found', async () => {
  const { store } = await filled()
  const before = await stateOf(store)
  expect(await store.rebuild()).toEqual({ roots: 5, pins: 4, names: 3, pinned: [] })
  expect(await stateOf(store)).toEqual(before)
})

it('a lost journal is written anew from the index', async () => {
  const { store, layout } = await filled()
  const before = await stateOf(store)
  await store.close()
  await rm(layout.journal)
  const again = await openFsStore({ directory: layout.directory })
  expect(await stateOf(again)).toEqual(before)
  await again.close()
  await removeIndex(layout)
  const third = await openFsStore({ directory: layout.directory })
  expect(await stateOf(third)).toEqual(before)
  await third.close()
})

it('where both are lost every root is pinned, and gc deletes none of them', async () => {
  const { store, layout } = await filled()
  const before = await stateOf(store)
  await store.close()
  await removeIndex(layout)
  await rm(layout.journal)
  const warnings: string[] = []
  const again = await openFsStore({ directory: layout.directory, onWarning: (text) => warnings.push(text) })
  expect(warnings).toEqual([expect.stringMatching(/all 6 are pinned now; names are lost/)])
  expect(await again.gc()).toMatchObject({ roots: [], blocks: 0 })
  const after = await stateOf(again)
  expect(after.blocks).toEqual(before.blocks)
  // In which version a CID was given is lost as well.
  const essence = ({ roots }: typeof after) =>
    roots.map(({ cid, type, size }) => `${parseCid(cid).toV1()} ${type} ${size}`).toSorted()
  expect(essence(after)).toEqual(essence(before))
  // The manifest, which is no file, is kept as well.
  expect(after.pins).toHaveLength(6)
  expect(await collect(again.names.list())).toEqual([])
  await again.close()
})

it('damage in the journal is noticed once it is needed, and then everything is pinned', async () => {
  const { store, layout } = await filled()
  const before = await stateOf(store)
  await store.close()
  const text = await readFile(layout.journal, 'latin1')
  const at = text.indexOf('put-pin')
  await writeFile(layout.journal, `${text.slice(0, at)}PUT${text.slice(at + 3)}`, 'latin1')
  const unharmed = await openFsStore({ directory: layout.directory })
  expect(await stateOf(unharmed)).toEqual(before)
  await unharmed.close()
  await removeIndex(layout)
  const warnings: string[] = []
  const again = await openFsStore({ directory: layout.directory, onWarning: (warning) => warnings.push(warning) })
  expect(warnings[0]).toMatch(/1 lines of the journal are damaged/)
  expect(await again.gc()).toMatchObject({ roots: [], blocks: 0 })
  expect((await stateOf(again)).blocks).toEqual(before.blocks)
  await again.close()
})

it('half a line at the end of the journal was never acknowledged, and goes', async () => {
  const { store, layout } = await filled()
  const before = await stateOf(store)
  await store.close()
  const sound = await readFile(layout.journal)
  for (const index of ['kept', 'lost']) {
    await writeFile(layout.journal, Buffer.concat([sound, Buffer.from('0123456789abcdef [{"type":"delete-pi')]))
    if (index === 'lost') await removeIndex(layout)
    const again = await openFsStore({ directory: layout.directory })
    expect(await stateOf(again)).toEqual(before)
    await again.names.set('after', (await again.add(someBytes(1))).cid)
    await again.remove((await again.add(someBytes(1))).cid)
    await again.close()
    const { store: third } = await openTemp({ directory: layout.directory })
    expect(await stateOf(third)).toEqual(before)
    await third.close()
    await removeIndex(layout)
    await writeFile(layout.journal, sound)
  }
})

it('what a process that was killed wrote to the journal alone is taken over', async () => {
  const { store, layout } = await filled()
  await store.close()
  const copy = `${layout.index}.copy`
  await cp(layout.index, copy)
  const writer = await openFsStore({ directory: layout.directory })
  const { cid } = await writer.add(directoryOf({ new: someBytes(3 * MIB, 'new'), small: someBytes(5, 'new') }), {
    name: 'new',
  })
  const after = await stateOf(writer)
  await writer.close()
  await removeIndex(layout)
  await cp(copy, layout.index)
  const again = await openFsStore({ directory: layout.directory })
  expect(await stateOf(again)).toEqual(after)
  expect(await again.verify(cid)).toBe(3 * MIB + 5)
  await again.close()
})

it('a directory that another store took the place of is not written to', async () => {
  const { store, layout } = await filled()
  await rm(layout.directory, { recursive: true })
  const other = await openFsStore({ directory: layout.directory })
  await expect(store.add(someBytes(1))).rejects.toMatchObject({
    code: 'BACKEND',
    message: expect.stringMatching(/not the one that was opened/),
  })
  await expect(store.names.get('a')).rejects.toMatchObject({ code: 'BACKEND' })
  expect(await collect(other.roots())).toEqual([])
  await other.close()
})

it('lists many roots page by page while others come', async () => {
  const { store } = await openTemp()
  const built = await buildFile([someBytes(3)])
  await store.add(someBytes(3))
  for (let index = 0; index < 2500; index++) await store.names.set(`n/${index}`, built.cid)
  let seen = 0
  for await (const { name } of store.names.list({ prefix: 'n/' })) {
    if (seen++ === 10) await store.names.set('n/~', built.cid)
    expect(name.startsWith('n/')).toBe(true)
  }
  expect(seen).toBe(2501)
})

it('an index that is damaged in the middle is made anew when the store is opened again', async () => {
  const { store, layout } = await filled()
  const before = await stateOf(store)
  await store.close()
  await damageTable(layout, 'names')
  const damaged = await openFsStore({ directory: layout.directory })
  await expect(stateOf(damaged)).rejects.toMatchObject({
    code: 'BACKEND',
    message: expect.stringMatching(/opened again/),
  })
  await damaged.close()
  const again = await openFsStore({ directory: layout.directory })
  expect(await stateOf(again)).toEqual(before)
  await again.close()
  // Once is enough.
  const warnings: string[] = []
  await (await openFsStore({ directory: layout.directory, onWarning: (text) => warnings.push(text) })).close()
  expect(warnings).toEqual([])
})

it('one that has the damaged index open still, does not have the sound one made anew', async () => {
  const { store, layout } = await filled()
  const before = await stateOf(store)
  await store.close()
  await damageTable(layout, 'packed')
  const old = await openFsStore({ directory: layout.directory })
  const read = () => old.blocks.get(parseCid('bafkreifzjut3te7nhyekklss27nh3k72ysco7y32koao5eei66wof36n5e'))
  await expect(read()).rejects.toBeInstanceOf(DamagedDatabaseError)
  const fresh = await openFsStore({ directory: layout.directory })
  await expect(read()).rejects.toBeInstanceOf(DamagedDatabaseError)
  const warnings: string[] = []
  const third = await openFsStore({ directory: layout.directory, onWarning: (text) => warnings.push(text) })
  expect(warnings).toEqual([])
  expect(await stateOf(fresh)).toEqual(before)
  await expect(old.add(someBytes(1))).rejects.toMatchObject({
    code: 'BACKEND',
    message: expect.stringMatching(/opened again/),
  })
  await old.close()
  const { cid } = await fresh.add(someBytes(1), { name: 'after' })
  expect(await third.names.get('after')).toMatchObject({ cid })
  for (const opened of [fresh, third]) await opened.close()
})

it('what says that another index was damaged is not heeded', async () => {
  const { store, layout } = await filled()
  await store.close()
  const { ino } = await stat(layout.index)
  const warnings: string[] = []
  const open = () => openFsStore({ directory: layout.directory, onWarning: (text) => warnings.push(text) })
  await writeFile(layout.indexDamaged, String(ino + 1))
  await (await open()).close()
  expect(warnings).toEqual([])
  const old = await open()
  await writeFile(layout.indexDamaged, String(ino))
  const fresh = await open()
  expect(warnings).toEqual([expect.stringMatching(/made anew/)])
  // It has the one that was replaced.
  await expect(old.add(someBytes(1))).rejects.toMatchObject({
    message: expect.stringMatching(/not the one that was opened/),
  })
  await old.close()
  await fresh.add(someBytes(1))
  await fresh.close()
})

it('nobody makes the index anew while one writes, and nobody writes meanwhile', async () => {
  const { store, directory } = await openTemp()
  const { cid } = await store.add(someBytes(10))
  const context = createContext({ layout: layoutOf(directory), readOnly: false, self: thisProcess(), warn: () => {} })
  const catalogue = await openCatalogue(context, createScanner(context))
  const other = openIndexLock(context)
  await catalogue.write('test', undefined, () => expect(() => other.takeAlone()).toThrow(InUseError))
  other.takeAlone()
  let isSet = false
  const setting = store.names.set('a', cid).then(() => (isSet = true))
  // It would be done by then.
  for (let calls = 0; calls < 200; calls++) await stat(directory)
  expect(isSet).toBe(false)
  other.release()
  await setting
  other.close()
  await catalogue.close()
})

it('who may not write to the lock cannot have it alone', async () => {
  const { store, directory } = await openTemp()
  const layout = layoutOf(directory)
  await store.close()
  await chmod(directory, 0o777)
  await chmod(`${layout.index}-lock`, 0o444)
  await chmod(dirname(directory), 0o755)
  await asNobody(() => {
    const context = createContext({ layout, readOnly: false, self: thisProcess(), warn: () => {} })
    const lock = openIndexLock(context)
    lock.share()
    lock.release()
    expect(() => lock.takeAlone()).toThrow(expect.objectContaining({ code: 'BACKEND' }))
    lock.close()
    return Promise.resolve()
  })
})

it('a process that is killed while it makes the index anew keeps nobody out', async () => {
  const { store, directory } = await openTemp()
  const { cid } = await store.add(someBytes(10))
  await store.close()
  const child = startChild('hold-index', directory)
  for await (const event of child.events) {
    expect(event).toEqual({ type: 'alone' })
    child.process.kill('SIGKILL')
  }
  const again = await openFsStore({ directory })
  expect(await again.has(cid)).toBe(true)
  await again.close()
})

it('gc keeps what another process pinned in the journal alone, while gc went on', async () => {
  const { store, directory } = await openTemp()
  const layout = layoutOf(directory)
  const { cid } = await store.add(someBytes(300_000), { pin: false })
  // What one writes that is killed before the index follows.
  const copy = `${directory}-journal`
  await cp(layout.journal, copy)
  const { size } = await stat(copy)
  await appendToJournal(copy, size, [{ type: 'put-pin', record: { cid, pinnedAt: new Date().toISOString() } }])
  const line = (await readFile(copy)).subarray(size)
  const { DatabaseSync } = process.getBuiltinModule('node:sqlite')
  const index = new DatabaseSync(layout.index)
  const caller = new AbortController()
  let isPinned = false
  // It is asked between any two steps. Once the root is forgotten, gc has marked all that is pinned.
  caller.signal.throwIfAborted = () => {
    if (isPinned || index.prepare('SELECT 1 FROM roots').get()) return
    appendFileSync(layout.journal, line)
    isPinned = true
  }
  await store.gc({ signal: caller.signal })
  index.close()
  expect(isPinned).toBe(true)
  expect(await store.verify(cid)).toBe(300_000)
})

it('the journal does not grow for ever', async () => {
  const { store, directory } = await openTemp()
  const layout = layoutOf(directory)
  const { cid } = await store.add(someBytes(100), { name: 'kept' })
  const metadata = { text: 'x'.repeat(50_000) }
  let most = 0
  for (let count = 0; count < 60; count++) {
    await store.names.set('moves', cid, { metadata: { ...metadata, count } })
    most = Math.max(most, (await stat(layout.journal)).size)
  }
  expect(most).toBeLessThan(1.2 * MIB)
  expect((await stat(layout.journal)).size).toBeLessThan(MIB)
  const before = await stateOf(store)
  await store.close()
  await removeIndex(layout)
  const again = await openFsStore({ directory })
  expect(await stateOf(again)).toEqual(before)
  expect(await again.names.get('moves')).toMatchObject({ metadata: { count: 59 } })
  await again.close()
})

it('one that only reads sees what a writer beside it does', async () => {
  const { store, directory } = await openTemp()
  const first = await store.add(someBytes(100, 'first'), { pin: false })
  const reader = await openFsStore({ directory, readOnly: true })
  const { cid } = await store.add(someBytes(3 * MIB), { name: 'large' })
  expect(await reader.verify(cid)).toBe(3 * MIB)
  expect(await reader.names.get('large')).toMatchObject({ cid })
  await store.names.delete('large')
  expect(await collect(reader.names.list())).toEqual([])
  await store.remove(first.cid)
  expect(await reader.has(first.cid)).toBe(false)
  await store.rebuild()
  expect((await collect(reader.roots())).map(String)).toEqual((await collect(store.roots())).map(String))
  await reader.close()
})

it('what is left of a damaged pack is found again, and gc puts the pack away', async () => {
  const { store, directory } = await openTemp()
  const layout = layoutOf(directory)
  const files = Object.fromEntries(Array.from({ length: 20 }, (_, i) => [`f${i}`, someBytes(1000, `f${i}`)]))
  const { cid } = await store.add(directoryOf(files))
  await store.close()
  const [pack = ''] = await readdir(layout.packs)
  const bytes = await readFile(layout.packOf(pack))
  // The head of the third entry.
  bytes.fill(0xff, bytes.indexOf(Buffer.from(files['f2'] ?? [])) - 20, bytes.indexOf(Buffer.from(files['f2'] ?? [])))
  await chmod(layout.packOf(pack), 0o644)
  await writeFile(layout.packOf(pack), bytes)
  await removeIndex(layout)
  const again = await openFsStore({ directory })
  await expect(bytesOf(again.cat(cid, { path: 'f2' }))).rejects.toMatchObject({ code: 'NOT_FOUND' })
  delete files['f2']
  for (const [name, expected] of Object.entries(files)) {
    expect(isSame(await bytesOf(again.cat(cid, { path: name })), expected)).toBe(true)
  }
  await again.unpin(cid)
  await again.gc()
  expect([await readdir(layout.packs), await readdir(layout.quarantine)]).toEqual([[], [`${pack}.bad`]])
  await again.close()
})

it('a rebuild that is stopped leaves the index as it was', async () => {
  const { store } = await filled()
  const before = await stateOf(store)
  const caller = new AbortController()
  const rebuilding = store.rebuild({ signal: caller.signal })
  const reason = new Error('the caller gave up')
  // By now it has begun its turn.
  queueMicrotask(() => caller.abort(reason))
  await expect(rebuilding).rejects.toBe(reason)
  expect(await stateOf(store)).toEqual(before)
  expect(await store.gc({ dryRun: true })).toMatchObject({ roots: [{}] })
})
