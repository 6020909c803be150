import type { OpenedModel } from './opened-model.ts'

/** Checked paths of files that ONNX Runtime opens by itself. */
export interface PathChecks {
  /**
   * The path, checked; `undefined` where there is none. Those who ask at the same time hear of a failure together.
   *
   * @param graph - Which it belongs to.
   */
  pathOf(model: OpenedModel, file: string, graph?: string): Promise<string | undefined>
  /** The file was opened: it is checked again when it is asked for again, and so is what belongs to it. */
  forget(path: string): void
}

/** Where nobody says that a file was opened, a check by `each-open` is good for so long: one load asks several times. */
const GOOD_FOR_MS = 5000

interface Check {
  path: string | undefined
  checking: Promise<string | undefined>
  /** Keys of the graphs that it was asked for with. */
  graphs: Set<string>
}

/** @param verify - `stored` is cheap, and is done whenever somebody asks. */
export function createPathChecks(verify: 'stored' | 'each-open'): PathChecks {
  const checks = new Map<string, Check>()
  return {
    pathOf(model, file, graph) {
      const key = `${model.cid}/${file}`
      const graphs = graph === undefined ? [] : [`${model.cid}/${graph}`]
      const known = checks.get(key)
      if (known) {
        for (const each of graphs) known.graphs.add(each)
        return known.checking
      }
      const checking = model.verifiedPath ? model.verifiedPath(file, { verify }) : Promise.resolve(model.path(file))
      const entry: Check = { path: undefined, checking, graphs: new Set(graphs) }
      checks.set(key, entry)
      const forget = (): void => {
        if (checks.get(key) === entry) checks.delete(key)
      }
      void settled(checking).then((path) => {
        entry.path = path
        // Those who wait for a check that failed hear of it first.
        unref(setTimeout(forget, path !== undefined && verify === 'each-open' ? GOOD_FOR_MS : 0))
        return path
      })
      return checking
    },
    forget(path) {
      const isGone = new Set([...checks].filter(([, entry]) => entry.path?.startsWith(path)).map(([key]) => key))
      for (const [key, { graphs }] of checks) {
        if (isGone.has(key) || [...graphs].some((graph) => isGone.has(graph))) checks.delete(key)
      }
    },
  }
}

async function settled<T>(work: Promise<T>): Promise<T | undefined> {
  try {
    return await work
  } catch {
    // Whoever asked is told.
    return undefined
  }
}

/** In Node a timer keeps the process alive. */
function unref(timer: unknown): void {
  if (typeof timer === 'object' && timer !== null && 'unref' in timer && typeof timer.unref === 'function')
    timer.unref()
}
