import type { Software } from '@x/infer-core'
import type { OpenedModel } from '@x/model-loader'
import type { PipelinePlatform } from '@x/pipelines'
import type { GraphRuntime } from '@x/pipelines/parts'
import type { AbortOptions } from '@x/storage-core'

/** What a worker computes with: ONNX Runtime Web, transformers.js on it, and how both get the files of a model. */
export interface WebPlatform extends PipelinePlatform {
  graphs: GraphRuntime
  /** Of ONNX Runtime: `jspi`, `asyncify` or `wasm`. */
  build: string
  /** Of WebAssembly. */
  threads: number
  /** When the runtime's files are there, so that the rest of loading it takes seconds. Default: nobody says, and it may take for ever. */
  filesCame?: Promise<void> | undefined
  runtime: Software
  library: Software
}

export interface ServeInferenceOptions {
  /** Called once, before anything is asked, with what everything in this worker is to run on. */
  start: (executionProvider: string) => Promise<WebPlatform>
  /** Opens what a reference points to, verified. */
  openModel: (reference: string, options: AbortOptions) => Promise<OpenedModel>
}
