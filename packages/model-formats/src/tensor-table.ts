export type TensorFormat = 'onnx' | 'safetensors' | 'gguf'

/** A tensor's place in a file. */
export interface Tensor {
  /**
   * As the file has it; unique in safetensors and GGUF. A graph of ONNX has names of its own for each subgraph. A tensor
   * in a node's attribute is called after the node's first output: `out` in a Constant, else `out.attribute`, in a list of
   * tensors `out.attribute.0`. The indices of a sparse tensor `w` are `w.indices`.
   */
  name: string
  /** `float32`, `int4`, `string`, ...; a block type of GGUF as ggml calls it: `Q4_K`. */
  dtype: string
  /** Outermost dimension first; GGUF lists them the other way round. Empty for a scalar. */
  shape: number[]
  /** Of external data: path relative to the folder of the graph. Absent: the file itself. */
  file?: string
  /** Where its bytes are, from the file's beginning. */
  offset: number
  length: number
  /**
   * What the bytes are, when they are not its elements, little-endian, one after the other: `varint`, the packed varints of a
   * protobuf field; `protobuf`, the whole TensorProto (texts, and lists in several pieces).
   */
  encoding?: 'varint' | 'protobuf'
  /** Of these bytes, 32 bytes. Absent for external data, for `protobuf`, and where no hash was given. */
  sha256?: Uint8Array
}

export interface TensorTable {
  schema: 1
  format: TensorFormat
  /** ONNX and GGUF in the order of the file; safetensors by offset. */
  tensors: Tensor[]
  /** Of ONNX: each operator of the graph, its subgraphs and functions; sorted, those of other domains as `domain::name`. */
  operators?: string[]
}
