import type { TensorTable } from './tensor-table.ts'

/** What a file says of its tensors, and of itself. */
export interface ScannedFile {
  table: TensorTable
  /**
   * Of safetensors: `__metadata__`. Of GGUF: its keys but lists; integers over 2^53 as text. ONNX: none. Nothing in it was
   * checked, but that it is text.
   */
  metadata: ReadonlyMap<string, string | number | boolean>
}

/** Fed a file piece by piece, cut anywhere; keeps its tensors' names and places, not their bytes. */
export interface TensorScanner {
  /** @throws {InvalidInputError} What came so far cannot begin such a file. Every later call says the same. */
  push(bytes: Uint8Array): void
  /** @throws {InvalidInputError} The file is not whole. */
  end(): ScannedFile
}

/** After a refusal a scanner is in no state to go on. */
export function refuseAgain(scanner: TensorScanner): TensorScanner {
  let failed: { error: unknown } | undefined
  const guarded = <T>(work: () => T): T => {
    if (failed !== undefined) throw failed.error
    try {
      return work()
    } catch (error) {
      failed = { error }
      throw error
    }
  }
  return { push: (bytes) => guarded(() => scanner.push(bytes)), end: () => guarded(() => scanner.end()) }
}
