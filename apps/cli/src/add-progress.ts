import type { AddProgress, SourceNode } from '@x/storage-core'

import type { Context } from './command.ts'
import { measureSource } from './measure-source.ts'

/**
 * Shows a bar while something is added. What there is to do is summed up meanwhile, and only where the bar is seen.
 *
 * @param source - What `work` adds; it is walked, never read.
 */
export async function withAddProgress<T>(
  { printer, signal }: Pick<Context, 'printer' | 'signal'>,
  label: string,
  source: SourceNode,
  work: (onProgress: (event: AddProgress) => void) => Promise<T>,
): Promise<T> {
  const isDirectory = source.type === 'directory'
  const bar = printer.progress(label, { total: source.type === 'file' ? { bytes: source.size } : {} })
  const isDone = new AbortController()
  if (bar.isShown && isDirectory) {
    const measured = measureSource(source, { signal: AbortSignal.any([signal, isDone.signal]) })
    // What is wrong with the source is for the add itself to say.
    void measured.then(
      (total) => bar.expect(total),
      () => undefined,
    )
  }
  let files = 0
  let loaded = 0
  try {
    return await work((event) => {
      if (event.type === 'file-added') files += 1
      if (event.type === 'bytes-added') loaded = event.loaded
      bar.update({ bytes: loaded, ...(isDirectory && { items: files }), label: event.path || label })
    })
  } finally {
    isDone.abort()
    bar.clear()
  }
}
