import { findPackageJSON } from 'node:module'

import { installedRuntime, runtimeOf, versionIn } from './providers/installed-runtime.ts'
import type { Versions } from './transformers.ts'

/** What is installed to run an execution provider, without loading it; `undefined` where it is not, or cannot be told. */
export function installedVersions(executionProvider: string): Versions | undefined {
  try {
    const library = findPackageJSON('@huggingface/transformers', import.meta.url)
    if (library === undefined) return undefined
    const { name, version } = installedRuntime(runtimeOf(executionProvider))
    return { runtime: { name, version }, library: { name: '@huggingface/transformers', version: versionIn(library) } }
  } catch {
    // Whoever runs a model is told what is missing, and why.
    return undefined
  }
}
