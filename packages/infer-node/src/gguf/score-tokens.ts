import type { LlamaContextSequence, Token } from 'node-llama-cpp'

/** What the model made of one place of a text. */
export interface ScoredPlace {
  /** The natural logarithm of the probability, as a float32; `-Infinity`: it is neither the token that came nor one of the likeliest. */
  of(token: Token): number
  /** The likeliest first. */
  likeliest: readonly Token[]
}

/** Places that are looked at together. For each the scores of the whole vocabulary are held meanwhile. */
const TOGETHER = 16

/**
 * What a model makes of tokens behind others, by its own distribution: as they are read, and not as they were drawn.
 *
 * @param before - What the sequence has not read yet of what is before them, one token or more.
 * @param top - How many of the likeliest are wanted at each place.
 */
export async function scoreTokens(
  sequence: LlamaContextSequence,
  {
    before,
    tokens,
    top,
    signal,
  }: { before: readonly Token[]; tokens: readonly Token[]; top: number; signal?: AbortSignal | undefined },
): Promise<ScoredPlace[]> {
  const places: ScoredPlace[] = []
  const last = before.at(-1)
  if (last === undefined) throw new TypeError('nothing is before the tokens')
  if (before.length > 1) await sequence.evaluateWithoutGeneratingNewTokens(before.slice(0, -1))
  const read = [last, ...tokens]
  for (let from = 0; from < tokens.length; from += TOGETHER) {
    signal?.throwIfAborted()
    const wanted = tokens.slice(from, from + TOGETHER)
    const asked = wanted.map((token, index): Asked => {
      // The likeliest one says how large the others are.
      const filter = { tokens: [token], includeTop: Math.max(1, top) }
      return [
        read[from + index] ?? last,
        { generateNext: { logits: { filter }, totalLogitWeight: true, options: PLAIN } },
      ]
    })
    for (const result of await sequence.controlledEvaluate(asked)) places.push(placeOf(result?.next, top))
  }
  return places
}

type Asked = Parameters<LlamaContextSequence['controlledEvaluate']>[0][number]
type Next = NonNullable<Awaited<ReturnType<LlamaContextSequence['controlledEvaluate']>>[number]>['next']

/** Leaves the scores as the model gives them. */
const PLAIN = { temperature: 0, topK: 0, topP: 1, minP: 0 } as const

function placeOf(next: Next | undefined, top: number): ScoredPlace {
  const { logits, totalLogitWeight: weight } = next ?? {}
  if (logits === undefined || weight === undefined) throw new Error('llama.cpp gave no scores of a token')
  const order = [...logits].toSorted(([, one], [, other]) => other - one)
  const best = order[0]?.[1] ?? Number.NaN
  if (!Number.isFinite(best)) throw new Error(`the best score that the model gave to a token is ${best}`)
  const excess = best + Math.log(weight)
  return {
    of: (token) => Math.fround((logits.get(token) ?? -Infinity) - excess),
    likeliest: order.slice(0, top).flatMap(([token, score]) => (score === -Infinity ? [] : [token])),
  }
}
