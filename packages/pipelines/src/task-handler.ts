import type { CanonicalInput, TaskName } from '@x/infer-core'

import type { hookGeneration } from './generation-hooks.ts'
import type { AnyPipeline, LoadedPipeline } from './load-pipeline.ts'
import type { PipelinePlatform, PlacedModel } from './platform.ts'
import type { Transformers } from './transformers.ts'

type Tokenizer = LoadedPipeline['tokenizer']

/** Code that only some tasks need: what a bundle leaves out where none of them is in its table. */
export interface TaskHandler<in Name extends TaskName = never> {
  /** Never there: to types alone it says of which tasks it is, so that none is given that of another. */
  of?: (task: Name) => void
  /** Loads what has no graph, instead of all that follows. */
  load?: (transformers: Transformers, placed: PlacedModel) => Promise<LoadedPipeline>
  /** Makes what the library has no pipeline for. Default: the library's own. */
  make?: (transformers: Transformers, id: string, options: object) => Promise<AnyPipeline>
  /** Default: the pipeline is called with the arguments. */
  call?: (platform: PipelinePlatform, pipeline: AnyPipeline, args: unknown[]) => Promise<unknown>
  /** Of models that write a text, one token after another. */
  follow?: typeof hookGeneration
  /** Of tasks that take chats: what comes before the options, and what is added to them. */
  chat?: (
    tokenizer: Tokenizer,
    chat: Extract<CanonicalInput, { kind: 'chat' }>,
  ) => { messages: object[]; options: object }
  /** Of tasks that take sounds: the samples of a file. `sampleRate`: of the model, hertz; default: the file's. */
  samplesOf?: (bytes: Uint8Array, sampleRate: number | undefined) => Float32Array
}

/** A handler for each of some tasks. */
export type TaskTable<Some extends TaskName> = { readonly [Name in Some]: TaskHandler<Name> }
