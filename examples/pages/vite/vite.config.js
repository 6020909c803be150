import { defineConfig } from 'vite'

export default defineConfig({
  // The page works from any folder.
  base: './',
  // The runtime without its `.mjs` in it: worker.js says where that is.
  resolve: { conditions: ['onnxruntime-web-use-extern-wasm', 'module', 'browser', 'development|production'] },
  worker: { format: 'es' },
  // Else `vite dev` finds it when the worker starts, and loads the page again.
  optimizeDeps: { include: ['@x/web/inference'] },
})
