import { serveModels } from '@x/web/inference'
import asyncifyMjs from 'onnxruntime-web/ort-wasm-simd-threaded.asyncify.mjs?url'
import asyncifyWasm from 'onnxruntime-web/ort-wasm-simd-threaded.asyncify.wasm?url'
import jspiMjs from 'onnxruntime-web/ort-wasm-simd-threaded.jspi.mjs?url'
import jspiWasm from 'onnxruntime-web/ort-wasm-simd-threaded.jspi.wasm?url'

const threads = new URL(location.href).searchParams.get('threads')
serveModels({
  runtime: {
    jspi: { mjs: jspiMjs, wasm: jspiWasm },
    asyncify: { mjs: asyncifyMjs, wasm: asyncifyWasm },
  },
  ...(threads !== null && { threads: Number(threads) }),
})
