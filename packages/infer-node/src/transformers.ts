import type { Software, TaskName } from '@x/infer-core'
import { createTransformersBinding, type TransformersBinding } from '@x/model-loader'
import { BackendError, GatedError } from '@x/storage-core'
import { reasonOf } from '@x/storage-core/backend'

import { toolsOf } from './installed-versions.ts'

export type Transformers = typeof import('@huggingface/transformers')

/** @throws {GatedError} It is not installed, or ONNX Runtime has no native build that runs here. */
export async function importTransformers(): Promise<Transformers> {
  try {
    return await import('@huggingface/transformers')
  } catch (cause) {
    throw new GatedError(`inference needs @huggingface/transformers, which cannot be loaded: ${reasonOf(cause)}`, {
      feature: 'inference',
      cause,
    })
  }
}

/**
 * One binding for each copy of transformers.js: its `env` is one object for the whole process, and two bindings that come
 * and go on it could not both put back what was there.
 */
const bindings = new WeakMap<object, TransformersBinding>()

export function bindingOf({ env }: Transformers): TransformersBinding {
  const known = bindings.get(env)
  if (known) return known
  const binding = createTransformersBinding()
  bindings.set(env, binding)
  return binding
}

export interface Versions {
  runtime: Software
  library: Software
  /** What else makes inputs or outputs of the task. Sorted by name. */
  tools: readonly Software[]
}

/**
 * What is installed, as it says of itself.
 *
 * @throws {BackendError} transformers.js runs on something else than ONNX Runtime.
 */
export function versionsOf({ env }: Transformers, task: TaskName): Versions {
  const { node, web } = env.backends.onnx.versions ?? {}
  const version = node ?? web
  if (version === undefined) {
    throw new BackendError('transformers.js does not say which ONNX Runtime it runs on', { retryable: false })
  }
  return {
    runtime: { name: node === undefined ? 'onnxruntime-web' : 'onnxruntime-node', version },
    library: { name: '@huggingface/transformers', version: env.version },
    tools: toolsOf(task),
  }
}
