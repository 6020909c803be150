import { open } from 'node:fs/promises'

import { createSkeleton, type RangeReader } from '@x/model-formats'
import type { OpenedModel } from '@x/model-loader'
import { reasonOf } from '@x/storage-core/backend'

/** What the operators of a model's graphs say of its results. */
export interface GraphOperators {
  /** Why an input may have another result in a batch than alone; `undefined`: no operator looks at the whole batch. */
  batchVariant: string | undefined
  /** Why the same input may have another result each time; `undefined`: no operator draws random numbers. */
  random: string | undefined
}

/**
 * Operators that draw random numbers. Whether a Dropout is in training is said by an input of it, not by its name; those that are
 * not are left out when a graph is exported.
 *
 * @see https://onnx.ai/onnx/operators/index.html
 * @see https://github.com/microsoft/onnxruntime/blob/main/docs/ContribOperators.md
 */
const RANDOM_OPERATORS: ReadonlySet<string> = new Set([
  'RandomNormal',
  'RandomNormalLike',
  'RandomUniform',
  'RandomUniformLike',
  'Multinomial',
  'Bernoulli',
  'Dropout',
  'com.microsoft::BiasDropout',
  'com.microsoft::BitmaskBiasDropout',
  'com.microsoft::BitmaskDropout',
  'com.microsoft::Sampling',
])

/**
 * Reads the operators of graphs, those inside their loops and branches included. Of a graph that cannot be read so, neither
 * is known, and both are answered with why.
 *
 * @param pathOf - Where a graph lies as the model has it; one without a path is read whole.
 */
export async function readOperators(
  files: readonly string[],
  model: Pick<OpenedModel, 'read'>,
  pathOf: (file: string) => string | undefined,
): Promise<GraphOperators> {
  const found: GraphOperators = { batchVariant: undefined, random: undefined }
  for (const file of files.filter((one) => one.endsWith('.onnx'))) {
    try {
      const path = pathOf(file)
      const reading = path === undefined ? model.read(file).then((bytes) => skeletonOf(inMemory(bytes))) : onDisk(path)
      const { operators, batchVariant } = await reading
      const random = operators.filter((operator) => RANDOM_OPERATORS.has(operator))
      if (batchVariant) found.batchVariant ??= `${file} has operators whose result depends on the whole batch`
      if (random.length > 0) found.random ??= `${file} draws random numbers (${random.join(', ')})`
    } catch (error) {
      const unknown = `the operators of ${file} cannot be read: ${reasonOf(error)}`
      found.batchVariant ??= unknown
      found.random ??= unknown
    }
  }
  return found
}

// The location, where the weights would be said to lie, decides nothing: only the operators are of use here.
const skeletonOf = (file: RangeReader): ReturnType<typeof createSkeleton> =>
  createSkeleton(file, { location: 'weights' })

const inMemory = (bytes: Uint8Array): RangeReader => ({
  size: bytes.length,
  read: async (offset, length) => bytes.subarray(offset, offset + length),
})

async function onDisk(path: string): ReturnType<typeof createSkeleton> {
  const handle = await open(path, 'r')
  try {
    const { size } = await handle.stat()
    return await skeletonOf({
      size,
      async read(offset, length) {
        const { buffer, bytesRead } = await handle.read(new Uint8Array(length), 0, length, offset)
        return buffer.subarray(0, bytesRead)
      },
    })
  } finally {
    await handle.close()
  }
}
