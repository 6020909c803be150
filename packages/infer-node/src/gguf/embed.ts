import { InvalidInputError } from '@x/cid'
import type { RunTokens, Tensor } from '@x/infer-core'
import { assertWidth } from '@x/pipelines/parts'
import type { AbortOptions } from '@x/storage-core'
import type { LlamaEmbeddingContext, LlamaModel } from 'node-llama-cpp'

import { tokensOf } from './tokens-of.ts'

interface Embedded {
  vector: Tensor
  tokens: RunTokens
}

interface EmbedOptions extends AbortOptions {
  normalize: boolean
  /** How many numbers; `undefined`: all. They are scaled after that. */
  dimensions: number | undefined
}

export interface Embedder {
  /** The vector of a text, pooled as the file says, and how much of it was read: all, or it is refused. */
  embed(text: string, options: EmbedOptions): Promise<Embedded>
  dispose(): Promise<void>
}

const LEAST_CONTEXT = 256

/** Gives vectors of texts, with one context that grows with the longest of them. Nothing of one text is left in it for the next. */
export function createEmbedder(model: LlamaModel, label: string, threads: number): Embedder {
  let held: { size: number; context: LlamaEmbeddingContext } | undefined

  async function contextFor(tokens: number): Promise<LlamaEmbeddingContext> {
    if (held && held.size > tokens) return held.context
    await held?.context.dispose()
    held = undefined
    // It takes fewer tokens than its size.
    const size = Math.max(LEAST_CONTEXT, 2 ** Math.ceil(Math.log2(tokens + 1)))
    // All tokens of a text at once: each may look at those behind it.
    const context = await model.createEmbeddingContext({ contextSize: size, batchSize: size, threads })
    held = { size, context }
    return context
  }

  return {
    async embed(text, { normalize, dimensions, signal }) {
      if (dimensions !== undefined) assertWidth(model.embeddingVectorSize, dimensions)
      // What its beginning and end take comes to it.
      const most = model.trainContextSize - 2
      const tokens = await tokensOf(model, text, { most, what: 'text', label, signal })
      if (tokens.length > most) {
        const message = `the text has ${tokens.length} tokens, and ${label} takes at most ${most}`
        throw new InvalidInputError(message, { input: 'text' })
      }
      const context = await contextFor(tokens.length + 2)
      const { vector: whole } = await context.getEmbeddingFor(tokens)
      if (whole.length === 0)
        throw new InvalidInputError(`${label} gives no vector for a text without tokens`, { input: text })
      const vector = whole.slice(0, dimensions)
      const length = normalize ? Math.hypot(...vector) : 1
      return {
        vector: {
          type: 'float32',
          dims: [vector.length],
          data: Float32Array.from(vector, (value) => (length === 0 ? value : value / length)),
        },
        tokens: { input: context.calculateInputLength(tokens), cut: 0 },
      }
    },
    async dispose() {
      await held?.context.dispose()
      held = undefined
    },
  }
}
