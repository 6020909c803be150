import { UnsupportedError } from '@x/cid'

import type { CheckpointTensor } from './checkpoint-tensor.ts'

/** Types that sessions of ONNX Runtime take from JavaScript. */
export type SessionType =
  | 'float32'
  | 'float64'
  | 'float16'
  | 'int8'
  | 'uint8'
  | 'bool'
  | 'int16'
  | 'uint16'
  | 'int32'
  | 'uint32'
  | 'int64'
  | 'uint64'

const SESSION_TYPES: Readonly<Record<SessionType, true>> = {
  float32: true,
  float64: true,
  float16: true,
  int8: true,
  uint8: true,
  bool: true,
  int16: true,
  uint16: true,
  int32: true,
  uint32: true,
  int64: true,
  uint64: true,
}

/** What `session.run(feeds)` of `@x/infer-node` takes, and `new Tensor(type, data, dims)` of ONNX Runtime. */
export interface SessionTensor {
  type: SessionType
  dims: readonly number[]
  data: Extract<CheckpointTensor, { dtype: SessionType }>['data']
}

const isOfSession = (tensor: CheckpointTensor): tensor is Extract<CheckpointTensor, { dtype: SessionType }> =>
  Object.hasOwn(SESSION_TYPES, tensor.dtype)

/**
 * A tensor as the input of a graph, without a copy.
 *
 * @throws {UnsupportedError} Sessions take no such type from JavaScript: bfloat16, which `toFloat32` widens, types of 8 bits and
 *   less, complex numbers.
 */
export function toSessionTensor(tensor: CheckpointTensor): SessionTensor {
  if (isOfSession(tensor)) return { type: tensor.dtype, dims: tensor.shape, data: tensor.data }
  throw new UnsupportedError(`tensor ${JSON.stringify(tensor.name)}: no session takes ${tensor.dtype}`)
}
