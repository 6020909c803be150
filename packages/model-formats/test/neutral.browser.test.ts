import { expect, it } from 'vitest'

import {
  createSkeleton,
  createTensorScanner,
  decodeTensorTable,
  encodeTensorTable,
  tensorTableToJson,
  type RangeReader,
} from '../src/index.ts'
import { NEUTRAL_FILES } from './neutral-files.ts'

it.each(NEUTRAL_FILES)('reads $path in a browser, into the block that Node makes', async ({ path, bytes, cid }) => {
  const scanner = createTensorScanner(path)
  scanner?.push(bytes.subarray(0, 50))
  scanner?.push(bytes.subarray(50))
  const { table } = scanner?.end() ?? {}
  if (table === undefined) throw new Error('there is no table')
  const { root } = await encodeTensorTable(table)
  expect(root.cid.toString()).toBe(cid)
  expect(await decodeTensorTable(root.bytes, () => Promise.reject(new Error('no pages')))).toEqual(table)
  expect(tensorTableToJson(table).tensors[0]?.name).toBe('w')
})

it('makes a skeleton of a Blob', async () => {
  const [{ bytes } = { bytes: new Uint8Array() }] = NEUTRAL_FILES
  const blob = new Blob([Uint8Array.from(bytes)])
  const file: RangeReader = {
    size: blob.size,
    read: async (offset, length) => new Uint8Array(await blob.slice(offset, offset + length).arrayBuffer()),
  }
  const skeleton = await createSkeleton(file, { location: 'm.onnx' })
  expect(skeleton.bytes.length).toBeLessThan(300)
  expect(skeleton.externalised).toMatchObject([{ name: 'w', length: 4096 }])
})
