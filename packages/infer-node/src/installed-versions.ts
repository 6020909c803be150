import { readFileSync } from 'node:fs'
import { createRequire, findPackageJSON } from 'node:module'
import { pathToFileURL } from 'node:url'

import { fieldsOf } from './model-json.ts'
import type { Versions } from './transformers.ts'

/** What is installed, without loading it; `undefined` where it is not, or cannot be told. */
export function installedVersions(): Versions | undefined {
  try {
    const library = findPackageJSON('@huggingface/transformers', import.meta.url)
    if (library === undefined) return undefined
    const entry = createRequire(import.meta.url).resolve('@huggingface/transformers')
    const runtime = findPackageJSON('onnxruntime-node', pathToFileURL(entry))
    if (runtime === undefined) return undefined
    return {
      runtime: { name: 'onnxruntime-node', version: versionIn(runtime) },
      library: { name: '@huggingface/transformers', version: versionIn(library) },
    }
  } catch {
    // Whoever runs a model is told what is missing, and why.
    return undefined
  }
}

const versionIn = (file: string): string => String(fieldsOf(JSON.parse(readFileSync(file, 'utf8')))['version'])
