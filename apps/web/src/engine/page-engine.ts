import { createEngine, type Engine, type EngineOptions } from '@x/infer-web'

type Providers = NonNullable<EngineOptions['providers']>

/** The engine of the page, and why an execution provider was left out since it was asked last. */
export interface PageEngine {
  engine: Engine
  /** Takes what there is: the next call has what came since. */
  takeWarnings: () => readonly string[]
}

const engines = new Map<string, PageEngine>()

/** After what was asked of it before. */
export async function unloadEverywhere(cid: string): Promise<void> {
  await Promise.all([...engines.values()].map(({ engine }) => engine.unload(cid)))
}

/** One for each choice of execution providers, for as long as the page is there. */
export function pageEngine(providers: Providers): PageEngine {
  const key = JSON.stringify(providers)
  const known = engines.get(key)
  if (known) return known
  let warnings: string[] = []
  const made: PageEngine = {
    engine: createEngine({
      worker: () => new Worker(new URL('./worker.ts', import.meta.url), { type: 'module', name: 'models' }),
      providers,
      onWarning: (message) => void warnings.push(message),
    }),
    takeWarnings() {
      const taken = warnings
      warnings = []
      return taken
    },
  }
  engines.set(key, made)
  return made
}
