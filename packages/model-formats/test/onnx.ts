import { bytes, int, join, string, type Bytes } from './protobuf.ts'

export const FLOAT = 1
export const INT64 = 7
export const BOOL = 9

/** TensorProto without its own tag. `data` are fields. */
export function tensor(name: string, type: number, dims: readonly number[], ...data: readonly Uint8Array[]): Bytes {
  return join(...dims.map((dim) => int(1, dim)), int(2, type), string(8, name), ...data)
}

export function rawTensor(name: string, type: number, dims: readonly number[], data: Uint8Array): Bytes {
  return tensor(name, type, dims, bytes(9, data))
}

export function entry(key: string, content: number | string): Bytes {
  return bytes(13, string(1, key), string(2, String(content)))
}

export function external(location: string, offset?: number | string, length?: number | string): Bytes {
  return join(
    entry('location', location),
    offset === undefined ? new Uint8Array() : entry('offset', offset),
    length === undefined ? new Uint8Array() : entry('length', length),
    int(14, 1),
  )
}

/** AttributeProto.AttributeType */
const TYPES = { float: 1, int: 2, string: 3, tensor: 4, graph: 5, ints: 7, sparse: 11 } as const

export function attribute(name: string, type: keyof typeof TYPES, ...content: readonly Uint8Array[]): Bytes {
  return bytes(5, string(1, name), ...content, int(20, TYPES[type]))
}

/** NodeProto with its tag. */
export function node(
  operator: string,
  inputs: readonly string[],
  outputs: readonly string[],
  attributes: readonly Uint8Array[] = [],
  domain: string = '',
): Bytes {
  return bytes(
    1,
    ...inputs.map((input) => string(1, input)),
    ...outputs.map((output) => string(2, output)),
    string(4, operator),
    ...attributes,
    ...(domain === '' ? [] : [string(7, domain)]),
  )
}

/** ValueInfoProto with the tag of an input (11) or output (12). */
export function value(field: number, name: string, type: number, dims: readonly number[]): Bytes {
  const shape = bytes(2, ...dims.map((dim) => bytes(1, int(1, dim))))
  return bytes(field, string(1, name), bytes(2, bytes(1, int(1, type), shape)))
}

export interface GraphParts {
  nodes?: readonly Uint8Array[]
  /** Without tags. */
  initializers?: readonly Uint8Array[]
  /** Anything else: inputs, outputs, sparse initializers. */
  rest?: readonly Uint8Array[]
}

/** GraphProto without its tag. */
export function graph({ nodes = [], initializers = [], rest = [] }: GraphParts): Bytes {
  return join(...nodes, string(2, 'graph'), ...initializers.map((each) => bytes(5, each)), ...rest)
}

export function model(content: Uint8Array, ...rest: readonly Uint8Array[]): Bytes {
  return join(int(1, 8), string(2, 'test'), bytes(7, content), bytes(8, string(1, ''), int(2, 17)), ...rest)
}
