import { createGgufScanner } from './gguf-scanner.ts'
import { createOnnxScanner } from './onnx-scanner.ts'
import { createSafetensorsScanner } from './safetensors-scanner.ts'
import type { TensorScanner } from './scanner.ts'
import type { CreateSha256 } from './sha256.ts'

export interface TensorScannerOptions {
  /** For the digest of each tensor. Absent: none. */
  createSha256?: CreateSha256 | undefined
  /** What messages call the file. Default: the path. */
  label?: string | undefined
}

/**
 * A scanner for a file of this name: `.onnx`, `.safetensors`, `.gguf`. `undefined` for others: external data (`.onnx_data`)
 * has no table of its own, its tensors are in that of the graph.
 */
export function createTensorScanner(
  path: string,
  { createSha256, label = path }: TensorScannerOptions = {},
): TensorScanner | undefined {
  const name = path.toLowerCase()
  if (name.endsWith('.onnx')) return createOnnxScanner(label, createSha256)
  if (name.endsWith('.safetensors')) return createSafetensorsScanner(label, createSha256)
  return name.endsWith('.gguf') ? createGgufScanner(label, createSha256) : undefined
}
