import { readFile } from 'node:fs/promises'
import { createRequire } from 'node:module'

import { cidOf, RAW } from '@x/cid'
import { expect, it } from 'vitest'

import { runtimeCid } from '../build/runtime-cid.ts'

it.each(['jspi', 'asyncify'] as const)('the CID of the runtime is that of its file (%s)', async (build) => {
  const require = createRequire(import.meta.url)
  const bytes = await readFile(require.resolve(`onnxruntime-web/ort-wasm-simd-threaded.${build}.wasm`))
  expect(runtimeCid(build)).toBe(String(await cidOf(RAW, bytes)))
})
