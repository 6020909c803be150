import { MAX_TABLE_BYTES, MAX_TENSORS } from './limits.ts'
import type { Tensor } from './tensor-table.ts'
import { utf8Length } from './utf8.ts'

export interface TensorList {
  readonly tensors: Tensor[]
  add(tensor: Tensor): void
  /** Of what is kept besides: names that were made longer. */
  charge(bytes: number): void
}

const BYTES_PER_DIMENSION = 8

/** Collects tensors, and refuses what a table cannot hold. */
export function createTensorList(refuse: (why: string) => never): TensorList {
  const tensors: Tensor[] = []
  let bytes = 0
  const charge = (more: number): void => {
    bytes += more
    if (bytes > MAX_TABLE_BYTES) refuse(`the names and shapes of its tensors are over ${MAX_TABLE_BYTES} bytes long`)
  }
  return {
    tensors,
    add(tensor) {
      if (tensors.length === MAX_TENSORS) refuse(`it has over ${MAX_TENSORS} tensors`)
      charge(utf8Length(tensor.name) + utf8Length(tensor.file ?? '') + tensor.shape.length * BYTES_PER_DIMENSION)
      tensors.push(tensor)
    },
    charge,
  }
}
