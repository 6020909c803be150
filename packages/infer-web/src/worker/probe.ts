import type { GraphRuntime } from '@x/pipelines/parts'
import { BackendError } from '@x/storage-core'

import { PROBE_DIMS, PROBE_GRAPH, PROBE_INPUT, PROBE_OUTPUT } from './probe-graph.ts'
import { deviceOf, type Submissions } from './submissions.ts'

type Sessions = Pick<GraphRuntime, 'InferenceSession' | 'toTensor'>

const graph = (): Uint8Array => Uint8Array.from(atob(PROBE_GRAPH), (letter) => letter.charCodeAt(0))

/**
 * Has the runtime's own files fetched and compiled, by a tiny graph on the processor: what fails in this is no fault of any
 * other execution provider.
 *
 * @throws {BackendError} It is not there; `retryable`, in another worker.
 */
export async function loadRuntime({ InferenceSession }: Sessions): Promise<void> {
  await InferenceSession.create(graph(), { executionProviders: ['wasm'] }).catch((cause: unknown) => {
    const why = cause instanceof Error ? cause.message : String(cause)
    throw new BackendError(`ONNX Runtime was not loaded: ${why}`, { cause, retryable: true })
  })
}

/**
 * Makes a session of a tiny graph, and runs it. It is never let go: with its last session ONNX Runtime destroys the GPU's device, which could not be told from
 * a loss.
 *
 * @param isProbed - It worked before, and is not run.
 * @throws {Error} Why the execution provider does not work here.
 */
export async function probe(
  { InferenceSession, toTensor }: Sessions,
  {
    executionProvider,
    isProbed,
    submissions,
  }: { executionProvider: string; isProbed: boolean; submissions: Submissions },
): Promise<void> {
  const isIdle = submissions.since(executionProvider)
  // With one alone, and no other to move to.
  const session = await InferenceSession.create(graph(), { executionProviders: [executionProvider] })
  if (isProbed) return
  const x = toTensor({ type: 'float32', dims: [...PROBE_DIMS], data: Float32Array.from(PROBE_INPUT) })
  const { y } = await session.run({ x }, ['y'])
  const data: unknown = typeof y === 'object' && y !== null ? Reflect.get(y, 'data') : undefined
  const given = data instanceof Float32Array ? [...data] : []
  if (given.join(' ') !== PROBE_OUTPUT.join(' ')) {
    throw new Error(`it computed ${given.join(' ')}, not ${PROBE_OUTPUT.join(' ')}`)
  }
  if (isIdle()) throw new Error(`nothing was submitted to ${deviceOf(executionProvider)}`)
}
