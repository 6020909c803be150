import { open } from 'node:fs/promises'

import { encodeOutput, toParams, type CanonicalInput, type TaskName } from '@x/infer-core'
import { createSkeleton } from '@x/model-formats'

import type { LoadedModel } from '../loaded-models.ts'
import { runsOnProcessor } from '../providers/provider-names.ts'
import { runPipeline } from '../run-pipeline.ts'
import { canShareRuns, runBatch } from './run-batch.ts'

/** Of different lengths, so that the shorter ones are padded. */
const PROBES = ['a', 'one two three', 'hello world, this is a longer text than the others', 'b c'].map(
  (text): CanonicalInput => ({ kind: 'text', text }),
)

/**
 * Why a model's inputs have to run one at a time; `undefined`: they may share a run. A graph with operators that look at the
 * whole batch may not, and neither may one that gives other bits for a text in a batch than alone, which is tried here.
 *
 * @param pathOf - Where a graph lies as the model has it.
 */
export async function whyAlone(
  task: TaskName,
  loaded: LoadedModel,
  pathOf: (file: string) => string | undefined,
): Promise<string | undefined> {
  if (!canShareRuns(task)) return `${task} takes one input at a time`
  const { executionProvider } = loaded.pipeline
  // Its kernels may differ with the number of rows, which no few tries would show.
  if (!runsOnProcessor(executionProvider)) return `on ${executionProvider} other bits may come of several texts at once`
  for (const file of loaded.pipeline.dtype.files.filter((one) => one.endsWith('.onnx'))) {
    const path = pathOf(file)
    if (path === undefined) return `${file} has no path, so its operators cannot be read`
    if (await isBatchVariant(path)) return `${file} has operators whose result depends on the whole batch`
  }
  const params = toParams(task, {})
  const { results } = await runBatch(
    task,
    loaded,
    PROBES.map((input) => ({ input })),
    params,
    // As one batch, however much padding that takes.
    { maxRows: PROBES.length, maxTokens: Number.MAX_SAFE_INTEGER, maxPadding: Infinity },
  )
  for (const [index, input] of PROBES.entries()) {
    const result = results[index]
    if (result === undefined || !('output' in result)) return 'it fails with several texts at once'
    const alone = await runPipeline(loaded.transformers, task, loaded.pipeline, input, params, {
      sampleRate: loaded.sampleRate,
      signal: undefined,
    })
    const [one, other] = await Promise.all([encodeOutput(alone), encodeOutput(result.output)])
    if (!one.cid.equals(other.cid)) return 'a text in a batch gives other bits than alone'
  }
  return undefined
}

async function isBatchVariant(path: string): Promise<boolean> {
  const handle = await open(path, 'r')
  try {
    const { size } = await handle.stat()
    const { batchVariant } = await createSkeleton(
      {
        size,
        async read(offset, length) {
          const { buffer, bytesRead } = await handle.read(new Uint8Array(length), 0, length, offset)
          return buffer.subarray(0, bytesRead)
        },
      },
      // Where the weights would be said to lie; only the operators are of use here.
      { location: 'weights' },
    )
    return batchVariant
  } finally {
    await handle.close()
  }
}
