import { serveModels } from '@x/web/inference'

// The runtime's files, which build.js puts beside this one.
const beside = (build) => ({
  mjs: new URL(`./ort-wasm-simd-threaded.${build}.mjs`, import.meta.url).href,
  wasm: new URL(`./ort-wasm-simd-threaded.${build}.wasm`, import.meta.url).href,
})

serveModels({ runtime: { jspi: beside('jspi'), asyncify: beside('asyncify') } })
