/**
 * Operators that take a quantisation scale over the whole of a run-time tensor, so that a row's result depends on the rows
 * beside it. Those that are given a scale (`QLinearMatMul`, `QAttention`) or take one for each row or block (`MatMulNBits`)
 * are not among them.
 *
 * @see https://onnx.ai/onnx/operators/onnx__DynamicQuantizeLinear.html
 * @see https://github.com/microsoft/onnxruntime/blob/main/docs/ContribOperators.md
 */
const BATCH_VARIANT_OPERATORS: ReadonlySet<string> = new Set([
  'DynamicQuantizeLinear',
  'com.microsoft::DynamicQuantizeLSTM',
  'com.microsoft::DynamicQuantizeMatMul',
])

/** Whether a graph with these operators may give an input another result when others share its batch. */
export function isBatchVariant(operators: readonly string[]): boolean {
  return operators.some((operator) => BATCH_VARIANT_OPERATORS.has(operator))
}
