import { defineConfig, type UserConfig } from 'vite'

import { offlineShell } from './build/offline-shell.ts'
import { pagePolicy } from './build/page-policy.ts'
import { runtimeCid } from './build/runtime-cid.ts'

/** Not every server knows `.mjs`, and a browser takes no module without its type. */
const assetFileNames = ({ names }: { names: readonly string[] }): string =>
  names[0]?.endsWith('.mjs') === true ? 'assets/[name]-[hash].js' : 'assets/[name]-[hash][extname]'

// `./`: the page works from any folder, so also from a path that begins with a CID.
const config: UserConfig = defineConfig({
  base: './',
  plugins: [pagePolicy(), offlineShell()],
  // What the page takes for its runtime is what it was built with.
  define: { RUNTIME_CIDS: JSON.stringify({ jspi: runtimeCid('jspi'), asyncify: runtimeCid('asyncify') }) },
  // From the sources of the packages: nothing has to be built before. The runtime's files are those that it is told of.
  resolve: {
    conditions: ['@x/source', 'onnxruntime-web-use-extern-wasm', 'module', 'browser', 'development|production'],
  },
  oxc: { jsx: { runtime: 'automatic', importSource: 'preact' } },
  worker: { format: 'es', rolldownOptions: { output: { assetFileNames } } },
  build: {
    outDir: 'dist/page',
    emptyOutDir: true,
    target: 'es2023',
    assetsInlineLimit: 0,
    rolldownOptions: { output: { assetFileNames } },
  },
})

export default config
