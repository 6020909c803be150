import type { Params } from '@x/infer-core'

import { createDraw, type DrawOptions } from './draw-token.ts'
import type { Transformers } from './transformers.ts'

interface Sampling extends DrawOptions {
  seed: number
}

/** How a task's parameters have tokens drawn; `undefined`: it is the likeliest each time. */
export function samplingOf({ temperature = 1, top_k: topK, top_p: topP, seed }: Params): Sampling | undefined {
  if (typeof seed !== 'number' || typeof temperature !== 'number' || temperature === 0) return undefined
  return {
    seed,
    temperature,
    ...(typeof topK === 'number' && { topK }),
    ...(typeof topP === 'number' && { topP }),
  }
}

/** As the library asks what to make of the scores that a model gives. */
export type ScoresProcessor = (ids: unknown, scores: Scores) => Scores

interface Scores {
  /** Of one text. */
  data: unknown
}

/**
 * Leaves one token for the library to take, drawn by a generator of its own: whatever else is drawn in this process, the same seed draws the
 * same. (The library's own sampling knows no `top_p`, and draws from one generator for all.)
 */
export function samplingProcessor({ random: { Random } }: Transformers, sampling: Sampling): ScoresProcessor {
  const generator = new Random(sampling.seed)
  const draw = createDraw(sampling, () => generator.random())
  return (_ids, scores) => {
    const { data } = scores
    if (!(data instanceof Float32Array)) throw new TypeError('the scores of tokens are no float32')
    const token = draw(data)
    data.fill(-Infinity)
    data[token] = 0
    return scores
  }
}
