import { join } from 'node:path'

import { parseCid, PROFILES, type ProfileName } from '@x/cid'
import { importCar, openMemoryStore } from '@x/storage-core'
import { expect, it } from 'vitest'

import { kuboOrSkip } from '../../../tooling/kubo/kubo-or-skip.ts'
import { collect, concat, directoryOf, sampleBytes, type Tree } from '../../storage-core/src/conformance/sample.ts'
import { createKuboPool } from './kubo-pool.ts'
import { openNode, openStore, tempDirectory, writeTree } from './support.ts'

// What is added here has the CID that `ipfs add` gives it, under every profile, and each reads what the other added.

const hello = new TextEncoder().encode('hello world')
const many = (count: number, length: number): Tree =>
  Object.fromEntries(Array.from({ length: count }, (_, index) => [String(index).padStart(length, 'n'), hello]))

const corpus: Record<string, Uint8Array | Tree> = {
  'an empty file': new Uint8Array(),
  'a small file': hello,
  'a chunk of 256 KiB': sampleBytes(1, 262_144),
  'a chunk of 256 KiB and a byte': sampleBytes(2, 262_145),
  'a chunk of 1 MiB': sampleBytes(3, 1_048_576),
  'a chunk of 1 MiB and a byte': sampleBytes(4, 1_048_577),
  'a file of 5 MB': sampleBytes(5, 5_000_000),
  'an empty directory': {},
  'a tree': {
    'config.json': hello,
    'model.bin': sampleBytes(6, 1_500_000),
    empty: {},
    'nothing.txt': new Uint8Array(),
    link: 'onnx/weights.bin',
    'ünï ☃': hello,
    onnx: { 'weights.bin': sampleBytes(7, 700_000), deeper: { still: hello } },
  },
}

/** Around the threshold above which a directory is sharded; `kubo-v1` has that of `unixfs-v0-2015`. */
const directories: Record<ProfileName, Record<string, Tree>> = {
  'unixfs-v1-2025': { 'a directory below the threshold': many(850, 240), 'a sharded directory': many(950, 240) },
  'unixfs-v0-2015': { 'a sharded directory': many(1000, 240) },
  'kubo-v1': {},
}

/** What makes `ipfs add` do as a profile says. */
const kuboFlags: Record<ProfileName, { profiles: string[]; flags: string[] }> = {
  'unixfs-v1-2025': { profiles: ['unixfs-v1-2025'], flags: [] },
  'unixfs-v0-2015': { profiles: ['unixfs-v0-2015'], flags: [] },
  'kubo-v1': { profiles: [], flags: ['--cid-version=1'] },
}

const pool = createKuboPool()

it.for(Object.values(PROFILES).map(({ name }) => name))(
  'the CIDs of %s are those of `ipfs add`',
  async (profile, context) => {
    const { profiles, flags } = kuboFlags[profile]
    const node = await openNode(context, { profiles })
    const store = await openStore(await pool.take())
    const path = join(await tempDirectory(), 'added')
    const all = { ...corpus, ...directories[profile] }
    await writeTree(path, all)
    const root = (await node.ipfs(['add', '-r', '-Q', ...flags, path])).stdout.toString().trim()
    const theirs = (await node.ipfs(['ls', '--size=false', root])).stdout.toString().trim().split('\n')
    const { cid } = await store.add(directoryOf(all), { profile })
    const ours = (await collect(store.ls(cid))).map(({ name, type, cid: of }) => {
      return `${of} ${name}${type === 'directory' ? '/' : ''}`
    })
    expect(ours.toSorted()).toEqual(theirs.toSorted())
    expect(cid.toString()).toBe(root)
    console.log(`${profile}: add ${cid}  ipfs add ${root}\n${ours.join('\n')}`)
  },
)

it('each reads what the other has added', async (context) => {
  kuboOrSkip(context)
  const node = await pool.take()
  const store = await openStore(node)
  const bytes = sampleBytes(8, 3_000_000)
  const { cid } = await store.add(bytes)
  const { stdout } = await node.ipfs(['cat', cid.toString()])
  expect(Buffer.compare(stdout, bytes)).toBe(0)
  const theirs = sampleBytes(9, 2_000_000)
  const root = parseCid((await node.ipfs(['add', '-Q'], { input: theirs })).stdout.toString().trim())
  expect(Buffer.compare(await concat(store.cat(root)), theirs)).toBe(0)
  expect(await concat(store.cat(root, { offset: 262_143, length: 3 }))).toEqual(theirs.slice(262_143, 262_146))
  expect(await store.has(root)).toBe(true)

  // Through a CAR that the daemon writes.
  const car = (await node.ipfs(['dag', 'export', '--progress=false', cid.toString()])).stdout
  const into = await openMemoryStore()
  expect((await importCar(into, car)).roots).toEqual([cid])
  expect(Buffer.compare(await concat(into.cat(cid)), bytes)).toBe(0)
})
