import { readFileSync } from 'node:fs'
import { createRequire, findPackageJSON } from 'node:module'
import { pathToFileURL } from 'node:url'

import { RAW_TENSORS, TASKS, type InputKind, type RunName, type Software, type TaskName } from '@x/infer-core'
import { fieldsOf } from '@x/pipelines/parts'
import { BackendError } from '@x/storage-core'

import { installedRuntime, runtimeOf } from './providers/installed-runtime.ts'
import type { Versions } from './transformers.ts'

/** What is installed to run a task on an execution provider, without loading it; `undefined` where it is not, or cannot be told. */
export function installedVersions(executionProvider: string, task: RunName): Versions | undefined {
  try {
    const library = findPackageJSON('@huggingface/transformers', import.meta.url)
    if (library === undefined) return undefined
    const { name, version } = installedRuntime(runtimeOf(executionProvider))
    const runtime = { name, version }
    if (task === RAW_TENSORS) return { runtime, library: ownSoftware(), tools: [] }
    return { runtime, library: softwareIn(library), tools: toolsOf(task) }
  } catch {
    // Whoever runs a model is told what is missing, and why.
    return undefined
  }
}

const WITH_IMAGE: ReadonlySet<InputKind> = new Set<InputKind>(['image', 'document', 'prompt'])

/**
 * What makes inputs or outputs of a task besides the library: this package, which resamples, ranks and fills in templates, and
 * sharp, which decodes images; and the version of Unicode that this program knows, by which tokenizers tell letters from marks.
 *
 * @throws {BackendError} The version of one cannot be told.
 */
export function toolsOf(task: TaskName): Software[] {
  const tools = [ownSoftware(), unicode()]
  if (TASKS[task].inputs.some((kind) => WITH_IMAGE.has(kind))) tools.push(softwareOfLibrary('sharp'))
  return tools.toSorted((a, b) => (a.name < b.name ? -1 : 1))
}

/** The one that this program knows. */
export const unicode = (): Software => ({ name: 'unicode', version: process.versions.unicode ?? 'none' })

/**
 * This package. Of a program that it was bundled into, that program: what ran is its code.
 *
 * @throws {BackendError} That cannot be told.
 */
export function ownSoftware(): Software {
  const own = findPackageJSON(import.meta.url)
  if (own === undefined) throw new BackendError('this code belongs to no package', { retryable: false })
  return softwareIn(own)
}

/** A package as transformers.js finds it. */
function softwareOfLibrary(name: string): Software {
  const entry = createRequire(import.meta.url).resolve('@huggingface/transformers')
  const file = findPackageJSON(name, pathToFileURL(entry))
  if (file === undefined)
    throw new BackendError(`${name} is not installed beside transformers.js`, { retryable: false })
  return softwareIn(file)
}

/** The name and version of a package, by its package.json. */
export function softwareIn(file: string): Software {
  const { name, version } = fieldsOf(JSON.parse(readFileSync(file, 'utf8')))
  return { name: String(name), version: String(version) }
}
