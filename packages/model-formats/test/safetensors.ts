import { join, type Bytes } from './protobuf.ts'

/** A file with this header, as text or as what it says, and data. */
export function safetensors(header: string | Readonly<Record<string, unknown>>, data: Uint8Array): Bytes {
  const text = new TextEncoder().encode(typeof header === 'string' ? header : JSON.stringify(header))
  const length = new Uint8Array(8)
  new DataView(length.buffer).setBigUint64(0, BigInt(text.length), true)
  return join(length, text, data)
}
