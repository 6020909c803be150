import { serveModels } from '@x/web/inference'
import asyncifyMjs from 'onnxruntime-web/ort-wasm-simd-threaded.asyncify.mjs?url'
import asyncifyWasm from 'onnxruntime-web/ort-wasm-simd-threaded.asyncify.wasm?url'
import jspiMjs from 'onnxruntime-web/ort-wasm-simd-threaded.jspi.mjs?url'
import jspiWasm from 'onnxruntime-web/ort-wasm-simd-threaded.jspi.wasm?url'

// Of the page's own files: nothing comes from a CDN.
serveModels({
  runtime: {
    jspi: { mjs: jspiMjs, wasm: jspiWasm },
    asyncify: { mjs: asyncifyMjs, wasm: asyncifyWasm },
  },
})
