import { runInputs } from '../engine/run-inputs.ts'
import type { RunResult } from '../engine/run-types.ts'
import type { KeptRun } from './runs.ts'

/** How many outputs are those of the first time, by their CIDs. */
export interface Comparison {
  same: number
  of: number
}

/**
 * Runs the same inputs on the same model and device once more, and compares the outputs by their CIDs.
 *
 * @throws As a run.
 */
export async function rerun({ task, model, inputs, options, facts, results }: KeptRun): Promise<Comparison> {
  const again = await runInputs(task, model.cid, inputs, {
    provider: facts.provider,
    options,
    signal: new AbortController().signal,
  })
  const same = again.results.filter((result, index) => outputOf(result) === outputOf(results[index])).length
  return { same, of: results.length }
}

/** The CID of the output. */
function outputOf(result: RunResult | undefined): unknown {
  const { output }: { output?: unknown } = Object(result?.receipt)
  return String(output)
}
