import { serveModels } from '@x/web/inference'
// The runtime's files, as files of this page.
import asyncifyMjs from 'onnxruntime-web/ort-wasm-simd-threaded.asyncify.mjs?url'
import asyncifyWasm from 'onnxruntime-web/ort-wasm-simd-threaded.asyncify.wasm?url'
import jspiMjs from 'onnxruntime-web/ort-wasm-simd-threaded.jspi.mjs?url'
import jspiWasm from 'onnxruntime-web/ort-wasm-simd-threaded.jspi.wasm?url'

serveModels({
  runtime: {
    jspi: { mjs: jspiMjs, wasm: jspiWasm },
    asyncify: { mjs: asyncifyMjs, wasm: asyncifyWasm },
  },
})
