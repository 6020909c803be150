import { library } from '../../tooling/tsup.ts'

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
    // The other one is made at the same time.
    clean: ['!standalone/**'],
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
]
