import { env, pipeline, TextStreamer } from '@huggingface/transformers'
import mjs from 'onnxruntime-web/ort-wasm-simd-threaded.asyncify.mjs?url'
import wasm from 'onnxruntime-web/ort-wasm-simd-threaded.asyncify.wasm?url'

import { run } from './visit.ts'

// The one thing that is set is where files are: here instead of on a hub and a CDN.
env.remoteHost = `${location.origin}/`
env.remotePathTemplate = 'models/{model}/'
Object.assign(env.backends.onnx.wasm ?? {}, {
  wasmPaths: { mjs: new URL(mjs, location.href).href, wasm: new URL(wasm, location.href).href },
})

run({
  // Its cache is filled by using it.
  fill: async () => undefined,
  async embedder({ name, dtype }, device) {
    const embed = await pipeline('feature-extraction', name, { device, dtype })
    return async (text) => Array.from((await embed(text, { pooling: 'mean', normalize: true })).data, Number)
  },
  async writer({ name, dtype }, device) {
    const write = await pipeline('text-generation', name, { device, dtype })
    return async (text, tokens) => {
      const pieces: string[] = []
      const streamer = new TextStreamer(write.tokenizer, {
        skip_prompt: true,
        callback_function: (piece: string) => void pieces.push(piece),
      })
      await write(text, { max_new_tokens: tokens, streamer })
      return pieces
    }
  },
})
