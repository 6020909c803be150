import { encodeDagCbor, type Block, type CID } from '@x/cid'

import type { ResultReceipt } from './receipt.ts'

/** All that decides an output, and nothing else: a receipt without the output. */
export type ResultKeyParts = Omit<ResultReceipt, 'schema' | 'output' | 'model'> & { numericClass: string }

/**
 * The block whose CID is the key of a result: `{ resultKey: 1, manifest, files, task, params, input, runtime, library,
 * executionProvider, dtype, numericClass }`. Whatever differs, be it a revision, a dtype, an option, a version or a processor,
 * makes another key.
 */
export function encodeResultKey(parts: ResultKeyParts): Promise<Block> {
  const { manifest, files, task, params, input, runtime, library, executionProvider, dtype, numericClass } = parts
  return encodeDagCbor({
    resultKey: 1,
    manifest,
    files: files.map(({ path, cid }) => ({ path, cid })),
    task,
    params,
    input,
    runtime: { name: runtime.name, version: runtime.version },
    library: { name: library.name, version: library.version },
    executionProvider,
    dtype: { ...dtype },
    numericClass,
  })
}

/** What is known before a model is loaded; which files that takes follows from it. */
export interface LoadKeyParts {
  manifest: CID
  task: string
  /** As asked for; `auto` for what the model's own files say. */
  dtype: string
  runtime: ResultReceipt['runtime']
  library: ResultReceipt['library']
}

/** The block whose CID is the key of what was found out by loading a model. */
export function encodeLoadKey({ manifest, task, dtype, runtime, library }: LoadKeyParts): Promise<Block> {
  return encodeDagCbor({
    loadKey: 1,
    manifest,
    task,
    dtype,
    runtime: { name: runtime.name, version: runtime.version },
    library: { name: library.name, version: library.version },
  })
}
