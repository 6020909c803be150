import { readFileSync } from 'node:fs'
import { createRequire, findPackageJSON } from 'node:module'
import { pathToFileURL } from 'node:url'

import type { Software } from '@x/infer-core'
import { fieldsOf } from '@x/pipelines/parts'

import { WASM } from './provider-names.ts'

type RuntimeName = 'onnxruntime-node' | 'onnxruntime-web'

export interface InstalledRuntime extends Software {
  name: RuntimeName
  /** Its main file, for `require`. */
  entry: string
}

/** What runs an execution provider. */
export const runtimeOf = (provider: string): RuntimeName => (provider === WASM ? 'onnxruntime-web' : 'onnxruntime-node')

/**
 * The copy that transformers.js would load, or has beside it; nothing is loaded here.
 *
 * @throws {Error} As Node's: it is not installed.
 */
export function installedRuntime(name: RuntimeName): InstalledRuntime {
  const library = createRequire(import.meta.url).resolve('@huggingface/transformers')
  const entry = createRequire(library).resolve(name)
  const description = findPackageJSON(name, pathToFileURL(library))
  if (description === undefined) throw new Error(`${name} has no package.json`)
  return { name, entry, version: versionIn(description) }
}

const versionIn = (file: string): string => String(fieldsOf(JSON.parse(readFileSync(file, 'utf8')))['version'])
