import { serveModels } from '@x/web/inference'
import asyncifyMjs from 'onnxruntime-web/ort-wasm-simd-threaded.asyncify.mjs?url'
import asyncifyWasm from 'onnxruntime-web/ort-wasm-simd-threaded.asyncify.wasm?url'
import jspiMjs from 'onnxruntime-web/ort-wasm-simd-threaded.jspi.mjs?url'
import jspiWasm from 'onnxruntime-web/ort-wasm-simd-threaded.jspi.wasm?url'

const asked = new URL(location.href).searchParams
const threads = asked.get('threads')
if (asked.has('stuck')) {
  // What ONNX Runtime starts for a thread never says anything.
  globalThis.Worker = class extends Worker {
    constructor() {
      super(URL.createObjectURL(new Blob([], { type: 'text/javascript' })))
    }
  }
}
serveModels({
  runtime: {
    jspi: { mjs: jspiMjs, wasm: jspiWasm },
    asyncify: { mjs: asyncifyMjs, wasm: asyncifyWasm },
  },
  ...(threads !== null && { threads: Number(threads) }),
})
