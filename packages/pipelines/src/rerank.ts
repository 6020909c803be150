import { InvalidInputError } from '@x/cid'
import type { RunTokens } from '@x/infer-core'
import type { AbortOptions } from '@x/storage-core'

import { numbersOf } from './numbers-of.ts'
import type { PipelinePlatform } from './platform.ts'

interface Tokenizer {
  (
    text: string,
    options: { text_pair: string; padding: boolean; truncation: boolean },
  ): {
    input_ids: { dims: readonly number[] }
  }
  model_max_length: number
}

/** What a text-classification pipeline of transformers.js is made of, as far as it is needed here. */
interface CrossEncoder {
  tokenizer: Tokenizer
  model: (inputs: unknown) => Promise<{ logits?: { type?: unknown; data: unknown } }>
}

interface RankOptions extends AbortOptions {
  /** Told at the end what was read of all pairs. */
  onRead?: ((tokens: RunTokens) => void) | undefined
}

/**
 * Sorts documents by how well they answer a query. A cross-encoder reads query and document together as a pair of texts
 * and gives one number; each pair runs alone, so that no document changes another's. Between two of them an abort is heard, and
 * whatever else this thread is told.
 *
 * @throws {InvalidInputError} The model gives several numbers for a pair: it classifies, and does not rank.
 */
export async function rerank(
  { nextTurn }: Pick<PipelinePlatform, 'nextTurn'>,
  { tokenizer, model }: CrossEncoder,
  { query, documents }: { query: string; documents: readonly string[] },
  { top_k: count, function_to_apply: applied }: { top_k?: number; function_to_apply: 'sigmoid' | 'none' },
  { signal, onRead }: RankOptions = {},
): Promise<{ index: number; score: number; document: string }[]> {
  const ranked: { index: number; logit: number; document: string }[] = []
  const read = { input: 0, cut: 0 }
  for (const [index, document] of documents.entries()) {
    if (index > 0) await nextTurn()
    signal?.throwIfAborted()
    const { inputs, count: many } = tokensOfPair(tokenizer, query, document)
    read.input += Math.min(many, tokenizer.model_max_length)
    read.cut += Math.max(0, many - tokenizer.model_max_length)
    const { logits } = await model(inputs)
    ranked.push({ index, logit: onlyNumber(logits && numbersOf(logits)), document })
  }
  onRead?.(read)
  // By the model's own number: sigmoids of large ones are all 1.
  const sorted = ranked.toSorted((left, right) => right.logit - left.logit).slice(0, count)
  return sorted.map(({ index, logit, document }) => ({
    index,
    score: applied === 'sigmoid' ? 1 / (1 + Math.exp(-logit)) : logit,
    document,
  }))
}

/** As the model reads them, and how many they are with those that it has no room for. Most pairs have none, and are made tokens once. */
function tokensOfPair(tokenizer: Tokenizer, query: string, document: string): { inputs: unknown; count: number } {
  const options = { text_pair: document, padding: true }
  const whole = tokenizer(query, { ...options, truncation: false })
  const count = whole.input_ids.dims.at(-1) ?? 0
  return count > tokenizer.model_max_length
    ? { inputs: tokenizer(query, { ...options, truncation: true }), count }
    : { inputs: whole, count }
}

function onlyNumber(numbers: Float32Array | undefined): number {
  const values = [...(numbers ?? [])]
  const [value] = values
  if (values.length === 1 && value !== undefined) return value
  throw new InvalidInputError(`rerank needs a model that gives one number for a pair, not ${values.length}`, {
    input: 'rerank',
  })
}
