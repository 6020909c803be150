import { fileURLToPath } from 'node:url'
import { gzipSync } from 'node:zlib'

import { build } from 'vite'
import { expect, it } from 'vitest'

/** Bytes of both entries together, minified and gzipped, besides what they import from other packages. */
const MOST = 15 * 1024

async function bundle(entry: string): Promise<{ code: string; imported: readonly string[] }> {
  const result = await build({
    configFile: false,
    logLevel: 'silent',
    build: {
      write: false,
      minify: true,
      target: 'es2023',
      lib: { entry: fileURLToPath(new URL(`../src/${entry}`, import.meta.url)), formats: ['es'], fileName: 'out' },
      rolldownOptions: { external: (asked) => /^(?:@|node:)/.test(asked) },
    },
  })
  const [first] = Array.isArray(result) ? result : [result]
  if (!first || !('output' in first)) throw new TypeError('the bundler watches')
  const [{ code, imports }] = first.output
  return { code, imported: imports }
}

const sizeOf = (code: string): number => gzipSync(code, { level: 9 }).length

it('is small, and asks for nothing of Node', async () => {
  const [page, worker] = [await bundle('index.ts'), await bundle('worker.ts')]
  const total = sizeOf(page.code) + sizeOf(worker.code)
  console.log(`infer-web: page ${sizeOf(page.code)}, worker ${sizeOf(worker.code)}, together ${total} bytes gzipped`)
  expect(total).toBeLessThan(MOST)
  const imported = [...page.imported, ...worker.imported]
  expect(imported.filter((name) => !name.startsWith('@x/'))).toEqual([])
  // The page has nothing of what runs models.
  expect(page.imported).not.toContain('@huggingface/transformers')
})
