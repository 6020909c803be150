import { fileURLToPath } from 'node:url'

import { build } from 'vite'

/** Both pages, as a program of somebody else would be built. @param source - Ours from the sources of the packages. */
export async function buildPages(outDir: string, source: boolean): Promise<void> {
  const root = fileURLToPath(new URL('page/', import.meta.url))
  await build({
    configFile: false,
    root,
    base: '/pages/',
    logLevel: 'error',
    resolve: {
      conditions: [
        ...(source ? ['@x/source'] : []),
        // Without it each page has a copy of the runtime inlined that it does not use.
        'onnxruntime-web-use-extern-wasm',
        'module',
        'browser',
        'development|production',
      ],
      dedupe: ['@huggingface/transformers', 'onnxruntime-web'],
    },
    worker: { format: 'es' },
    build: {
      outDir,
      emptyOutDir: true,
      target: 'es2023',
      assetsInlineLimit: 0,
      chunkSizeWarningLimit: 99_999,
      rolldownOptions: { input: { ours: `${root}ours.html`, theirs: `${root}theirs.html` } },
    },
  })
}
