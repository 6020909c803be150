// What `@x/infer-node` and `@x/infer-web` are made of beside this. No API: it changes with them.
export { assertTakesTools, toTemplateChat } from './chat-template.ts'
export { chooseGraph, type ChosenGraph } from './choose-graph.ts'
export { classify } from './classify.ts'
export { countTokens, tokensOf } from './count-tokens.ts'
export { createDraw } from './draw-token.ts'
export { embed } from './embed.ts'
export { argumentsOf, loadPipeline, runPipeline } from './every-task.ts'
export { generationFactsOf, NOTHING_WRITTEN } from './generation-facts.ts'
export { bytesIn, type Reserve } from './input-bytes.ts'
export type { LoadedPipeline, PipelineOptions } from './load-pipeline.ts'
export {
  loadGraph,
  type GraphRuntime,
  type GraphSource,
  type GraphTable,
  type LoadedGraph,
  type LoadGraphOptions,
  type RuntimeSession,
  type RuntimeSessions,
} from './load-graph.ts'
export { createLogProbabilities } from './log-probabilities.ts'
export { messageOf } from './message-of.ts'
export { modelClasses, type ModelClass } from './model-classes.ts'
export { fieldsOf, readModelJson } from './model-json.ts'
export { toValue } from './pipeline-output.ts'
export type { PipelinePlatform } from './platform.ts'
export { repositoryDefaults } from './repository-defaults.ts'
export { rerank } from './rerank.ts'
export { resample } from './resample.ts'
export { assertStreams, type PipelineRunOptions } from './run-pipeline.ts'
export { samplingOf } from './sampling.ts'
export { receiveError, sendError, type SentError } from './sent-error.ts'
export { createStopText } from './stop-text.ts'
export { type FileInput, type ReadFile, readInput, type TaskInput, type TaskInputs } from './task-input.ts'
export {
  type AskedInput,
  type Clock,
  namingInput,
  namingInputAgain,
  operandsOf,
  type Ran,
  readAsked,
  type RunFacts,
  startClock,
  type TaskResult,
  toResult,
  type Versions,
} from './task-result.ts'
export { tasksOf } from './tasks-of.ts'
export { createTextStream, type Decoder } from './text-stream.ts'
export { createTokenLogprobs, topLogprobsOf } from './token-logprobs.ts'
export type { Transformers } from './transformers.ts'
export { assertWidth } from './vector-width.ts'
export { watchGeneration } from './watch-generation.ts'
export { decodeWav, type Sound } from './wav.ts'
export { createWrittenText, generatedFrom, stopsIn, type WrittenText } from './written-text.ts'
