import { fileURLToPath } from 'node:url'
import { gzipSync } from 'node:zlib'

import { build } from 'esbuild'
import { describe, expect, it } from 'vitest'

/** Of our own code, as a page is sent it: minified, in gzip, without the packages that it imports. */
async function bundle(contents: string): Promise<{ bytes: number; files: string[] }> {
  const { outputFiles, metafile } = await build({
    stdin: { contents, resolveDir: fileURLToPath(new URL('.', import.meta.url)), loader: 'ts' },
    bundle: true,
    minify: true,
    format: 'esm',
    platform: 'browser',
    target: 'es2023',
    packages: 'external',
    write: false,
    metafile: true,
    outfile: 'page.js',
  })
  const [output] = Object.values(metafile.outputs)
  const inputs = Object.entries(output?.inputs ?? {}).filter(([, { bytesInOutput }]) => bytesInOutput > 0)
  const files = inputs.map(([path]) => path.slice(path.lastIndexOf('/') + 1))
  return { bytes: gzipSync(outputFiles[0]?.contents ?? '').length, files }
}

/** Code of tasks, by the file that it is in. */
const OF_TASKS = [
  'chat-arguments.ts',
  'classify.ts',
  'embed.ts',
  'generation-hooks.ts',
  'image-text-to-text.ts',
  'load-tokenizer.ts',
  'rerank.ts',
  'wav.ts',
]

const ofTasks = (files: readonly string[]): string[] => files.filter((file) => OF_TASKS.includes(file)).toSorted()

describe('what a page is sent', () => {
  it.each([
    ["'feature-extraction': featureExtraction", ['embed.ts']],
    ["'text-classification': textClassification", ['classify.ts']],
    ["'audio-classification': soundClassification", ['wav.ts']],
    ["'fill-mask': plainTask", []],
  ])('with %s is at most 8,000 bytes, and the code of no other task', async (entry, own) => {
    const handler = entry.slice(entry.lastIndexOf(' ') + 1)
    const { bytes, files } = await bundle(`
      import { createPipelines, ${handler} } from '../src/index.ts'
      export { readInput } from '../src/index.ts'
      export const pipelines = createPipelines({ ${entry} })
    `)
    expect(ofTasks(files)).toEqual(own)
    // That the bundle has anything to weigh.
    expect(files).toContain('load-pipeline.ts')
    expect(bytes).toBeLessThanOrEqual(8000)
  })

  it('with every task is at most 15,000 bytes', async () => {
    const { bytes, files } = await bundle(`export * from '../src/index.ts'`)
    expect(ofTasks(files)).toEqual(OF_TASKS)
    expect(bytes).toBeLessThanOrEqual(15_000)
  })
})
