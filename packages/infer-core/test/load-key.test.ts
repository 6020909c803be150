import { cidOf, decodeDagCbor, RAW } from '@x/cid'
import { expect, it } from 'vitest'

import { encodeLoadKey, type LoadKeyParts } from '../src/index.ts'

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
