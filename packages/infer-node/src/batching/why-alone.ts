import { encodeOutput, toParams, type CanonicalInput, type Params, type TaskName } from '@x/infer-core'
import { runPipeline } from '@x/pipelines/parts'

import type { LoadedModel } from '../loaded-models.ts'
import { runsOnProcessor } from '../providers/provider-names.ts'
import type { GraphOperators } from './graph-operators.ts'
import { canShareRuns, runBatch, whyNotTogether } from './run-batch.ts'

interface Probe {
  texts: readonly string[]
  /** Of these what they give alone is compared. */
  compared: readonly number[]
}

/** Of different lengths, so that the shorter ones are padded. */
const SHORT: Probe = {
  texts: ['a', 'one two three', 'hello world, this is a longer text than the others', 'b c'],
  compared: [0, 1, 2, 3],
}

const WORDS = 'hello world this is a test of content address model'.split(' ')
const LONG_ROWS = 8
const LONG_WORDS = 40

/** So many tokens that a runtime which divides larger products in another way does so. The last one is short, and padded. */
const LONG: Probe = {
  texts: Array.from({ length: LONG_ROWS }, (_, row) =>
    Array.from({ length: row === LONG_ROWS - 1 ? 3 : LONG_WORDS }, (_unused, word) => WORDS[(row + word) % 10]).join(
      ' ',
    ),
  ),
  compared: [0, 5, LONG_ROWS - 1],
}

/**
 * Why a model's inputs have to run one at a time, whatever their parameters; `undefined`: they may share a run. A graph with
 * operators that look at the whole batch may not, and neither may one that gives other bits for a text in a batch than alone.
 * That is tried here, with few tokens and with many. What a trial has not shown it cannot rule out; weights that are not
 * prepacked are known to differ by the size of the batch, and are not even tried.
 */
export async function whyAlone(
  task: TaskName,
  loaded: LoadedModel,
  { batchVariant }: GraphOperators,
): Promise<string | undefined> {
  // Others have options that nobody can do without, and so no parameters to try them with.
  if (!canShareRuns(task)) return `${task} takes one input at a time`
  const params = toParams(task, {})
  const why = whyNotTogether(task, loaded.pipeline, params)
  if (why !== undefined) return why
  const { executionProvider } = loaded.pipeline
  // Its kernels may differ with the number of rows, which no few tries would show.
  if (!runsOnProcessor(executionProvider)) return `on ${executionProvider} other bits may come of several texts at once`
  if (batchVariant !== undefined) return batchVariant
  // Each token's own vector, of which any pooling is made; and pooled, for padding that is no number spoils a mean. Of what classifies
  // each label's own number, of which any score is made.
  const bare =
    task === 'feature-extraction'
      ? { ...params, pooling: 'none' }
      : { ...params, top_k: Number.MAX_SAFE_INTEGER, function_to_apply: 'none' }
  const tried = [bare, params]
  for (const [index, one] of tried.entries()) {
    const different =
      (await whyDifferent(task, loaded, one, SHORT)) ?? (index === 0 && (await whyDifferent(task, loaded, one, LONG)))
    if (different) return different
  }
  return undefined
}

async function whyDifferent(
  task: TaskName,
  loaded: LoadedModel,
  params: Params,
  { texts, compared }: Probe,
): Promise<string | undefined> {
  const inputs = texts.map((text): CanonicalInput => ({ kind: 'text', text }))
  const { results, runs } = await runBatch(
    task,
    loaded,
    inputs.map((input) => ({ input })),
    params,
    // As one batch, however much padding that takes.
    { maxRows: inputs.length, maxTokens: Number.MAX_SAFE_INTEGER, runTokens: Infinity },
  )
  // Those of a batch that fails are run again, each alone.
  if (runs > 1) return 'it fails with several texts at once'
  for (const index of compared) {
    const [input, result] = [inputs[index], results[index]]
    if (input === undefined || result === undefined || !('output' in result))
      return 'it fails with several texts at once'
    const { output: alone } = await runPipeline(loaded.transformers, task, loaded.pipeline, input, params, {
      sampleRate: loaded.sampleRate,
      signal: undefined,
    })
    const [one, other] = await Promise.all([encodeOutput(alone), encodeOutput(result.output)])
    if (!one.cid.equals(other.cid)) return 'a text in a batch gives other bits than alone'
  }
  return undefined
}
