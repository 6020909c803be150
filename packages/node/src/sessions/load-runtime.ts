import { createRequire } from 'node:module'
import path from 'node:path'

import { GatedError } from '@x/storage-core'

import type { OnnxRuntime } from './onnx-runtime.ts'

/** What ONNX Runtime looks for in the environment. */
export const REPORTS_NOTHING = 'ORT_DISABLE_TELEMETRY'

const LOADED = /[\\/]onnxruntime-node[\\/]dist[\\/]index\.js$/

/**
 * The onnxruntime-node of the program: the copy that is loaded already, for two versions in one process do not go together;
 * else the program's own; else that of its transformers.js; else the one beside this package.
 *
 * @throws {GatedError} There is none.
 */
export function loadRuntime(): OnnxRuntime {
  // Before it is loaded: its builds for Linux and macOS report to their maker unless this says otherwise. What the program has set stays.
  process.env[REPORTS_NOTHING] ??= '1'
  const require = createRequire(import.meta.url)
  const file = Object.keys(require.cache).find((name) => LOADED.test(name)) ?? findRuntime()
  const exports: unknown = require(file)
  const { InferenceSession: sessions, env } = fieldsOf(exports)
  const version = fieldsOf(fieldsOf(env)['versions'])['node']
  if (!canCreate(sessions) || typeof version !== 'string') {
    throw new GatedError(`${file} is no onnxruntime-node that is known here`, { feature: 'inference' })
  }
  return { file, version, sessions }
}

function findRuntime(): string {
  const program = process.argv[1] ?? path.join(process.cwd(), 'program')
  const attempts = [
    () => createRequire(program).resolve('onnxruntime-node'),
    () => createRequire(createRequire(program).resolve('@huggingface/transformers')).resolve('onnxruntime-node'),
    () => createRequire(import.meta.url).resolve('onnxruntime-node'),
  ]
  const causes: unknown[] = []
  for (const attempt of attempts) {
    try {
      return attempt()
    } catch (cause) {
      causes.push(cause)
    }
  }
  throw new GatedError('onnxruntime-node is not installed; sessions need it', {
    feature: 'inference',
    cause: new AggregateError(causes),
  })
}

const canCreate = (value: unknown): value is OnnxRuntime['sessions'] =>
  typeof value === 'function' && 'create' in value && typeof value.create === 'function'

const fieldsOf = (value: unknown): Record<string, unknown> =>
  typeof value === 'object' && value !== null ? Object.fromEntries(Object.entries(value)) : {}
