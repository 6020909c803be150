import path from 'node:path'

import type { WeightClass } from '../numeric-class.ts'
import { libraryRuntime } from '../providers/library-runtime.ts'
import type { ChosenGraph } from '../raw/choose-graph.ts'
import type { SentModel } from './messages.ts'

/**
 * Lets sessions that transformers.js makes while `work` runs be made as was prepared, with so many threads. The library has one
 * table of options for all graphs of a model, these are for each. This thread loads one model at a time. What was prepared is for
 * the processor; on another execution provider it is the graph as the model has it.
 *
 * @param chosen - The one graph that is opened, where it is known what its tensors lie in. Default: as transformers.js names its data.
 * @returns What `work` gave, how the weights are held now, the digests of what was prepared and used, and which graphs were
 *   opened as they are, with why.
 */
export async function withPreparedSessions<T>(
  { graphs, paths }: Pick<SentModel, 'graphs' | 'paths'>,
  threads: number,
  work: () => Promise<T>,
  chosen?: ChosenGraph,
): Promise<{ result: T; weights: WeightClass; prepared: string[]; fallbacks: string[] }> {
  const { InferenceSession: sessions, isWasm } = libraryRuntime()
  const { create } = sessions
  let weights: WeightClass = 'prepacked'
  const used: string[] = []
  const fallbacks: string[] = []
  sessions.create = async (graph, options, ...rest) => {
    const data = isWasm && typeof graph === 'string' ? { externalData: dataBeside(graph, paths, chosen) } : {}
    const given = { intraOpNumThreads: threads, ...options, ...data }
    const prepared = typeof graph === 'string' ? graphs[graph] : undefined
    if (prepared && !isOnProcessor(options)) {
      return Reflect.apply(create, sessions, [prepared.original, given, ...rest])
    }
    if (prepared) {
      try {
        const session = await Reflect.apply(create, sessions, [graph, { ...given, ...prepared.options }, ...rest])
        if (prepared.weights === 'unpacked') weights = 'unpacked'
        if (prepared.digest !== undefined) used.push(prepared.digest)
        return session
      } catch (error) {
        if (graph === prepared.original) throw error
        fallbacks.push(
          `${prepared.original} is opened as it is: ${error instanceof Error ? error.message : String(error)}`,
        )
        // What was derived is of no use here; what it was derived from is the model.
        return Reflect.apply(create, sessions, [prepared.original, given, ...rest])
      }
    }
    return Reflect.apply(create, sessions, [graph, given, ...rest])
  }
  try {
    const result = await work()
    return { result, weights, prepared: used, fallbacks }
  } finally {
    sessions.create = create
  }
}

const isOnProcessor = ({ executionProviders: given }: Record<string, unknown> = {}): boolean =>
  Array.isArray(given) && given.length === 1 && given[0] === 'cpu'

/** What the WASM build has to be given beside a graph, by its path from there: it reads no file by itself. */
function dataBeside(
  graph: string,
  paths: SentModel['paths'],
  chosen: ChosenGraph | undefined,
): { path: string; data: string }[] {
  const [file] = Object.entries(paths).find(([, local]) => local === graph) ?? []
  if (file === undefined) return []
  const files = chosen ? chosen.files : Object.keys(paths).filter((other) => other.startsWith(`${file}_data`))
  return files.flatMap((other) => {
    const data = paths[other]
    if (other === file || data === undefined) return []
    return [{ path: path.posix.relative(path.posix.dirname(file), other), data }]
  })
}
