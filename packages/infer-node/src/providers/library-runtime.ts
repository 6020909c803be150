import { createRequire } from 'node:module'

import type { Software } from '@x/infer-core'
import type { RuntimeSessions } from '@x/pipelines/parts'
import { GatedError } from '@x/storage-core'
import { reasonOf } from '@x/storage-core/backend'

import { refuseTelemetry } from './no-telemetry.ts'

interface Runtime {
  InferenceSession: RuntimeSessions
  Tensor: new (type: string, data: unknown, dims: readonly number[]) => object
  env: { versions: { node?: string; web?: string } }
}

/** The copy of ONNX Runtime that transformers.js runs on: there can be only one in a process. */
export function libraryRuntime(): Pick<Runtime, 'InferenceSession' | 'Tensor'> & {
  isWasm: boolean
  version: Software
} {
  refuseTelemetry()
  let runtime: Runtime
  try {
    const require = createRequire(createRequire(import.meta.url).resolve('@huggingface/transformers'))
    runtime = require('onnxruntime-node')
  } catch (cause) {
    throw new GatedError(`inference needs ONNX Runtime, which cannot be loaded: ${reasonOf(cause)}`, {
      feature: 'inference',
      cause,
    })
  }
  const { InferenceSession, Tensor, env } = runtime
  const { node, web } = env.versions
  const isWasm = node === undefined
  const version = { name: isWasm ? 'onnxruntime-web' : 'onnxruntime-node', version: node ?? web ?? 'unknown' }
  return { InferenceSession, Tensor, isWasm, version }
}
