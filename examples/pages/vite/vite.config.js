import { defineConfig } from 'vite'

export default defineConfig({
  // The page works from any folder.
  base: './',
  // The runtime without its `.mjs` in it: worker.js says where that is.
  resolve: { conditions: ['onnxruntime-web-use-extern-wasm', 'module', 'browser', 'development|production'] },
  worker: { format: 'es' },
})
