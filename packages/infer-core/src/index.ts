export { chooseBatch } from './batching/choose-batch.ts'
export { cutBatches, type BatchLimits } from './batching/cut-batches.ts'
export { createFairQueue, type FairQueue, type FairQueueLimits, type Queued } from './batching/fair-queue.ts'
export {
  decodeOutput,
  encodeInput,
  encodeOutput,
  encodeParams,
  toJson,
  type CanonicalInput,
  type OutputValue,
} from './canonical.ts'
export {
  parseTool,
  toChatMessage,
  toToolText,
  type ChatMessage,
  type ChatTool,
  type ToolCall,
  type ToolChat,
} from './chat.ts'
export { compareOutputs, type OutputDifference } from './compare-outputs.ts'
export { decodeInput, decodeParams, type DecodedInput } from './decode-input.ts'
export { BusyError, CrashError } from './errors.ts'
export { fromHalf } from './half.ts'
export { decodeLoadFacts, encodeLoadFacts, type LoadFacts } from './load-facts.ts'
export { parseOption, toParams, type GivenOptions, type Params, type ParamValue } from './params.ts'
export {
  isRawTensor,
  isRawTensors,
  isRawType,
  OIP_TYPES,
  toFeeds,
  toOutputNames,
  type GraphValue,
  type RawTensor,
  type RawTensors,
  type RawType,
  type TextTensor,
} from './raw-tensors.ts'
export {
  decodeReceipt,
  encodeReceipt,
  receiptFromJson,
  receiptToJson,
  type ResultReceipt,
  type Software,
  type UsedFile,
} from './receipt.ts'
export { receiptCar } from './receipt-car.ts'
export { decodeReceiptList, encodeReceiptList } from './receipt-list.ts'
export { decodeRemoteReceipt, encodeRemoteReceipt, remoteReceiptToJson, type RemoteReceipt } from './remote-receipt.ts'
export { encodeRunTokens, tokensIn, type RunTokens } from './run-tokens.ts'
export { type Shape } from './shape.ts'
export {
  decodeResultKey,
  describeKey,
  differingParts,
  encodeLoadKey,
  encodeResultKey,
  kindOfKey,
  type KeyPart,
  type LoadKeyParts,
  type ResultKeyParts,
} from './result-key.ts'
export {
  assertTask,
  isOutputOf,
  RAW_TENSORS,
  TASK_ALIASES,
  TASKS,
  toTask,
  type RunName,
  type TaskInputKind,
  type TaskName,
  type TaskOutput,
} from './tasks.ts'
export type { LikelyToken, TokenLogprob } from './tasks/outputs.ts'
export type { InputKind, OptionType, Task, TaskOption } from './tasks/task.ts'
export { isTensor, tensorBytes, tensorFromBytes, type Tensor, type TensorData, type TensorType } from './tensor.ts'
export { encodeVoucher, isVoucher, voucherIn, type ResultVoucher } from './voucher.ts'
