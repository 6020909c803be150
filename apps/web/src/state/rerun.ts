import { pageEngine } from '../engine/page-engine.ts'
import type { KeptRun } from './runs.ts'

/** How many outputs are those of the first time, by their CIDs. */
export interface Comparison {
  same: number
  of: number
}

/**
 * Runs the same inputs on the same model once more, each on the execution provider that it ran on, and compares the outputs by
 * their CIDs.
 *
 * @throws As a run.
 */
export async function rerun({
  task,
  model,
  inputs,
  options,
  receipts,
}: KeptRun & { inputs: NonNullable<KeptRun['inputs']> }): Promise<Comparison> {
  let same = 0
  for (const [index, { receipt: before }] of receipts.entries()) {
    const providers = [before.executionProvider]
    const { receipt } = await pageEngine.run(task, `ipfs://${model.cid}`, inputs[index]!, { options, providers })
    if (before.output.equals(receipt.output)) same += 1
  }
  return { same, of: receipts.length }
}
