/**
 * Numbers of the fields that are looked at, by message.
 *
 * @see https://github.com/onnx/onnx/blob/main/onnx/onnx.proto
 */
export const MODEL = { irVersion: 1, graph: 7, opsetImport: 8, trainingInfo: 20, functions: 25 } as const
export const TRAINING = { initialization: 1, algorithm: 2 } as const
export const GRAPH = { node: 1, initializer: 5, sparseInitializer: 15 } as const
export const FUNCTION = { node: 7, attributeProto: 11 } as const
export const NODE = { output: 2, opType: 4, attribute: 5, domain: 7 } as const
export const ATTRIBUTE = { name: 1, tensor: 5, graph: 6, tensors: 10, graphs: 11, sparse: 22, sparses: 23 } as const
export const SPARSE = { values: 1, indices: 2 } as const
export const TENSOR = {
  dims: 1,
  dataType: 2,
  segment: 3,
  floatData: 4,
  int32Data: 5,
  stringData: 6,
  int64Data: 7,
  name: 8,
  rawData: 9,
  doubleData: 10,
  uint64Data: 11,
  externalData: 13,
  dataLocation: 14,
} as const
export const ENTRY = { key: 1, value: 2 } as const

/** TensorProto.DataType */
export const ONNX_DTYPES: readonly (string | undefined)[] = [
  undefined,
  'float32',
  'uint8',
  'int8',
  'uint16',
  'int16',
  'int32',
  'int64',
  'string',
  'bool',
  'float16',
  'float64',
  'uint32',
  'uint64',
  'complex64',
  'complex128',
  'bfloat16',
  'float8e4m3fn',
  'float8e4m3fnuz',
  'float8e5m2',
  'float8e5m2fnuz',
  'uint4',
  'int4',
  'float4e2m1',
  'float8e8m0',
  'uint2',
  'int2',
  'float6e2m3',
  'float6e3m2',
]
