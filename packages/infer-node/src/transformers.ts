import type { TaskName } from '@x/infer-core'
import { createTransformersBinding, type TransformersBinding } from '@x/model-loader'
import type { PipelinePlatform, Transformers, Versions } from '@x/pipelines/parts'
import { BackendError, GatedError } from '@x/storage-core'
import { reasonOf } from '@x/storage-core/backend'

import { toolsOf } from './installed-versions.ts'
import { PREPACKED } from './numeric-class.ts'
import { deviceOf, WASM } from './providers/provider-names.ts'

export type { Transformers, Versions } from '@x/pipelines/parts'

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

/** What runs pipelines in this thread. */
export function platformOf(transformers: Transformers): PipelinePlatform {
  return {
    transformers,
    place(model) {
      const binding = bindingOf(transformers)
      const registered = binding.register(model)
      binding.install(transformers.env)
      const release = (): void => {
        binding.restore(transformers.env)
        registered.unregister()
      }
      return { ...registered, release }
    },
    // The library knows few by name. With one alone, and no other to move to, a session runs on it or is not made.
    placementOf: (executionProvider) => ({
      device: deviceOf(executionProvider, process),
      sessionOptions: executionProvider === WASM ? {} : PREPACKED,
    }),
    nextTurn: () => new Promise(setImmediate),
  }
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
