import { InvalidInputError, UnsupportedError } from '@x/cid'
import { createOnnxChecker, createTensorScanner, type TensorScanner, type TensorTable } from '@x/model-formats'

import { createSha256Anywhere, type CreateSha256 } from './sha256.ts'

/** What one pass over a file tells. */
export interface ScannedFile {
  /** Of the whole file, 32 bytes. */
  sha256: Uint8Array
  /** Of ONNX, safetensors and GGUF, where it can be read. External tensors are without their digest. */
  table?: TensorTable | undefined
}

export interface FileScanOptions {
  /** What messages call the file. Default: its path. */
  label?: string | undefined
  createSha256?: CreateSha256 | undefined
  /** Refuse a file that is cut short; else it goes without a table. Default true. */
  refuse?: boolean | undefined
}

/** Fed a file piece by piece. */
export interface FileScan {
  /** @throws {InvalidInputError} The file is not what its name says, or is cut short. */
  push(bytes: Uint8Array): void
  /** @throws {InvalidInputError} As `push`. */
  end(): ScannedFile
}

/**
 * Hashes a file, lists its tensors, and refuses one that is cut short: ONNX graphs by their outermost structure, safetensors
 * and GGUF by their headers. An ONNX graph that is whole and has something inside that is not known here is taken without a
 * table; so is a GGUF file with a type of tensors that came later.
 *
 * @param label - What messages call the file.
 */
export function createFileScan(
  path: string,
  { label = path, createSha256 = createSha256Anywhere, refuse = true }: FileScanOptions = {},
): FileScan {
  const sha256 = createSha256()
  const isGraph = path.endsWith('.onnx')
  const checker = refuse && isGraph ? createOnnxChecker(label) : undefined
  let scanner = createTensorScanner(path, { createSha256, label })
  /** Without the scanner from then on, where it only knows too little. */
  const scan = <T>(work: (running: TensorScanner) => T): T | undefined => {
    if (!scanner) return undefined
    try {
      return work(scanner)
    } catch (error) {
      const isForgiven = error instanceof InvalidInputError && (isGraph || !refuse)
      if (!isForgiven && !(error instanceof UnsupportedError)) throw error
      scanner = undefined
      return undefined
    }
  }
  return {
    push(bytes) {
      sha256.update(bytes)
      checker?.push(bytes)
      scan((running) => running.push(bytes))
    },
    end() {
      checker?.end()
      const table = scan((running) => running.end())?.table
      return { sha256: Uint8Array.from(sha256.digest()), ...(table && { table }) }
    },
  }
}
