import { createHash } from 'node:crypto'

import { fixtureModel } from '@x/fixtures'
import { decodeTensorTable, type TensorTable } from '@x/model-formats'
import type { ContentStore } from '@x/storage-core'
import { describe, expect, it } from 'vitest'

import { addModel, openModel, openModelDirectory, packModel, unpackModel, type OpenedModel } from '../src/index.ts'
import { collect, filesSource, safetensors, stores, tempDirectory, text, tinyBert } from './support.ts'

const sha256 = (bytes: Uint8Array): Uint8Array => Uint8Array.from(createHash('sha256').update(bytes).digest())

async function tableOf(store: ContentStore, { files }: OpenedModel, path: string): Promise<TensorTable> {
  const cid = files.find((file) => file.path === path)?.tensors
  if (!cid) throw new Error(`${path} has no table`)
  return decodeTensorTable(await store.blocks.get(cid), (page) => store.blocks.get(page))
}

describe.each(stores)('in the %s store', (_kind, open) => {
  it('every tensor is where the table says, with the digest that it says', async () => {
    const store = await open()
    const files: Record<string, Uint8Array<ArrayBuffer>> = {
      ...tinyBert(),
      'model.safetensors': safetensors(new Uint8Array(3000).fill(7), 'F8_E4M3'),
    }
    const model = await openModel(store, `${(await addModel(store, filesSource(files))).cid}`)
    expect(model.files.filter(({ tensors }) => tensors).map(({ path, dtype }) => [path, dtype])).toEqual([
      ['model.safetensors', 'float8e4m3fn'],
      ['onnx/model.onnx', 'fp32'],
    ])
    for (const path of ['model.safetensors', 'onnx/model.onnx']) {
      const bytes = files[path] ?? text('')
      const { tensors } = await tableOf(store, model, path)
      expect(tensors.length).toBeGreaterThan(0)
      for (const { offset, length, sha256: digest } of tensors) {
        expect(digest).toEqual(sha256(bytes.subarray(offset, offset + length)))
      }
    }
  })

  it('tensors in a data file are found there, and hashed', async () => {
    const store = await open()
    const { files } = fixtureModel('tiny-bert-external')
    const model = await openModel(store, `${(await addModel(store, filesSource(files))).cid}`)
    const { tensors } = await tableOf(store, model, 'onnx/model.onnx')
    const external = tensors.filter(({ file }) => file !== undefined)
    expect(external.length).toBeGreaterThan(0)
    for (const { file, offset, length, sha256: digest } of external) {
      expect(digest).toEqual(sha256((files[`onnx/${file}`] ?? text('')).subarray(offset, offset + length)))
    }
    // Also where it is hashed in place.
    const direct = await openModelDirectory(filesSource(files), await tempDirectory())
    expect(direct.manifestCid).toEqual(model.manifestCid)
    // And where the manifest is made anew.
    const elsewhere = await open()
    const { cid } = await elsewhere.add(filesSource(files))
    expect(await openModel(elsewhere, `${cid}`)).toMatchObject({ manifestCid: model.manifestCid })
  })

  it('a packed model brings them along', async () => {
    const from = await open()
    const { cid } = await addModel(from, filesSource(tinyBert()))
    const car = await collect(packModel(from, `${cid}`))
    const store = await open()
    await unpackModel(store, car)
    await store.gc()
    expect((await tableOf(store, await openModel(store, `${cid}`), 'onnx/model.onnx')).operators).toContain('MatMul')
  })

  it('a table that is too large for a block is kept in several', async () => {
    const store = await open()
    const tensors = Object.fromEntries(
      Array.from({ length: 9000 }, (_, index) => [
        `layer.${index}`,
        { dtype: 'U8', shape: [1], data_offsets: [index, index + 1] },
      ]),
    )
    const header = text(JSON.stringify(tensors))
    const file = new Uint8Array(8 + header.length + 9000)
    new DataView(file.buffer).setBigUint64(0, BigInt(header.length), true)
    file.set(header, 8)
    const files = { 'config.json': text('{}'), 'model.safetensors': file }
    const { cid } = await addModel(store, filesSource(files), { pin: true })
    await store.gc()
    const model = await openModel(store, `${cid}`)
    expect((await tableOf(store, model, 'model.safetensors')).tensors).toHaveLength(9000)
  })

  it('what is cut short is refused when it is added, and has no table when it is there', async () => {
    const store = await open()
    const cut = safetensors(new Uint8Array(3000)).slice(0, -1)
    const files = { 'config.json': text('{}'), 'model.safetensors': cut }
    await expect(addModel(store, filesSource(files))).rejects.toMatchObject({
      code: 'INVALID_INPUT',
      message: expect.stringContaining('model.safetensors is not a whole safetensors file'),
    })
    const { cid } = await store.add(filesSource(files))
    const { files: opened } = await openModel(store, `${cid}`)
    expect(opened.map(({ path, tensors }) => [path, tensors])).toEqual([
      ['config.json', undefined],
      ['model.safetensors', undefined],
    ])
  })
})
