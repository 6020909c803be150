import { createEngine, type Engine } from '@x/infer-web'

let warnings: string[] = []

/** The engine of the page, with a worker for each execution provider, for as long as the page is there. */
export const pageEngine: Engine = createEngine({
  worker: () => new Worker(new URL('./worker.ts', import.meta.url), { type: 'module', name: 'models' }),
  onWarning: (message) => void warnings.push(message),
})

/** Why an execution provider was left out, and what else a user may want to know. The next call has what came since. */
export function takeWarnings(): readonly string[] {
  const taken = warnings
  warnings = []
  return taken
}
