import { fileURLToPath } from 'node:url'

import { library } from '../../tooling/tsup.ts'

// Of another package, as an entry: an import of it would be left out, since nothing is taken from it.
const builtFile = (name: string): string => fileURLToPath(import.meta.resolve(name))

export default [
  library({
    entry: [
      'src/index.ts',
      'src/helia.ts',
      'src/inference.ts',
      'src/install.ts',
      'src/service-worker.ts',
      'src/vite.ts',
    ],
    // The plugin runs in the bundler.
    external: [/^node:/],
    // The others are made at the same time.
    clean: ['!standalone/**', '!import-map/**'],
  }),
  // One script with all it needs: it is copied, not imported.
  library({
    entry: { 'service-worker': 'src/standalone-service-worker.ts' },
    outDir: 'dist/standalone',
    format: ['iife'],
    platform: 'browser',
    noExternal: [/./],
    minify: true,
    sourcemap: false,
    outExtension: () => ({ js: '.js' }),
  }),
  // What an import map names, and the scripts of its workers: a folder that is copied. They find each other by their names.
  library({
    entry: {
      web: 'src/index.ts',
      'infer-web': builtFile('@x/infer-web'),
      'inference-worker': 'src/standalone-inference-worker.ts',
      'hash-worker-web': builtFile('@x/cid/hash-worker-web'),
      'opfs-worker': builtFile('@x/backend-opfs/opfs-worker'),
    },
    outDir: 'dist/import-map',
    platform: 'browser',
    splitting: true,
    noExternal: [/./],
    minify: true,
    sourcemap: false,
    esbuildOptions: (options) => {
      // ONNX Runtime without its `.mjs` in it, which the page has as a file.
      options.conditions = [...(options.conditions ?? []), 'onnxruntime-web-use-extern-wasm', 'module']
    },
  }),
]
