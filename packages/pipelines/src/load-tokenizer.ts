import { NOTHING_WRITTEN } from './generation-facts.ts'
import type { LoadedPipeline } from './load-pipeline.ts'
import type { PlacedModel } from './platform.ts'
import { tokenize } from './tokenize.ts'
import type { Transformers } from './transformers.ts'

/** Loads nothing but the tokenizer of a model, which is told apart from others by its `id` while it is placed. */
export async function loadTokenizer({ AutoTokenizer }: Transformers, placed: PlacedModel): Promise<LoadedPipeline> {
  const tokenizer = await AutoTokenizer.from_pretrained(placed.id)
  const files = [...placed.used()].toSorted()
  return {
    call: async (...args) => Reflect.apply(tokenize, undefined, [tokenizer, ...args]),
    tokenizer,
    dtype: { dtype: {}, files, reason: 'no graph is run' },
    files,
    executionProvider: 'cpu',
    generation: NOTHING_WRITTEN,
    dispose: () => Promise.resolve(),
  }
}
