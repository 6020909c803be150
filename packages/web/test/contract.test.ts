import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import path from 'node:path'

import { describe, expect, it } from 'vitest'

// What the plugin and the binding rely on, and nobody promises. A new version that fails here needs a look at `src/vite.ts`,
// `src/runtime.ts` and `src/binding.ts` before it is used.
const transformers = path.dirname(createRequire(import.meta.url).resolve('@huggingface/transformers'))
const runtime = path.dirname(createRequire(path.join(transformers, 'x.js')).resolve('onnxruntime-web/webgpu'))
const library = readFileSync(path.join(transformers, 'transformers.web.js'), 'utf8')

describe('transformers.js', () => {
  it('takes its runtime from one import, which the plugin replaces', () => {
    expect(library.match(/from "onnxruntime-web[^"]*"/g)).toEqual(['from "onnxruntime-web/webgpu"'])
  })

  it('leaves the places of the runtime alone once they are set', () => {
    expect(library).toContain('!ONNX_ENV.wasm.wasmPaths')
  })

  it.each(['useCustomCache', 'customCache', 'useBrowserCache', 'useWasmCache', 'cacheKey', 'fetch', 'version'])(
    'has env.%s',
    (field) => {
      expect(library).toMatch(new RegExp(`\\b${field}(?::|,)`))
    },
  )

  it('makes sessions with create, of the bytes it was given', () => {
    expect(library).toContain('InferenceSession.create(buffer_or_path, {')
  })

  it('goes on when an answer cannot be put into the cache of the browser', () => {
    expect(library).toContain('Unable to add response to browser cache')
  })
})

describe('ONNX Runtime Web', () => {
  it.each(['jspi', 'webgpu'])('has ort.%s.min.mjs, with the names that transformers.js and the shim need', (build) => {
    const [exported = ''] =
      readFileSync(path.join(runtime, `ort.${build}.min.mjs`), 'utf8').match(/export\{[^}]*\}/g) ?? []
    const names = [...exported.matchAll(/(\w+)(?=[,}])/g)].map(([name]) => name)
    expect(names.toSorted()).toEqual([
      'InferenceSession',
      'TRACE',
      'TRACE_EVENT_BEGIN',
      'TRACE_EVENT_END',
      'TRACE_FUNC_BEGIN',
      'TRACE_FUNC_END',
      'Tensor',
      'default',
      'env',
      'registerBackend',
    ])
  })

  it('reads a Blob on demand in the build with JSPI', () => {
    expect(readFileSync(path.join(runtime, 'ort.jspi.min.mjs'), 'utf8')).toContain('instanceof Blob')
  })
})
