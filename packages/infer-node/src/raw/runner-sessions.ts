import { encodeInput, encodeParams, RAW_TENSORS, toFeeds, toOutputNames } from '@x/infer-core'
import type { OpenedModel } from '@x/model-loader'
import { chooseGraph, type ChosenGraph, startClock, type TaskResult, toResult } from '@x/pipelines/parts'
import type { AbortOptions } from '@x/storage-core'

import { readOperators } from '../batching/graph-operators.ts'
import { closeInTurn } from '../close-all.ts'
import { numericClassOf } from '../numeric-class.ts'
import { climbInThisThread, type ProviderLadder } from '../providers/ladder.ts'
import type { KnownFacts, KnownModel, ResultCache } from '../result-cache.ts'
import { createShare } from '../share.ts'
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

/** Graphs that are run on raw tensors in this thread, each loaded once. */
export interface RunnerSessions {
  open(model: string | OpenedModel, options: SessionOptions): Promise<GraphSession>
  close(): Promise<void>
}

/** A graph of a model that is loaded, or being loaded. */
interface HeldGraph {
  /** @param chosen - As the caller came to choose it. */
  session(chosen: ChosenGraph, options: AbortOptions): Promise<GraphSession>
  close(): Promise<void>
}

interface Loaded {
  graph: LoadedGraph
  known: KnownModel & { facts: KnownFacts }
}

/** By its manifest: receipts name that too. */
const keyOf = ({ manifestCid }: OpenedModel, { file }: ChosenGraph): string => `${manifestCid} ${file}`

const numericClassOn = (provider: string): string => numericClassOf('prepacked', provider, 1, [])

export function createRunnerSessions({ open, ladder, results, enter, track }: RunnerSessionsOptions): RunnerSessions {
  const held = new Map<string, HeldGraph>()

  async function load(model: OpenedModel, chosen: ChosenGraph, signal: AbortSignal): Promise<Loaded> {
    const providers = await climbInThisThread(ladder)
    const nextProvider = (refused: { provider: string; why: string }): Promise<string | undefined> =>
      ladder.next({ ...refused, model: model.cid.toString() })
    const graph = await loadGraph(model, chosen, { executionProvider: providers[0], nextProvider, signal })
    const { random } = await readOperators([chosen.file], model, (file) => model.path(file))
    const { executionProvider, versions } = graph
    const { files, reason } = chosen
    const facts: KnownFacts = {
      ...versions,
      files,
      executionProvider,
      dtype: { dtype: {}, files: [...files], reason },
      numericClass: numericClassOn(executionProvider),
      random,
    }
    return {
      graph,
      known: { task: RAW_TENSORS, dtype: undefined, graph: chosen, model, providers, numericClassOn, facts },
    }
  }

  function sessionOf({ graph, known }: Loaded, { file, reason }: ChosenGraph): GraphSession {
    const { model } = known
    const facts = { ...known.facts, dtype: { ...known.facts.dtype, reason } }
    const task = RAW_TENSORS
    return {
      model: model.cid,
      file,
      ...graph.table,
      async run(feeds, { outputs, signal: stop, cache: mode } = {}) {
        enter(stop)
        const started = startClock()
        const tensors = toFeeds(graph.table.inputs, feeds)
        const names = toOutputNames(graph.table.outputs, outputs)
        const params = paramsOfRaw(file, names)
        const [inputBlock, paramsBlock] = await Promise.all([
          encodeInput({ kind: 'tensors', tensors }),
          encodeParams(params),
        ])
        const compute = async (runSignal: AbortSignal | undefined): Promise<TaskResult<typeof RAW_TENSORS>> => {
          enter(runSignal)
          const output = await track(graph.run(tensors, names))
          runSignal?.throwIfAborted()
          return toResult({ task, model, facts, started, inputBlock, paramsBlock, params, output, tokens: undefined })
        }
        if (!results || mode === 'bypass') return compute(stop)
        return results.result({ task, known, inputBlock, paramsBlock, params, started, mode, signal: stop }, compute)
      },
    }
  }

  /** @param isOwned - The model is closed with the graph. */
  function hold(model: OpenedModel, chosen: ChosenGraph, isOwned: boolean): HeldGraph {
    const share = createShare(
      (signal) => load(model, chosen, signal),
      ({ graph }) => graph.dispose(),
    )
    /** Of the use that keeps it loaded. */
    let release: (() => Promise<void>) | undefined
    let waiting = 0
    const one: HeldGraph = {
      async session(asked, options) {
        waiting += 1
        try {
          const { value, release: leave } = await share.use(options)
          if (release) await leave()
          else release = leave
          return sessionOf(value, asked)
        } catch (error) {
          // It failed, or the last of those who wanted it gave it up.
          if (waiting === 1 && !release && held.delete(keyOf(model, chosen))) await one.close()
          throw error
        } finally {
          waiting -= 1
        }
      },
      close: () => closeInTurn([async () => release?.(), async () => (isOwned ? model.close() : undefined)]),
    }
    return one
  }

  return {
    async open(given, { signal, ...choice }) {
      const model = typeof given === 'string' ? await open(given, signal) : given
      let isToClose = typeof given === 'string'
      try {
        const chosen = await chooseGraph(model, { ...choice, signal })
        const key = keyOf(model, chosen)
        let one = held.get(key)
        if (one === undefined) {
          one = hold(model, chosen, isToClose)
          held.set(key, one)
          isToClose = false
        }
        return await one.session(chosen, { signal })
      } finally {
        if (isToClose) await model.close()
      }
    },
    async close() {
      const all = [...held.values()]
      held.clear()
      await closeInTurn(all.map((one) => () => one.close()))
    },
  }
}
