import { env, pipeline } from '@huggingface/transformers'
import loaderUrl from 'onnxruntime-web/ort-wasm-simd-threaded.asyncify.mjs?url'
import wasmUrl from 'onnxruntime-web/ort-wasm-simd-threaded.asyncify.wasm?url'
import { beforeAll, describe, expect, it } from 'vitest'

import configUrl from '../model/config.json?url'
import pairs from '../quality/pairs.json' with { type: 'json' }
import reference from '../quality/reference.json' with { type: 'json' }

// A few sentences show that a device computes the same model; how good the model is, the quality test measures.
const SENTENCES = pairs.slice(0, 3).flatMap(({ a, b }) => [a, b])
const LEAST_COSINE = 0.98

const recorded = new Float32Array(Uint8Array.from(atob(reference.embeddings), (letter) => letter.charCodeAt(0)).buffer)

describe('the embedded model in a page', () => {
  const asked: string[] = []
  beforeAll(() => {
    const folder = new URL('..', new URL(configUrl, location.href))
    env.allowRemoteModels = false
    env.allowLocalModels = true
    env.localModelPath = folder.pathname
    // The runtime's own files too: by default they come from a public CDN.
    const { wasm } = env.backends.onnx
    if (!wasm) throw new Error('transformers.js has no wasm backend')
    wasm.wasmPaths = { mjs: new URL(loaderUrl, location.href).href, wasm: new URL(wasmUrl, location.href).href }
    env.fetch = (input, init) => {
      asked.push(input instanceof Request ? input.url : String(input))
      return fetch(input, init)
    }
  })

  it.each(['wasm', 'webgpu'] as const)(
    'is loaded by transformers.js with no option but the device, on %s',
    async (device) => {
      const embed = await pipeline('feature-extraction', 'model', { device })
      const output = await embed(SENTENCES, { pooling: 'mean', normalize: true })
      expect(output.dims).toEqual([SENTENCES.length, reference.dimensions])
      const cosines = SENTENCES.map((_, row) => {
        const from = row * reference.dimensions
        return recorded
          .slice(from, from + reference.dimensions)
          .reduce((sum, value, index) => sum + value * Number(output.data[from + index]), 0)
      })
      console.log(`${device}: lowest cosine to the original ${Math.min(...cosines).toFixed(5)}`)
      expect(Math.min(...cosines)).toBeGreaterThan(LEAST_COSINE)
      await embed.dispose()
      expect(asked.filter((url) => new URL(url, location.href).origin !== location.origin)).toEqual([])
    },
  )
})
