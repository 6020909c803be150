import type { Tensor as LibraryTensor } from '@huggingface/transformers'
import { InvalidInputError } from '@x/cid'

/** Vectors that were not made by the library. */
export interface LibraryTensorLike {
  type: 'float32'
  dims: number[]
  data: Float32Array
}

/**
 * The first numbers of each vector.
 *
 * @throws {InvalidInputError} It has fewer.
 */
export function cutVectors(
  vectors: LibraryTensor | LibraryTensorLike,
  dimensions: number,
): LibraryTensor | LibraryTensorLike {
  const { dims, data } = vectors
  const width = dims.at(-1) ?? 0
  assertWidth(width, dimensions)
  if (!(data instanceof Float32Array)) {
    // Of another type: the library's own.
    if ('slice' in vectors) return vectors.slice(...dims.slice(1).map(() => null), [0, dimensions])
    throw new TypeError('vectors without a type')
  }
  const cut = new Float32Array((data.length / width) * dimensions)
  for (let row = 0; row * width < data.length; row++) {
    cut.set(data.subarray(row * width, row * width + dimensions), row * dimensions)
  }
  return { type: 'float32', dims: [...dims.slice(0, -1), dimensions], data: cut }
}

/** @throws {InvalidInputError} A vector has fewer numbers than are asked for. */
export function assertWidth(width: number, dimensions: number): void {
  if (dimensions <= width) return
  throw new InvalidInputError(
    `feature-extraction: option dimensions is ${dimensions}, and the model gives vectors of ${width} numbers`,
    { input: 'dimensions' },
  )
}
