import path from 'node:path'

import type { RawTensor, Software } from '@x/infer-core'
import type { OpenedModel } from '@x/model-loader'
import {
  loadGraph as loadOn,
  type ChosenGraph,
  type GraphRuntime,
  type GraphSource,
  type LoadedGraph as LoadedOn,
  type LoadGraphOptions,
  type Versions,
} from '@x/pipelines/parts'

import { ownSoftware } from '../installed-versions.ts'
import { PREPACKED } from '../numeric-class.ts'
import { libraryRuntime } from '../providers/library-runtime.ts'

/** A graph in a session of the runtime that transformers.js runs on. */
export interface LoadedGraph extends LoadedOn {
  versions: Versions
}

/** As `loadGraph` of `@x/pipelines`, on files of the disk. */
export async function loadGraph(
  model: OpenedModel,
  chosen: ChosenGraph,
  options: LoadGraphOptions,
): Promise<LoadedGraph> {
  const library = libraryRuntime()
  const runtime: GraphRuntime = {
    InferenceSession: library.InferenceSession,
    toTensor: (tensor) => toRuntime(library, tensor),
    sessionOptions: library.isWasm ? {} : PREPACKED,
    async open(of, { file, files }, { signal }) {
      for (const one of files) await of.verifiedPath?.(one, { verify: 'stored', signal })
      return sourceOf(of, file, files, signal)
    },
  }
  const loaded = await loadOn(runtime, model, chosen, options)
  return { ...loaded, versions: versionsOfRaw(library.version) }
}

/** As ONNX Runtime takes it. Where there is a Float16Array it makes one of a float16 tensor's bits, which its native build cannot read. */
function toRuntime({ Tensor, isWasm }: ReturnType<typeof libraryRuntime>, { type, dims, data }: RawTensor): object {
  const tensor = new Tensor(type, data, dims)
  if (type === 'float16' && !isWasm) Object.defineProperty(tensor, 'data', { value: data })
  return tensor
}

/** What runs a graph on raw tensors: the runtime, and this package, which gives them to it. */
const versionsOfRaw = (runtime: Software): Versions => ({ runtime, library: ownSoftware(), tools: [] })

async function sourceOf(
  model: OpenedModel,
  file: string,
  files: readonly string[],
  signal: AbortSignal | undefined,
): Promise<GraphSource> {
  const local = model.path(file)
  if (local !== undefined) return { graph: local, options: {} }
  const externalData = []
  for (const one of files) {
    if (one === file) continue
    const data = await model.read(one, { signal })
    externalData.push({ path: path.posix.relative(path.posix.dirname(file), one), data })
  }
  const graph = await model.read(file, { signal })
  return { graph, options: externalData.length > 0 ? { externalData } : {} }
}
