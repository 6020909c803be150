import { fileURLToPath } from 'node:url'

import { models } from '@x/web/vite'
import { build } from 'vite'

/** `build-app.ts OUT [with-plugin|without-plugin]`: the pages of `test/app`. */
const [outDir = '', plugin = ''] = process.argv.slice(2)
const root = fileURLToPath(new URL('../app/', import.meta.url))

await build({
  configFile: false,
  root,
  base: '/app/',
  logLevel: 'warn',
  worker: { format: 'es' },
  plugins: plugin === 'with-plugin' ? [models({ enabled: true })] : [],
  resolve: { conditions: ['@x/source', 'module', 'browser', 'development|production'] },
  build: {
    outDir,
    emptyOutDir: true,
    minify: false,
    chunkSizeWarningLimit: 99_999,
    rolldownOptions: {
      input: {
        index: `${root}index.html`,
        big: `${root}big.html`,
        store: `${root}store.html`,
        engine: `${root}engine.html`,
        sw: `${root}sw.js`,
      },
      output: { entryFileNames: (chunk) => (chunk.name === 'sw' ? 'sw.js' : 'assets/[name]-[hash].js') },
    },
  },
})

await build({
  configFile: false,
  root,
  logLevel: 'warn',
  resolve: { conditions: ['@x/source', 'module', 'browser', 'development|production'] },
  build: {
    outDir,
    emptyOutDir: false,
    lib: {
      entry: fileURLToPath(new URL('../../src/standalone-service-worker.ts', import.meta.url)),
      formats: ['iife'],
      name: 'worker',
      fileName: () => 'standalone.js',
    },
  },
})
