import path from 'node:path'

import { type ChosenGraph, messageOf } from '@x/pipelines/parts'

import type { WeightClass } from '../numeric-class.ts'
import { libraryRuntime } from '../providers/library-runtime.ts'
import type { SentModel } from './messages.ts'

/** How sessions were made. */
interface MadeSessions {
  weights: WeightClass
  /** Digests of what was prepared and used. */
  prepared: string[]
  /** Which graphs were opened as they are though something was prepared for them, with why. */
  fallbacks: string[]
}

export interface PreparedSessionsOptions<T> {
  /** Of ONNX Runtime. */
  threads: number
  /** On what the sessions are that `work` gave; those that it made on another one before are no part of it. */
  executionProviderOf: (result: T) => string
  /** The one graph that is opened, where it is known what its tensors lie in. Default: as transformers.js names its data. */
  chosen?: ChosenGraph | undefined
}

/**
 * Lets sessions that transformers.js makes while `work` runs be made as was prepared, with so many threads. The library has one
 * table of options for all graphs of a model, these are for each. This thread loads one model at a time. What was prepared is for
 * the processor; on another execution provider it is the graph as the model has it.
 *
 * @returns What `work` gave, and how its sessions were made in the end.
 */
export async function withPreparedSessions<T>(
  { graphs, paths }: Pick<SentModel, 'graphs' | 'paths'>,
  work: () => Promise<T>,
  { threads, executionProviderOf, chosen }: PreparedSessionsOptions<T>,
): Promise<MadeSessions & { result: T }> {
  const { InferenceSession: sessions, isWasm } = libraryRuntime()
  const { create } = sessions
  const made: MadeSessions = { weights: 'prepacked', prepared: [], fallbacks: [] }
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
        if (prepared.weights === 'unpacked') made.weights = 'unpacked'
        if (prepared.digest !== undefined) made.prepared.push(prepared.digest)
        return session
      } catch (error) {
        if (graph === prepared.original) throw error
        made.fallbacks.push(`${prepared.original} is opened as it is: ${messageOf(error)}`)
        // What was derived is of no use here; what it was derived from is the model.
        return Reflect.apply(create, sessions, [prepared.original, given, ...rest])
      }
    }
    return Reflect.apply(create, sessions, [graph, given, ...rest])
  }
  try {
    const result = await work()
    // On another one the graphs are what they are, whatever was tried on the processor before, or comes of that later.
    if (executionProviderOf(result) !== PROCESSOR) return { result, weights: 'prepacked', prepared: [], fallbacks: [] }
    return { result, ...made }
  } finally {
    sessions.create = create
  }
}

const PROCESSOR = 'cpu'

const isOnProcessor = ({ executionProviders: given }: Record<string, unknown> = {}): boolean =>
  Array.isArray(given) && given.length === 1 && given[0] === PROCESSOR

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
