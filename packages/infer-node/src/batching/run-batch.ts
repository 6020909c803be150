import { InvalidInputError } from '@x/cid'
import {
  cutBatches,
  isTensor,
  type BatchLimits,
  type CanonicalInput,
  type OutputValue,
  type Params,
  type RunName,
  type RunTokens,
  type TaskName,
} from '@x/infer-core'
import { countTokens, runPipeline, tokensOf, toValue } from '@x/pipelines/parts'
import { BackendError } from '@x/storage-core'

import type { LoadedModel } from '../loaded-models.ts'

/** What came of the input of an index. */
export interface RanAt<One> {
  index: number
  one: One
}

/** What came of one input of several. */
export type OneOfBatch =
  | { output: OutputValue; tokens: RunTokens | undefined }
  | { error: unknown }
  | { cancelled: true }

/** One input of several. */
export interface BatchInput {
  input: CanonicalInput
  /** Nobody wants its answer any more: it is left out of what was not begun. */
  signal?: AbortSignal | undefined
  onText?: ((piece: string) => void) | undefined
}

/** Tasks whose pipeline takes several texts in one run. */
const TEXTS_AT_ONCE: ReadonlySet<RunName> = new Set<RunName>(['feature-extraction', 'text-classification'])

export const canShareRuns = (task: RunName): boolean => TEXTS_AT_ONCE.has(task)

/** Those by which the library takes the last place of a row, which is padding in all but the longest. */
const POOLED_FROM_THE_END: ReadonlySet<unknown> = new Set(['last_token', 'eos'])

export const isPooledFromTheEnd = (params: Params): boolean => POOLED_FROM_THE_END.has(params['pooling'])

/**
 * Why inputs of a task with these parameters run one at a time, whatever the graph is; `undefined`: they may share a run. What
 * the library makes of a row has to begin where the text does.
 */
export function whyNotTogether(
  task: TaskName,
  { tokenizer }: Pick<LoadedModel['pipeline'], 'tokenizer'>,
  params: Params,
): string | undefined {
  if (!canShareRuns(task)) return `${task} takes one input at a time`
  if (tokenizer?.padding_side !== 'right') return 'the tokenizer does not pad at the end'
  if (isPooledFromTheEnd(params)) return 'it is pooled from the end of a row, where padding is'
  return undefined
}

/** Whether it is of an option, and so what each of the inputs would be refused with. Of these tasks none names an input by its text. */
const isOfOption = (task: TaskName, params: Params, error: unknown): boolean =>
  canShareRuns(task) && error instanceof InvalidInputError && Object.hasOwn(params, error.input)

/**
 * Runs several inputs of one model, texts of like length together where the parameters allow it. What one input gives is what
 * it gives alone: the caller has seen to it that the graph is one of which that is true.
 *
 * @param onRan - Told at the end of each run of the graph what came of which inputs, and how many runs that took since it was
 *   told last; of inputs that were cancelled before nothing.
 * @returns For each input its own answer or error, in their order; and how many runs of the graph it took.
 */
export async function runBatch(
  task: TaskName,
  loaded: LoadedModel,
  inputs: readonly BatchInput[],
  params: Params,
  most: BatchLimits,
  onRan: (ones: readonly RanAt<OneOfBatch>[], runs: number) => void = () => undefined,
): Promise<{ results: OneOfBatch[]; runs: number }> {
  const { pipeline, sampleRate, transformers } = loaded
  const limits = whyNotTogether(task, pipeline, params) === undefined ? most : { ...most, maxRows: 1 }
  const texts = inputs.map(({ input }) => (input.kind === 'text' ? input.text : undefined))
  const counted = texts.map((text) =>
    text === undefined || limits.maxRows === 1 ? undefined : countTokens(pipeline, text),
  )
  // One that runs alone is as long as a batch may be.
  const lengths = counted.map((tokens) => tokens?.input ?? limits.maxTokens)
  const results: OneOfBatch[] = inputs.map(() => ({ cancelled: true }))
  let runs = 0
  let runsTold = 0
  /** What every input is refused with: nothing more is computed. */
  let refused: { error: unknown } | undefined

  const tell = (ones: readonly RanAt<OneOfBatch>[]): void => {
    for (const { index, one } of ones) results[index] = one
    onRan(ones, runs - runsTold)
    runsTold = runs
  }

  const runAlone = async (index: number): Promise<OneOfBatch> => {
    const one = inputs[index]
    if (one === undefined || one.signal?.aborted) return { cancelled: true }
    if (refused) return refused
    const { input, signal, onText } = one
    runs += 1
    try {
      const ran = await runPipeline(transformers, task, pipeline, input, params, { sampleRate, signal, onText })
      if (signal?.aborted) return { cancelled: true }
      const { output, tokens = counted[index] ?? tokensOf(task, pipeline, input) } = ran
      return { output, tokens }
    } catch (error) {
      if (isOfOption(task, params, error)) refused = { error }
      return signal?.aborted ? { cancelled: true } : { error }
    }
  }

  /** `undefined`: it failed as a whole, or all are refused. */
  const runTogether = async (indices: readonly number[]): Promise<OneOfBatch[] | undefined> => {
    if (indices.length < 2 || refused) return undefined
    runs += 1
    try {
      const output = await pipeline.call(
        indices.flatMap((index) => texts[index] ?? []),
        params,
      )
      const own = indices.map((index) => lengths[index] ?? 0)
      return split(task, toValue(transformers, output), own).map((one, place) => ({
        output: one,
        tokens: counted[indices[place] ?? -1],
      }))
    } catch (error) {
      // One of them may be what cannot be run. Each is told its own reason when it runs alone.
      if (isOfOption(task, params, error)) refused = { error }
      return undefined
    }
  }

  for (const batch of cutBatches(lengths, limits)) {
    const wanted = batch.filter((index) => !inputs[index]?.signal?.aborted)
    const together = await runTogether(wanted)
    if (together) tell(wanted.map((index, place) => ({ index, one: together[place] ?? { cancelled: true } })))
    else for (const index of wanted) tell([{ index, one: await runAlone(index) }])
    // What the other thread says meanwhile is heard now.
    await new Promise(setImmediate)
  }
  return { results, runs }
}

/** What each of several texts would have given alone. */
function split(task: TaskName, value: OutputValue, lengths: readonly number[]): OutputValue[] {
  if (task === 'text-classification' && Array.isArray(value) && value.length === lengths.length) {
    // The likeliest alone comes without its list.
    return value.map((one: OutputValue) => (Array.isArray(one) ? one : [one]))
  }
  if (task === 'feature-extraction' && isTensor(value) && value.dims[0] === lengths.length) {
    const { type, data } = value
    const [, ...dims] = value.dims
    const stride = data.length / lengths.length
    return lengths.map((length, row) => {
      const [tokens, width] = dims
      // With every token's vector, those of the padding go.
      const own = width === undefined || tokens === undefined ? dims : [Math.min(length, tokens), width]
      const size = own.reduce((product, dim) => product * dim, 1)
      return { type, dims: own, data: data.slice(row * stride, row * stride + size) }
    })
  }
  throw new BackendError(`${task} gave no result for each of ${lengths.length} texts`, { retryable: false })
}
