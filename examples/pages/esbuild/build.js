// esbuild bundles no `new Worker(new URL(…))`: each worker is an entry of its own, by the name that the URL has.
import { copyFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'

import { build } from 'esbuild'

await build({
  entryPoints: {
    main: './main.js',
    worker: './worker.js',
    'opfs-worker': '@x/backend-opfs/opfs-worker',
    'hash-worker-web': '@x/cid/hash-worker-web',
  },
  outdir: 'dist',
  bundle: true,
  splitting: true,
  minify: true,
  format: 'esm',
  target: 'es2023',
  // ONNX Runtime without its `.mjs` in it: worker.js says where that is.
  conditions: ['onnxruntime-web-use-extern-wasm', 'module'],
})

await copyFile('index.html', 'dist/index.html')
for (const runtime of ['jspi', 'asyncify'].map((name) => `ort-wasm-simd-threaded.${name}`)) {
  for (const file of [`${runtime}.mjs`, `${runtime}.wasm`]) {
    await copyFile(fileURLToPath(import.meta.resolve(`onnxruntime-web/${file}`)), `dist/${file}`)
  }
}
