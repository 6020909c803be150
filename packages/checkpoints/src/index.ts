export type {
  CeilingOptions,
  Checkpoint,
  ForEachOptions,
  PiecesOptions,
  TensorPiece,
  TensorProgress,
  TensorsOptions,
} from './checkpoint.ts'
export type { CheckpointTensor, TensorOf } from './checkpoint-tensor.ts'
export type { Dtype, DtypeArrays } from './dtypes.ts'
export { PickleCheckpointError, SeveralCheckpointsError } from './errors.ts'
export type { CheckpointFile } from './list-files.ts'
export type { CheckpointShard, TensorInfo } from './list-tensors.ts'
export { openCheckpoint, type ListedModel, type OpenCheckpointOptions } from './open-checkpoint.ts'
export { toSessionTensor, type SessionTensor, type SessionType } from './session-tensor.ts'
export { toFloat32 } from './to-float32.ts'
