import { cidOf, decodeDagCbor, encodeDagCbor, RAW, type CID } from '@x/cid'
import { describe, expect, it } from 'vitest'

import {
  decodeReceipt,
  encodeReceipt,
  encodeResultKey,
  receiptFromJson,
  receiptToJson,
  type ResultKeyParts,
  type ResultReceipt,
} from '../src/index.ts'

const cid = (byte: number): Promise<CID> => cidOf(RAW, Uint8Array.of(byte))

async function receipt(): Promise<ResultReceipt> {
  return {
    schema: 1,
    task: 'text-classification',
    model: await cid(1),
    manifest: await cid(2),
    files: [{ path: 'onnx/model.onnx', cid: await cid(3) }],
    input: await cid(4),
    params: await cid(5),
    output: await cid(6),
    runtime: { name: 'onnxruntime-node', version: '1.30.0' },
    library: { name: '@huggingface/transformers', version: '4.3.1' },
    executionProvider: 'cpu',
    dtype: { model: 'fp32' },
  }
}

it('is read back as it was', async () => {
  const given = await receipt()
  expect(decodeReceipt((await encodeReceipt(given)).bytes)).toEqual(given)
})

it('has one CID for one content, whatever else the object carries', async () => {
  const given = await receipt()
  const withTime = { ...given, createdAt: '2026-11-21T00:00:00Z' }
  const { cid: known } = await encodeReceipt(given)
  expect((await encodeReceipt(withTime)).cid).toEqual(known)
  // Recorded: an encoding that changes makes every receipt that was ever given another one.
  expect(known.toString()).toBe('bafyreia7dl6ni2xxlxpe3kaqnh7njwnufhsjqwtvxnpzaxuigmqwglxwga')
})

it('says from schema 2 on of which numeric class it is', async () => {
  const given: ResultReceipt = { ...(await receipt()), schema: 2, numericClass: 'x64-0123456789ab-prepacked' }
  expect(decodeReceipt((await encodeReceipt(given)).bytes)).toEqual(given)
  const { bytes } = await encodeDagCbor({ ...(await receipt()), schema: 2 })
  expect(() => decodeReceipt(bytes)).toThrowError('numericClass is no text')
})

it('says from schema 3 on which tools made input and output', async () => {
  const tools = [{ name: '@x/infer-node', version: '0.1.0' }]
  const numericClass = 'x64-0123456789ab-prepacked'
  const given: ResultReceipt = { ...(await receipt()), schema: 3, numericClass, tools }
  expect(decodeReceipt((await encodeReceipt(given)).bytes)).toEqual(given)
  const without = await encodeDagCbor({ ...(await receipt()), schema: 3, numericClass })
  expect(() => decodeReceipt(without.bytes)).toThrowError('tools is no list')
})

it('has a result key that every part changes', async () => {
  const { schema: _, model: _model, output: _output, ...parts } = await receipt()
  const tools = [{ name: '@x/infer-node', version: '0.1.0' }]
  const given: ResultKeyParts = { ...parts, numericClass: 'x64-0123456789ab-prepacked', tools }
  const changed: ResultKeyParts[] = [
    given,
    { ...given, manifest: await cid(9) },
    { ...given, files: [] },
    { ...given, params: await cid(9) },
    { ...given, input: await cid(9) },
    { ...given, numericClass: 'x64-0123456789ab-unpacked-2' },
    { ...given, dtype: { model: 'q8' } },
    { ...given, tools: [{ name: '@x/infer-node', version: '0.2.0' }] },
    { ...given, tools: [...tools, { name: 'sharp', version: '0.34.5' }] },
    { ...given, library: { ...given.library, version: '4.3.2' } },
    { ...given, runtime: { ...given.runtime, version: '1.30.1' } },
  ]
  const cids = await Promise.all(changed.map(async (one) => (await encodeResultKey(one)).cid.toString()))
  expect(new Set(cids).size).toBe(changed.length)
})

