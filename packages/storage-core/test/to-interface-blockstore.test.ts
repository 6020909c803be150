import { CID, cidOf, DAG_PB, RAW, verify } from '@x/cid'
import {
  BackendError,
  createContentStore,
  createMemoryRecords,
  openMemoryBlockstore,
  toInterfaceBlockstore,
  type Blockstore,
} from '@x/storage-core'
import { exporter } from 'ipfs-unixfs-exporter'
import { importByteStream } from 'ipfs-unixfs-importer'
import { describe, expect, it } from 'vitest'

import { collect, concat, inPieces, keysOf, randomBlock, sampleBytes, sameBytes } from '../src/conformance/sample.ts'
import { memoryBlockstore } from './memory-setup.ts'

describe('toInterfaceBlockstore', () => {
  it('lets the reference importer and exporter work on our store, and us read what they wrote', async () => {
    const blocks = await openMemoryBlockstore()
    const theirs = toInterfaceBlockstore(blocks)
    const bytes = sampleBytes(1, 3 * 1024 * 1024 + 5)
    const { cid } = await importByteStream(inPieces(bytes), theirs, { profile: 'unixfs-v1-2025' })
    const store = createContentStore({ name: 'memory', blocks, records: createMemoryRecords() })
    expect(sameBytes(await concat(store.cat(cid)), bytes)).toBe(true)
    expect((await store.add(bytes)).cid).toEqual(cid)
    const entry = await exporter(cid, theirs)
    if (entry.type !== 'file') throw new Error(`a ${entry.type}`)
    expect(sameBytes(await concat(entry.content()), bytes)).toBe(true)
  })

  it('says absent as their users look for it, with ours as the cause', async () => {
    const { cid } = await randomBlock()
    const theirs = toInterfaceBlockstore(await openMemoryBlockstore())
    const absent = { name: 'NotFoundError', code: 'ERR_NOT_FOUND', cid, cause: { code: 'NOT_FOUND' } }
    await expect(collect(theirs.get(cid))).rejects.toMatchObject(absent)
    for await (const pair of theirs.getMany([cid])) await expect(collect(pair.bytes)).rejects.toMatchObject(absent)
    expect(await theirs.has(cid)).toBe(false)
  })

  it('does not say absent of a medium that failed', async () => {
    const { cid, bytes } = await randomBlock()
    const broken = await memoryBlockstore.openBroken?.()
    if (!broken) throw new Error('there is no openBroken')
    const theirs = toInterfaceBlockstore(broken)
    const failed = { name: 'BackendError', code: 'BACKEND' }
    await expect(theirs.has(cid)).rejects.toMatchObject(failed)
    await expect(theirs.put(cid, bytes)).rejects.toMatchObject(failed)
    await expect(collect(theirs.get(cid))).rejects.toMatchObject(failed)
    await expect(collect(theirs.getAll())).rejects.toMatchObject(failed)
    await expect(theirs.delete(cid)).rejects.toMatchObject(failed)
  })

  it('rejects with the reason of the signal itself', async () => {
    const { cid, bytes } = await randomBlock()
    const theirs = toInterfaceBlockstore(await openMemoryBlockstore())
    const reason = new Error('the caller gave up')
    const options = { signal: AbortSignal.abort(reason) }
    for (const call of [
      theirs.has(cid, options),
      theirs.put(cid, bytes, options),
      theirs.put(cid, endless(), options),
      theirs.delete(cid, options),
      collect(theirs.get(cid, options)),
      collect(theirs.getMany([cid], options)),
      collect(theirs.getAll(options)),
      collect(theirs.putMany([{ cid, bytes }], options)),
      collect(theirs.deleteMany([cid], options)),
    ]) {
      await expect(call).rejects.toBe(reason)
    }
  })

  it('takes a block in pieces, and refuses what does not match or does not end', async () => {
    const blocks = await openMemoryBlockstore()
    const theirs = toInterfaceBlockstore(blocks, { maxBlockBytes: 1000 })
    const bytes = sampleBytes(2, 1000)
    const cid = await cidOf(RAW, bytes)
    expect(await theirs.put(cid, inPieces(bytes, 7))).toBe(cid)
    expect(await collect(theirs.get(cid))).toEqual([bytes])
    const { cid: other } = await randomBlock()
    await expect(theirs.put(other, inPieces(bytes, 7))).rejects.toMatchObject({ code: 'INTEGRITY', cid: other })
    await expect(theirs.put(other, endless())).rejects.toMatchObject({ code: 'INVALID_INPUT' })
    expect(await keysOf(blocks)).toEqual([String(cid)])
  })

  it('never gives a damaged block', async () => {
    const { cid, bytes } = await randomBlock()
    const blocks = await memoryBlockstore.open()
    await blocks.put(cid, bytes)
    await memoryBlockstore.corrupt?.(blocks, cid)
    await expect(collect(toInterfaceBlockstore(blocks).get(cid))).rejects.toMatchObject({ code: 'INTEGRITY', cid })
  })

  it('lists CIDs with the codec they were put with', async () => {
    const blocks = await openMemoryBlockstore()
    const theirs = toInterfaceBlockstore(blocks)
    const bytes = Uint8Array.of(0x0a, 0x02, 0x08, 0x01)
    const cid = await cidOf(DAG_PB, bytes)
    await theirs.put(cid.toV0(), bytes)
    const pairs = await collect(theirs.getAll())
    expect(pairs.map((pair) => String(pair.cid))).toEqual([String(cid)])
    for (const pair of pairs) await verify(pair.cid, await concat(pair.bytes))
  })

  it('takes a CID of another copy of multiformats', async () => {
    const { cid, bytes } = await randomBlock()
    const theirs = toInterfaceBlockstore(await openMemoryBlockstore())
    const foreign: CID = Object.assign(Object.create(null), cid, { '/': cid['/'], bytes: cid.bytes })
    expect(foreign).not.toBeInstanceOf(CID)
    await theirs.put(foreign, bytes)
    expect(await theirs.has(cid)).toBe(true)
  })

  it('stops asking for more blocks at the first that fails', async () => {
    const honest = await openMemoryBlockstore()
    const [first, second] = [await randomBlock(), await randomBlock()]
    const failing: Blockstore = {
      ...honest,
      put: () => Promise.reject(new BackendError('no', { retryable: false })),
    }
    const asked: CID[] = []
    function* source() {
      for (const block of [first, second]) {
        asked.push(block.cid)
        yield block
      }
    }
    await expect(collect(toInterfaceBlockstore(failing).putMany(source()))).rejects.toMatchObject({ code: 'BACKEND' })
    expect(asked).toEqual([first.cid])
  })
})

function* endless(): Generator<Uint8Array> {
  for (;;) yield new Uint8Array(100)
}
