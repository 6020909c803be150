export {
  encodeInput,
  encodeOutput,
  encodeParams,
  toJson,
  type CanonicalInput,
  type ChatMessage,
  type OutputValue,
} from './canonical.ts'
export { parseOption, toParams, type GivenOptions, type Params, type ParamValue } from './params.ts'
export {
  decodeReceipt,
  encodeReceipt,
  receiptToJson,
  type ResultReceipt,
  type Software,
  type UsedFile,
} from './receipt.ts'
export {
  assertTask,
  TASKS,
  type InputKind,
  type OptionType,
  type Task,
  type TaskName,
  type TaskOption,
} from './tasks.ts'
export { isTensor, tensorBytes, tensorFromBytes, type Tensor, type TensorData, type TensorType } from './tensor.ts'
