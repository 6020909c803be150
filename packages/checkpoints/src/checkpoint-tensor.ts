import { arrayOf, type Dtype, type DtypeArrays } from './dtypes.ts'
import type { TensorInfo } from './list-tensors.ts'

/** A tensor of one type with its numbers, in the host's order of bytes. */
export interface TensorOf<D extends Dtype> extends TensorInfo {
  readonly dtype: D
  readonly data: DtypeArrays[D]
}

/** A tensor of any type; `dtype` tells which array `data` is. */
export type CheckpointTensor = { [D in Dtype]: TensorOf<D> }[Dtype]

type Make = (info: TensorInfo, buffer: ArrayBuffer) => CheckpointTensor

const of =
  <D extends Dtype>(dtype: D): ((info: TensorInfo, buffer: ArrayBuffer) => TensorOf<D>) =>
  (info, buffer) => ({ ...info, dtype, data: arrayOf(dtype, buffer) })

// One by one, for the compiler to see that type and array belong together.
const MAKE: Readonly<Record<Dtype, Make>> = {
  float64: of('float64'),
  float32: of('float32'),
  float16: of('float16'),
  bfloat16: of('bfloat16'),
  int64: of('int64'),
  int32: of('int32'),
  int16: of('int16'),
  int8: of('int8'),
  uint64: of('uint64'),
  uint32: of('uint32'),
  uint16: of('uint16'),
  uint8: of('uint8'),
  bool: of('bool'),
  float8e4m3fn: of('float8e4m3fn'),
  float8e5m2: of('float8e5m2'),
  float8e4m3fnuz: of('float8e4m3fnuz'),
  float8e5m2fnuz: of('float8e5m2fnuz'),
  float8e8m0: of('float8e8m0'),
  float4e2m1: of('float4e2m1'),
  float6e2m3: of('float6e2m3'),
  float6e3m2: of('float6e3m2'),
  complex64: of('complex64'),
}

/** @param buffer - Its bytes, in the host's order. */
export const toTensor: Make = (info, buffer) => MAKE[info.dtype](info, buffer)
