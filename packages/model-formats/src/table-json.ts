import type { Tensor, TensorTable } from './tensor-table.ts'

export interface JsonTensor extends Omit<Tensor, 'sha256'> {
  /** Hexadecimal. */
  sha256?: string
}

export interface JsonTensorTable extends Omit<TensorTable, 'tensors'> {
  tensors: JsonTensor[]
}

/** The table as JSON has it, for people and other programs: digests are text. */
export function tensorTableToJson({ tensors, ...head }: TensorTable): JsonTensorTable {
  return {
    ...head,
    tensors: tensors.map(({ sha256, ...tensor }) => ({ ...tensor, ...(sha256 && { sha256: toHex(sha256) }) })),
  }
}

function toHex(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('')
}
