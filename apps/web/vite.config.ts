import { models } from '@x/web/vite'
import { defineConfig, type UserConfig } from 'vite'

import { offlineShell } from './build/offline-shell.ts'

// `./`: the page works from any folder, so also from a path that begins with a CID.
const config: UserConfig = defineConfig({
  base: './',
  // From the sources of the packages: nothing but the plugin has to be built before.
  resolve: { conditions: ['@x/source'] },
  plugins: [models({ enabled: true }), offlineShell()],
  oxc: { jsx: { runtime: 'automatic', importSource: 'preact' } },
  worker: { format: 'es', plugins: () => [models({ enabled: true })] },
  build: { outDir: 'dist/page', emptyOutDir: true, sourcemap: false, target: 'es2023', assetsInlineLimit: 0 },
})

export default config
