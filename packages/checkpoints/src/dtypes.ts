/** The array in which each type's elements come, by its name in `@x/model-formats`. */
export interface DtypeArrays {
  float64: Float64Array<ArrayBuffer>
  float32: Float32Array<ArrayBuffer>
  /** The bits; `toFloat32` has the numbers. */
  float16: Uint16Array<ArrayBuffer>
  /** The bits; `toFloat32` has the numbers. */
  bfloat16: Uint16Array<ArrayBuffer>
  int64: BigInt64Array<ArrayBuffer>
  int32: Int32Array<ArrayBuffer>
  int16: Int16Array<ArrayBuffer>
  int8: Int8Array<ArrayBuffer>
  uint64: BigUint64Array<ArrayBuffer>
  uint32: Uint32Array<ArrayBuffer>
  uint16: Uint16Array<ArrayBuffer>
  uint8: Uint8Array<ArrayBuffer>
  /** A byte each. */
  bool: Uint8Array<ArrayBuffer>
  /** The bits, as with all types of 8 bits below. */
  float8e4m3fn: Uint8Array<ArrayBuffer>
  float8e5m2: Uint8Array<ArrayBuffer>
  float8e4m3fnuz: Uint8Array<ArrayBuffer>
  float8e5m2fnuz: Uint8Array<ArrayBuffer>
  float8e8m0: Uint8Array<ArrayBuffer>
  /** Packed: two elements a byte. */
  float4e2m1: Uint8Array<ArrayBuffer>
  /** Packed: four elements in three bytes. */
  float6e2m3: Uint8Array<ArrayBuffer>
  /** Packed: four elements in three bytes. */
  float6e3m2: Uint8Array<ArrayBuffer>
  /** Real and imaginary part of each element, one after the other. */
  complex64: Float32Array<ArrayBuffer>
}

/** A type that a safetensors file can have. */
export type Dtype = keyof DtypeArrays

const bytes = (buffer: ArrayBuffer): Uint8Array<ArrayBuffer> => new Uint8Array(buffer)

const VIEWS: { readonly [D in Dtype]: (buffer: ArrayBuffer) => DtypeArrays[D] } = {
  float64: (buffer) => new Float64Array(buffer),
  float32: (buffer) => new Float32Array(buffer),
  float16: (buffer) => new Uint16Array(buffer),
  bfloat16: (buffer) => new Uint16Array(buffer),
  int64: (buffer) => new BigInt64Array(buffer),
  int32: (buffer) => new Int32Array(buffer),
  int16: (buffer) => new Int16Array(buffer),
  int8: (buffer) => new Int8Array(buffer),
  uint64: (buffer) => new BigUint64Array(buffer),
  uint32: (buffer) => new Uint32Array(buffer),
  uint16: (buffer) => new Uint16Array(buffer),
  uint8: bytes,
  bool: bytes,
  float8e4m3fn: bytes,
  float8e5m2: bytes,
  float8e4m3fnuz: bytes,
  float8e5m2fnuz: bytes,
  float8e8m0: bytes,
  float4e2m1: bytes,
  float6e2m3: bytes,
  float6e3m2: bytes,
  complex64: (buffer) => new Float32Array(buffer),
}

export const isDtype = (value: string): value is Dtype => Object.hasOwn(VIEWS, value)

/** A view of the whole buffer, whose numbers have the host's order of bytes. */
export const arrayOf = <D extends Dtype>(dtype: D, buffer: ArrayBuffer): DtypeArrays[D] => VIEWS[dtype](buffer)

/** How wide an item of the array is. */
export const itemBytesOf = (dtype: Dtype): number => arrayOf(dtype, new ArrayBuffer(0)).BYTES_PER_ELEMENT
