/** Tensors in one file. The largest published models have under 100 000 in all of their files. */
export const MAX_TENSORS = 262_144
/** Names, paths and shapes of a file's tensors together, bytes: what a table keeps of it. */
export const MAX_TABLE_BYTES: number = 64 * 2 ** 20
/** Bytes of a name in UTF-8. */
export const MAX_NAME_BYTES = 65_535
/** Dimensions of a tensor. numpy allows 64. */
export const MAX_RANK = 64
/** Different operators of a graph, and bytes of their names together. ONNX and its contrib operators are about 500. */
export const MAX_OPERATORS = 4096
export const MAX_OPERATOR_BYTES = 131_072
