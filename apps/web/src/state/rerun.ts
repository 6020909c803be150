import { pageEngine } from '../engine/page-engine.ts'
import type { KeptRun } from './runs.ts'

/** How many outputs are those of the first time, by their CIDs. */
export interface Comparison {
  same: number
  of: number
}

/**
 * Runs the same inputs on the same model and execution provider once more, and compares the outputs by their CIDs.
 *
 * @throws As a run.
 */
export async function rerun({ task, model, inputs, options, ran, results }: KeptRun): Promise<Comparison> {
  const { engine } = pageEngine([ran.executionProvider])
  let same = 0
  for (const [index, input] of inputs.entries()) {
    const { receipt } = await engine.run(task, `ipfs://${model.cid}`, input, { options })
    if (results[index]?.receipt.output.equals(receipt.output)) same += 1
  }
  return { same, of: results.length }
}