it('changes its CID with every field', async () => {
  const given = await receipt()
  const other = await cid(9)
  const changed: ResultReceipt[] = [
    { ...given, task: 'text-generation' },
    { ...given, model: other },
    { ...given, manifest: other },
    { ...given, files: [] },
    { ...given, input: other },
    { ...given, params: other },
    { ...given, output: other },
    { ...given, runtime: { ...given.runtime, version: '1.30.1' } },
    { ...given, library: { ...given.library, version: '4.3.2' } },
    { ...given, executionProvider: 'cuda' },
    { ...given, dtype: { model: 'q8' } },
    given,
  ]
  const cids = await Promise.all(changed.map(async (one) => (await encodeReceipt(one)).cid.toString()))
  expect(new Set(cids).size).toBe(changed.length)
})

it('is shown as JSON with CIDs as text', async () => {
  const given = await receipt()
  const own = (await encodeReceipt(given)).cid
  const json = receiptToJson(given, own)
  expect(JSON.parse(JSON.stringify(json))).toEqual(json)
  expect(json).toMatchObject({
    cid: own.toString(),
    model: given.model.toString(),
    files: [{ path: 'onnx/model.onnx', cid: given.files[0]?.cid.toString() }],
    dtype: { model: 'fp32' },
  })
})

describe('what is no receipt is refused', () => {
  it.each<[string, object]>([
    ['schema', { schema: 4 }],
    ['unknown task', { task: 'guess' }],
    ['model is no CID', { model: 'bafy' }],
    ['files is no list', { files: {} }],
    ['cid is no CID', { files: [{ path: 'a', cid: 1 }] }],
    ['runtime version is no text', { runtime: { name: 'a' } }],
    ['dtype model is no text', { dtype: { model: 1 } }],
  ])('%s', async (message, change) => {
    const { bytes } = await encodeDagCbor({ ...(await receipt()), ...change })
    expect(() => decodeReceipt(bytes)).toThrowError(message)
  })

  it('other bytes', () => {
    expect(() => decodeReceipt(Uint8Array.of(0xff))).toThrowError(expect.objectContaining({ code: 'INVALID_INPUT' }))
  })
})

it('is read back from JSON, unless it is not the one that it says', async () => {
  for (const given of [
    await receipt(),
    { ...(await receipt()), schema: 2, numericClass: 'x64-0123456789ab-prepacked' } as const,
  ]) {
    const block = await encodeReceipt(given)
    const json: object = JSON.parse(JSON.stringify(receiptToJson(given, block.cid)))
    expect(await receiptFromJson(json)).toEqual({ receipt: given, block })
    const changed = receiptFromJson({ ...json, output: (await cid(9)).toString() })
    await expect(changed).rejects.toMatchObject({ code: 'INTEGRITY', cid: block.cid })
    await expect(receiptFromJson({ ...json, output: 'nothing' })).rejects.toMatchObject({ code: 'INVALID_INPUT' })
    await expect(receiptFromJson({ ...json, files: [{ path: 'a' }] })).rejects.toMatchObject({ code: 'INVALID_INPUT' })
  }
  for (const none of [null, 'text', {}, []]) {
    await expect(receiptFromJson(none)).rejects.toMatchObject({ code: 'INVALID_INPUT' })
  }
})

it('with more in it than its schema has is none: nobody would look at that', async () => {
  const given = await receipt()
  const fields = Object(decodeDagCbor((await encodeReceipt(given)).bytes))
  const wrong: [string, object][] = [
    ['the receipt has a field "signedBy"', { signedBy: 'a king' }],
    ['the receipt has a field "numericClass"', { numericClass: 'x' }],
    ['a file has a field "size"', { files: [{ path: 'x', cid: await cid(3), size: 1 }] }],
    ['runtime has a field "build"', { runtime: { ...given.runtime, build: 'mine' } }],
  ]
  for (const [why, more] of wrong) {
    const { bytes } = await encodeDagCbor({ ...fields, ...more })
    expect(() => decodeReceipt(bytes)).toThrowError(why)
  }
  const block = await encodeReceipt(given)
  const json = { ...receiptToJson(given, block.cid), signedBy: 'a king' }
  await expect(receiptFromJson(json)).rejects.toThrowError('the receipt has a field "signedBy"')
})
