export {
  createEngine,
  type Engine,
  type EngineOptions,
  type EngineRunOptions,
  type EngineStats,
  type GraphSession,
  type ProviderRefusal,
} from './engine.ts'
export type { LoadProgress } from './messages.ts'
export type { Providers } from './rungs.ts'
export type { VerdictStorage } from './verdicts.ts'
export type { TaskInput, TaskInputs, TaskResult } from '@x/pipelines'
