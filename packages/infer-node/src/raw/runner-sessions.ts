import { UnsupportedError } from '@x/cid'
import { encodeInput, encodeParams, RAW_TENSORS, toFeeds, toOutputNames } from '@x/infer-core'
import type { OpenedModel } from '@x/model-loader'

import { readOperators } from '../batching/graph-operators.ts'
import { numericClassOf } from '../numeric-class.ts'
import type { ProviderLadder } from '../providers/ladder.ts'
import { WASM } from '../providers/provider-names.ts'
import type { KnownModel, ResultCache } from '../result-cache.ts'
import { startClock, toResult, type TaskResult } from '../task-result.ts'
import { chooseGraph } from './choose-graph.ts'
import { paramsOfRaw, type GraphSession, type SessionOptions } from './graph-session.ts'
import { loadGraph, type LoadedGraph } from './load-graph.ts'

export interface RunnerSessionsOptions {
  /** Opens what a reference points to; this closes it. */
  open: (reference: string, signal: AbortSignal | undefined) => Promise<OpenedModel>
  ladder: ProviderLadder
  results: ResultCache | undefined
  /** Before each run. */
  enter: (signal: AbortSignal | undefined) => void
  /** What is under way, which freeing a graph waits for. */
  track: <T>(run: Promise<T>) => Promise<T>
}

/** Graphs that are run on raw tensors in this thread. */
export interface RunnerSessions {
  open(model: string | OpenedModel, options: SessionOptions): Promise<GraphSession>
  close(): Promise<void>
}

const numericClassOn = (provider: string): string => numericClassOf('prepacked', provider, 1, [])

export function createRunnerSessions({ open, ladder, results, enter, track }: RunnerSessionsOptions): RunnerSessions {
  const closers: (() => Promise<void>)[] = []

  async function load(model: OpenedModel, options: SessionOptions): Promise<GraphSession & { graph: LoadedGraph }> {
    const { signal } = options
    const providers = await ladder.climb()
    if (providers[0] === WASM) {
      throw new UnsupportedError(`${WASM} takes a thread of its own, which an engine has and a runner has not`)
    }
    const chosen = await chooseGraph(model, options)
    const nextProvider = (refused: { provider: string; why: string }): Promise<string | undefined> =>
      ladder.next({ ...refused, model: model.cid.toString() })
    const graph = await loadGraph(model, chosen, { executionProvider: providers[0], nextProvider, signal })
    const { random } = await readOperators([chosen.file], model, (file) => model.path(file))
    const { executionProvider, table, versions } = graph
    const { file, files, reason } = chosen
    const dtype = { dtype: {}, files: [...files], reason }
    const facts = {
      ...versions,
      files,
      executionProvider,
      dtype,
      numericClass: numericClassOn(executionProvider),
      random,
    }
    const task = RAW_TENSORS
    const known: KnownModel = { task, dtype: undefined, graph: chosen, model, providers, numericClassOn, facts }
    return {
      graph,
      model: model.cid,
      file,
      ...table,
      async run(feeds, { outputs, signal: stop, cache: mode } = {}) {
        enter(stop)
        const started = startClock()
        const tensors = toFeeds(table.inputs, feeds)
        const names = toOutputNames(table.outputs, outputs)
        const params = paramsOfRaw(file, names)
        const [inputBlock, paramsBlock] = await Promise.all([
          encodeInput({ kind: 'tensors', tensors }),
          encodeParams(params),
        ])
        const compute = async (runSignal: AbortSignal | undefined): Promise<TaskResult<typeof RAW_TENSORS>> => {
          enter(runSignal)
          const output = await track(graph.run(tensors, names))
          runSignal?.throwIfAborted()
          return toResult({ task, model, facts, started, inputBlock, paramsBlock, params, output })
        }
        if (!results || mode === 'bypass') return compute(stop)
        return results.result({ task, known, inputBlock, paramsBlock, params, started, mode, signal: stop }, compute)
      },
    }
  }

  return {
    async open(given, options) {
      const model = typeof given === 'string' ? await open(given, options.signal) : given
      const close = async (): Promise<void> => {
        if (typeof given === 'string') await model.close()
      }
      try {
        const { graph, ...session } = await load(model, options)
        closers.push(async () => {
          await graph.dispose()
          await close()
        })
        return session
      } catch (error) {
        await close()
        throw error
      }
    },
    async close() {
      for (const close of closers.splice(0)) await close()
    },
  }
}
