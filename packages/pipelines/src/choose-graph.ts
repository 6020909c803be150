import { InvalidInputError } from '@x/cid'
import { chooseDtype, type Dtype, type OpenedModel } from '@x/model-loader'
import { NotFoundError, type AbortOptions } from '@x/storage-core'

import { readModelJson } from './model-json.ts'

/** Which graph of a model: a file of it; else the variant of a dtype. Default: its only one, or that of `chooseDtype`. */
interface GraphChoice {
  file?: string | undefined
  dtype?: Dtype | undefined
}

export interface ChosenGraph {
  file: string
  /** With those that its tensors lie in. Sorted. */
  files: readonly string[]
  /** For a person. */
  reason: string
}

/**
 * @throws {NotFoundError} The model has no such file, or no graph.
 * @throws {InvalidInputError} It has several, and nothing says which.
 */
export async function chooseGraph(
  model: OpenedModel,
  { file, dtype, signal }: GraphChoice & AbortOptions,
): Promise<ChosenGraph> {
  const paths = model.files.map(({ path }) => path)
  const graphs = paths.filter((path) => path.endsWith('.onnx'))
  const [only, ...others] = graphs
  if (file !== undefined) {
    if (!paths.includes(file)) throw lacking(model, file, graphs)
    return withData(model, file, 'as asked', signal)
  }
  if (only === undefined) throw lacking(model, 'a graph (.onnx)', graphs)
  if (others.length === 0 && dtype === undefined) return withData(model, only, 'it is the only one', signal)
  const isNamed = paths.some((path) => /^onnx\/model[^/]*\.onnx$/.test(path))
  if (!isNamed) {
    throw new InvalidInputError(`${model.cid} has several graphs, of which one has to be named: ${graphs.join(', ')}`, {
      input: model.cid.toString(),
    })
  }
  const config = await readModelJson(model, 'config.json', signal)
  const { files, reason } = chooseDtype(config, paths, { dtype, sessions: ['model'] })
  const chosen = files.find((path) => path.endsWith('.onnx'))
  if (chosen === undefined) throw new TypeError('a session without a graph')
  return withData(model, chosen, reason, signal)
}

async function withData(
  model: OpenedModel,
  file: string,
  reason: string,
  signal: AbortSignal | undefined,
): Promise<ChosenGraph> {
  // By its table of tensors; without one, those that are called as its data are by custom.
  const known = await model.dataOf?.(file, { signal })
  const data =
    known ??
    model.files
      .map(({ path }) => path)
      .filter((path) => /^(?:_data(?:_\d+)?|\.data)$/.test(path.slice(file.length)) && path.startsWith(file))
  return { file, files: [...new Set([file, ...data])].toSorted(), reason }
}

function lacking({ cid }: OpenedModel, what: string, graphs: readonly string[]): NotFoundError {
  const has = graphs.length > 0 ? `its graphs are ${graphs.join(', ')}` : 'it has no graph'
  return new NotFoundError(`${cid}/${what}`, { cid, message: `${cid} has no ${what}; ${has}` })
}
