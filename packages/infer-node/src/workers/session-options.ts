import { createRequire } from 'node:module'

/**
 * Lets sessions that transformers.js makes while `work` runs have options of ours: how many threads, and those of each graph, by
 * its path. The library has one table of options for all graphs of a model. This thread loads one model at a time.
 *
 * @param byPath - They win over the library's.
 */
export async function withSessionOptions<T>(
  byPath: Readonly<Record<string, Readonly<Record<string, unknown>>>>,
  threads: number,
  work: () => Promise<T>,
): Promise<T> {
  const sessions = sessionsOfLibrary()
  const { create } = sessions
  sessions.create = (graph, options, ...rest) => {
    const own = typeof graph === 'string' ? byPath[graph] : undefined
    return Reflect.apply(create, sessions, [graph, { intraOpNumThreads: threads, ...options, ...own }, ...rest])
  }
  try {
    return await work()
  } finally {
    sessions.create = create
  }
}

interface Sessions {
  create: (this: void, graph: unknown, options?: Record<string, unknown>, ...rest: unknown[]) => unknown
}

/** `InferenceSession` of the copy of onnxruntime-node that transformers.js runs on. */
function sessionsOfLibrary(): Sessions {
  const require = createRequire(createRequire(import.meta.url).resolve('@huggingface/transformers'))
  const runtime: { InferenceSession: Sessions } = require('onnxruntime-node')
  return runtime.InferenceSession
}
