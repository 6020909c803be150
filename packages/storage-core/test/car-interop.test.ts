import { CarBlockIterator, CarWriter } from '@ipld/car'
import { CID, cidOf, DAG_PB, encodeDagCbor, RAW, type Block } from '@x/cid'
import { exportCar, importCar, openMemoryStore } from '@x/storage-core'
import { expect, it } from 'vitest'

import { profiles, sources } from '../src/conformance/content-adding.ts'
import { collect, concat, join, sampleBytes, sameBytes, texts } from '../src/conformance/sample.ts'

// CAR files of @ipld/car, both ways.

const cases = profiles.flatMap((profile) => sources.map(([name, source]) => [name, profile, source] as const))

async function readWithReference(car: AsyncIterable<Uint8Array>): Promise<{ roots: CID[]; blocks: Block[] }> {
  const iterator = await CarBlockIterator.fromIterable(car)
  const blocks = (await collect(iterator)).map(({ cid, bytes }) => ({ cid: CID.decode(cid.bytes), bytes }))
  return { roots: (await iterator.getRoots()).map((root) => CID.decode(root.bytes)), blocks }
}

async function writeWithReference(roots: CID[], blocks: readonly Block[]): Promise<Uint8Array> {
  const { writer, out } = CarWriter.create(roots)
  const written = concat(out)
  for (const block of blocks) await writer.put(block)
  await writer.close()
  return written
}

it.each(cases)('%s under %s is read by it, and comes back from it', async (_name, profile, source) => {
  const from = await openMemoryStore()
  const { cid } = await from.add(source(profile), { profile })
  const car = await readWithReference(exportCar(from, cid))
  expect(texts(car.roots)).toEqual(texts([cid]))
  expect(texts(car.blocks.map((block) => block.cid.toV1()))).toEqual(texts(await collect(from.blocks.list())))
  for (const { cid: key, bytes } of car.blocks) expect(await cidOf(key.code, bytes)).toEqual(key.toV1())

  const into = await openMemoryStore()
  // In another order: no reader may count on one.
  const back = await writeWithReference(car.roots, car.blocks.toReversed())
  expect(await importCar(into, back)).toMatchObject({ roots: [cid], blocks: car.blocks.length })
  const whole = await concat(exportCar(from, cid))
  expect(sameBytes(await concat(exportCar(into, cid)), whole)).toBe(true)
  expect(sameBytes(await writeWithReference(car.roots, car.blocks), whole)).toBe(true)
})

it('a root of CIDv0, and links of dag-cbor, are read by it', async () => {
  const store = await openMemoryStore()
  const leaf = { bytes: sampleBytes(1, 40), cid: await cidOf(RAW, sampleBytes(1, 40)) }
  const empty = Uint8Array.of(0x0a, 0x02, 0x08, 0x01)
  const directory = { bytes: empty, cid: (await cidOf(DAG_PB, empty)).toV0() }
  const manifest = await encodeDagCbor({ files: [leaf.cid, directory.cid] })
  for (const { cid, bytes } of [leaf, directory, manifest]) await store.blocks.put(cid, bytes)
  expect((await readWithReference(exportCar(store, directory.cid))).roots).toEqual([directory.cid])
  const car = await readWithReference(exportCar(store, manifest.cid))
  expect(car.blocks).toEqual([manifest, leaf, directory])
})

it('what is no UnixFS can be exported', async () => {
  const store = await openMemoryStore()
  // A dag-pb node without data, with one link to a raw block.
  const leaf = { bytes: sampleBytes(2, 10), cid: await cidOf(RAW, sampleBytes(2, 10)) }
  const link = join([Uint8Array.of(0x0a, leaf.cid.bytes.length), leaf.cid.bytes])
  const bytes = join([Uint8Array.of(0x12, link.length), link])
  const node = { bytes, cid: await cidOf(DAG_PB, bytes) }
  for (const block of [leaf, node]) await store.blocks.put(block.cid, block.bytes)
  expect((await readWithReference(exportCar(store, node.cid))).blocks).toEqual([node, leaf])
})
