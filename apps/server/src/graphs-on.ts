import type { Engine, GraphSession } from '@x/infer-node'
import type { GraphChoice, GraphPort, ServedModel } from '@x/inference-server'
import { chooseDtype, isDtype, type Dtype, type OpenedModel } from '@x/model-loader'
import { InvalidInputError, NotFoundError, type AbortOptions } from '@x/storage-core'
import { untilAborted } from '@x/storage-core/backend'

import type { ModelToServe } from './start-server.ts'

/**
 * Graphs of the models that are served, each opened when it is asked for first. There are no more than the models have files.
 */
export function graphsOn(
  engine: Engine,
  toServe: (model: ServedModel) => ModelToServe,
): (model: ServedModel, choice: GraphChoice & AbortOptions) => Promise<GraphPort> {
  // A model that is served again was opened again.
  const all = new WeakMap<OpenedModel, Map<string, Promise<GraphSession>>>()

  function open(model: OpenedModel, file: string | undefined, dtype: Dtype | undefined): Promise<GraphSession> {
    const opened = all.get(model) ?? new Map<string, Promise<GraphSession>>()
    all.set(model, opened)
    const key = JSON.stringify([file, dtype])
    const session = opened.get(key) ?? engine.session(model, { file, dtype })
    opened.set(key, session)
    // What failed may be tried again.
    session.catch(() => opened.delete(key))
    return session
  }

  return async (served, { file, dtype, signal }) => {
    const one = toServe(served)
    const asked = dtype === undefined && file === undefined ? one.dtype : dtype
    assertHas(one.model, file)
    return untilAborted(open(one.model, file, dtypeOf(asked, one.model)), signal)
  }
}

/** Paths in the model. */
export const graphsOf = ({ files }: OpenedModel): string[] =>
  files.map(({ path }) => path).filter((path) => path.endsWith('.onnx'))

/** @throws {InvalidInputError} It has no such graph, or none. */
function assertHas(model: OpenedModel, file: string | undefined): void {
  const graphs = graphsOf(model)
  if (graphs.length === 0) throw new InvalidInputError('the model has no graph', { input: 'file' })
  if (file === undefined || graphs.includes(file)) return
  throw new InvalidInputError(`the model has no such graph; it has ${graphs.join(', ')}`, { input: file })
}

/** @throws {InvalidInputError} It is none, or the model has none of it. */
function dtypeOf(dtype: string | undefined, { files }: OpenedModel): Dtype | undefined {
  if (dtype === undefined) return undefined
  if (!isDtype(dtype)) throw new InvalidInputError('dtype is none of a graph', { input: dtype })
  try {
    chooseDtype(
      undefined,
      files.map(({ path }) => path),
      { dtype, sessions: ['model'] },
    )
    return dtype
  } catch (cause) {
    if (cause instanceof NotFoundError) throw new InvalidInputError(cause.message, { input: dtype, cause })
    throw cause
  }
}
