import { serveModels } from '@x/web/inference'
import asyncifyMjs from 'onnxruntime-web/ort-wasm-simd-threaded.asyncify.mjs?url'
import asyncifyWasm from 'onnxruntime-web/ort-wasm-simd-threaded.asyncify.wasm?url'
import jspiMjs from 'onnxruntime-web/ort-wasm-simd-threaded.jspi.mjs?url'
import jspiWasm from 'onnxruntime-web/ort-wasm-simd-threaded.jspi.wasm?url'

/** Of the build, by the runtime's: the CIDs of its `.wasm` files. */
declare const RUNTIME_CIDS: Readonly<Record<'jspi' | 'asyncify', string>>

// Of the page's own files: nothing comes from a CDN.
serveModels({
  runtime: {
    jspi: { mjs: jspiMjs, wasm: jspiWasm, wasmCid: RUNTIME_CIDS.jspi },
    asyncify: { mjs: asyncifyMjs, wasm: asyncifyWasm, wasmCid: RUNTIME_CIDS.asyncify },
  },
})
