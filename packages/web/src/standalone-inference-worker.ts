import { serveModels } from './inference.ts'
import type { RuntimeFiles } from './inference/runtime-files.ts'
import type { RuntimeBuild } from './runtime.ts'

// The worker of an engine with all it needs, for sites that bundle nothing: no import map reaches into a worker. ONNX Runtime's
// files lie beside it.
const beside = (build: RuntimeBuild): RuntimeFiles => ({
  mjs: new URL(`./ort-wasm-simd-threaded.${build}.mjs`, import.meta.url).href,
  wasm: new URL(`./ort-wasm-simd-threaded.${build}.wasm`, import.meta.url).href,
})

serveModels({ runtime: { jspi: beside('jspi'), asyncify: beside('asyncify') } })
