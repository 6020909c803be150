import { serveModels } from '@x/web/inference'
import mjs from 'onnxruntime-web/ort-wasm-simd-threaded.jspi.mjs?url'
import wasm from 'onnxruntime-web/ort-wasm-simd-threaded.jspi.wasm?url'

serveModels({ runtime: { jspi: { mjs, wasm } } })
