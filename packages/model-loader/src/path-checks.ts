import type { OpenedModel } from './opened-model.ts'

/** Checked paths of files that ONNX Runtime opens by itself. */
export interface PathChecks {
  /** The path, checked; `undefined` where there is none. Those who ask at the same time hear of a failure together. */
  pathOf(model: OpenedModel, file: string): Promise<string | undefined>
  /** The file was opened: it is checked again when it is asked for again, and so is the data beside it. */
  forget(path: string): void
}

/** Where nobody says that a file was opened, a check by `each-open` is good for so long: one load asks several times. */
const GOOD_FOR_MS = 5000

/** @param verify - `stored` is cheap, and is done whenever somebody asks. */
export function createPathChecks(verify: 'stored' | 'each-open'): PathChecks {
  const checks = new Map<string, { path: string | undefined; checking: Promise<string | undefined> }>()
  return {
    pathOf(model, file) {
      const key = `${model.cid}/${file}`
      const known = checks.get(key)
      if (known) return known.checking
      const checking = model.verifiedPath ? model.verifiedPath(file, { verify }) : Promise.resolve(model.path(file))
      const entry: { path: string | undefined; checking: Promise<string | undefined> } = { path: undefined, checking }
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
      for (const [key, entry] of checks) if (entry.path?.startsWith(path)) checks.delete(key)
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
