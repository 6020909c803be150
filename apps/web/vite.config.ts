import { defaultClientConditions, defineConfig, type UserConfig } from 'vite'

import { offlineShell } from './build/offline-shell.ts'

/** Sources of the packages, so that nothing has to be built before; and ONNX Runtime without files that the worker names itself. */
const conditions = ['@x/source', 'onnxruntime-web-use-extern-wasm', ...defaultClientConditions]

/** Not every server knows `.mjs`, and a browser takes no module without its type. */
const assetFileNames = ({ names }: { names: string[] }): string =>
  names.some((name) => name.endsWith('.mjs')) ? 'assets/[name]-[hash].js' : 'assets/[name]-[hash][extname]'

// `./`: the page works from any folder, so also from a path that begins with a CID.
const config: UserConfig = defineConfig({
  base: './',
  resolve: { conditions },
  plugins: [offlineShell()],
  oxc: { jsx: { runtime: 'automatic', importSource: 'preact' } },
  worker: { format: 'es', rolldownOptions: { output: { assetFileNames } } },
  build: {
    outDir: 'dist/page',
    emptyOutDir: true,
    sourcemap: false,
    target: 'es2023',
    assetsInlineLimit: 0,
    rolldownOptions: { output: { assetFileNames } },
  },
})

export default config
