import { cidOf, decodeDagCbor, encodeDagCbor, RAW } from '@x/cid'
import { expect, it } from 'vitest'

import { decodeLoadFacts, encodeLoadFacts, encodeLoadKey, type LoadFacts, type LoadKeyParts } from '../src/index.ts'

it('says which execution providers may run a model, where that is not the processor alone', async () => {
  const parts: LoadKeyParts = {
    manifest: await cidOf(RAW, Uint8Array.of(1)),
    task: 'feature-extraction',
    dtype: 'auto',
    runtime: { name: 'onnxruntime-node', version: '1.30.0' },
    library: { name: '@huggingface/transformers', version: '4.3.1' },
    tools: [{ name: '@x/infer-node', version: '0.1.0' }],
  }
  const plain = await encodeLoadKey(parts)
  expect(decodeDagCbor(plain.bytes)).toEqual({ loadKey: 2, ...parts })
  expect((await encodeLoadKey({ ...parts, providers: ['cpu'] })).cid).toEqual(plain.cid)
  const others = [['cuda'], ['cuda', 'cpu'], ['cpu', 'cuda']]
  const keys = await Promise.all(others.map((providers) => encodeLoadKey({ ...parts, providers })))
  expect(new Set([plain, ...keys].map(({ cid }) => cid.toString())).size).toBe(4)
})

it('reads what loading a model found out as it was, and refuses what is none', async () => {
  const facts: LoadFacts = {
    files: ['config.json', 'onnx/model.onnx'],
    executionProvider: 'cpu',
    dtype: { dtype: { model: 'fp32' }, files: ['onnx/model.onnx'], reason: 'it is the only one' },
    random: undefined,
  }
  for (const each of [facts, { ...facts, random: 'it draws lots' }])
    expect(decodeLoadFacts((await encodeLoadFacts(each)).bytes)).toEqual(each)
  const written = { ...facts, random: null }
  for (const wrong of [
    { random: null },
    { ...written, files: 'config.json' },
    { ...written, files: [1] },
    { ...written, executionProvider: null },
    { ...written, dtype: { ...facts.dtype, dtype: { model: 1 } } },
    { ...written, dtype: { dtype: {}, files: [] } },
    { ...written, random: 1 },
    'facts',
  ]) {
    const { bytes } = await encodeDagCbor(wrong)
    expect(() => decodeLoadFacts(bytes)).toThrowError('not what loading a model found out')
  }
  expect(() => decodeLoadFacts(Uint8Array.of(0xff))).toThrowError('is not what loading a model found out')
})
