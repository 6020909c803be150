import type { RegisteredModel, OpenedModel } from '@x/model-loader'

import type { Transformers } from './transformers.ts'

/** A model whose files the library is given, whatever it asks for, until it is released. */
export interface PlacedModel extends Pick<RegisteredModel, 'id' | 'failure' | 'used'> {
  release: () => void
}

/** What the library is told of where it runs a graph. */
export interface Placement {
  /** Its own word for an execution provider. */
  device: string
  /** For each session. */
  sessionOptions: Readonly<Record<string, unknown>>
}

/** What differs between Node and a page. */
export interface PipelinePlatform {
  transformers: Transformers
  /** Has the library read a model's files from nowhere else. */
  place: (model: OpenedModel) => PlacedModel
  /** @param executionProvider - As ONNX Runtime calls it; `cpu` where there is no graph to run. */
  placementOf: (executionProvider: string) => Placement
  /** Resolves when whatever else waits for this thread has had its turn. */
  nextTurn: () => Promise<void>
}
