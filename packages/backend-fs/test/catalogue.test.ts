import { chmod, cp, readdir, readFile, rm, stat, truncate, writeFile } from 'node:fs/promises'

import { buildFile, encodeDagCbor, parseCid } from '@x/cid'
import { expect, it } from 'vitest'

import { openFsStore, type FsStore } from '../src/index.ts'
import { layoutOf, type Layout } from '../src/layout.ts'
import { bytesOf, collect, directoryOf, isSame, openTemp, someBytes } from './support.ts'

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
  await expect(store.add(someBytes(1))).rejects.toMatchObject({ code: 'BACKEND', message: /another store/ })
  await expect(store.names.get('a')).rejects.toMatchObject({ code: 'BACKEND' })
  expect(await collect(other.roots())).toEqual([])
  await other.close()
})

it('lists many roots page by page while others come', { timeout: 60_000 }, async () => {
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
  const bytes = await readFile(layout.index)
  const PAGE = 4096
  // Those with names alone: the store is opened without them.
  for (let at = bytes.indexOf('org/large'); at !== -1; at = bytes.indexOf('org/large', at)) {
    bytes.fill(0xff, at - (at % PAGE), at - (at % PAGE) + PAGE)
  }
  await writeFile(layout.index, bytes)
  const damaged = await openFsStore({ directory: layout.directory })
  await expect(stateOf(damaged)).rejects.toMatchObject({ code: 'BACKEND', message: /opened again/ })
  await damaged.close()
  const again = await openFsStore({ directory: layout.directory })
  expect(await stateOf(again)).toEqual(before)
  await again.close()
  // Once is enough.
  const warnings: string[] = []
  await (await openFsStore({ directory: layout.directory, onWarning: (text) => warnings.push(text) })).close()
  expect(warnings).toEqual([])
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

it('what is left of a damaged pack is found again, and gc does not throw the pack away', async () => {
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
  expect(await readdir(layout.packs)).toContain(pack)
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
