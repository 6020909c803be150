import { join, type Bytes } from './protobuf.ts'

export function u32(value: number): Bytes {
  const bytes = new Uint8Array(4)
  new DataView(bytes.buffer).setUint32(0, value, true)
  return bytes
}

export function u64(value: number | bigint): Bytes {
  const bytes = new Uint8Array(8)
  new DataView(bytes.buffer).setBigUint64(0, BigInt(value), true)
  return bytes
}

export function ggufText(text: string): Bytes {
  const encoded = new TextEncoder().encode(text)
  return join(u64(encoded.length), encoded)
}

/** A key with a value of this type. */
export function key(name: string, type: number, ...value: readonly Uint8Array[]): Bytes {
  return join(ggufText(name), u32(type), ...value)
}

export interface GgufTensor {
  name: string
  /** Innermost first. */
  dims: readonly (number | bigint)[]
  type: number
  offset: number | bigint
}

export function info({ name, dims, type, offset }: GgufTensor): Bytes {
  return join(ggufText(name), u32(dims.length), ...dims.map((dim) => u64(dim)), u32(type), u64(offset))
}

export interface GgufParts {
  version?: number
  keys?: readonly Uint8Array[]
  infos?: readonly Uint8Array[]
  /** Default 32. */
  alignment?: number
  data?: Uint8Array
  counts?: readonly [tensors: number | bigint, keys: number | bigint]
}

export function gguf({ version = 3, keys = [], infos = [], alignment = 32, data, counts }: GgufParts): Bytes {
  const [tensorCount, keyCount] = counts ?? [infos.length, keys.length]
  const head = join(new TextEncoder().encode('GGUF'), u32(version), u64(tensorCount), u64(keyCount), ...keys, ...infos)
  if (data === undefined) return head
  return join(head, new Uint8Array((alignment - (head.length % alignment)) % alignment), data)
}
