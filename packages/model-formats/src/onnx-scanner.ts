import { createOnnxReader } from './onnx-reader.ts'
import { refuseOnnx } from './onnx-structure.ts'
import { refuseAgain, type TensorScanner } from './scanner.ts'
import type { CreateSha256 } from './sha256.ts'

/**
 * Lists the tensors of an ONNX model: initializers, sparse ones too, and tensors in attributes, of the graph, its
 * subgraphs, functions and training graphs; and the operators.
 *
 * @param file - What messages call it.
 */
export function createOnnxScanner(file: string, createSha256: CreateSha256 | undefined): TensorScanner {
  const reader = createOnnxReader(refuseOnnx(file), { createSha256 })
  return refuseAgain({
    push: (bytes) => reader.push(bytes),
    end() {
      const { tensors, operators } = reader.end()
      return { table: { schema: 1, format: 'onnx', tensors, operators }, metadata: new Map() }
    },
  })
}
