import { createRequire } from 'node:module'

import type { WeightClass } from '../numeric-class.ts'
import type { SentGraph } from './messages.ts'

/**
 * Lets sessions that transformers.js makes while `work` runs be made as was prepared, with so many threads. The library has one
 * table of options for all graphs of a model, these are for each. This thread loads one model at a time.
 *
 * @returns What `work` gave, and how the weights are held now.
 */
export async function withPreparedSessions<T>(
  graphs: Readonly<Record<string, SentGraph>>,
  threads: number,
  work: () => Promise<T>,
): Promise<{ result: T; weights: WeightClass }> {
  const sessions = sessionsOfLibrary()
  const { create } = sessions
  let weights: WeightClass = 'prepacked'
  sessions.create = async (graph, options, ...rest) => {
    const given = { intraOpNumThreads: threads, ...options }
    const prepared = typeof graph === 'string' ? graphs[graph] : undefined
    if (prepared) {
      try {
        const session = await Reflect.apply(create, sessions, [graph, { ...given, ...prepared.options }, ...rest])
        if (prepared.weights === 'unpacked') weights = 'unpacked'
        return session
      } catch (error) {
        if (graph === prepared.original) throw error
        // What was derived is of no use here; what it was derived from is the model.
        return Reflect.apply(create, sessions, [prepared.original, given, ...rest])
      }
    }
    return Reflect.apply(create, sessions, [graph, given, ...rest])
  }
  try {
    const result = await work()
    return { result, weights }
  } finally {
    sessions.create = create
  }
}

interface Sessions {
  create: (this: void, graph: unknown, options?: Record<string, unknown>, ...rest: unknown[]) => Promise<unknown>
}

/** `InferenceSession` of the copy of onnxruntime-node that transformers.js runs on. */
function sessionsOfLibrary(): Sessions {
  const require = createRequire(createRequire(import.meta.url).resolve('@huggingface/transformers'))
  const runtime: { InferenceSession: Sessions } = require('onnxruntime-node')
  return runtime.InferenceSession
}
