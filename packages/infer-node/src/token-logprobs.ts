import type { LikelyToken, Params, TokenLogprob } from '@x/infer-core'

import { createLogProbabilities } from './log-probabilities.ts'
import type { ScoresProcessor } from './sampling.ts'
import { sharedLength, type Decoder } from './text-stream.ts'
import type { TokenFollower } from './written-text.ts'

/** How many of the likeliest tokens are to be given of each place; `undefined`: nothing is. */
export const topLogprobsOf = ({ top_logprobs: top }: Params): number | undefined =>
  typeof top === 'number' ? top : undefined

/** What a text ended as. */
interface Ended {
  text: string
  /** Before all that the tokens make was in it. */
  isStopped: boolean
  /** Tokens that end a text. */
  ends: ReadonlySet<number>
}

export interface TokenLogprobs {
  /** Looks at scores, and leaves them as they are. */
  scores: ScoresProcessor
  follower: TokenFollower<bigint>
  /** Of each token of the text, but for the one that ended it. Together their `token` are the text. */
  list(ended: Ended): TokenLogprob[]
}

interface LogprobsOptions {
  top: number
  /** Of tokens that are part of a character. */
  bytesOf: (id: number) => number[] | undefined
}

/** How many tokens before one are decoded with it: what a token reads as depends on them. */
const CONTEXT = 5

/** Follows a text while it is generated, with what the model made of each token. */
export function createTokenLogprobs(decoder: Decoder<bigint>, { top, bytesOf }: LogprobsOptions): TokenLogprobs {
  const probabilities = createLogProbabilities()
  const tokens: TokenLogprob[] = []
  const parts: string[] = []
  let before: bigint[] | undefined

  const decode = (ids: bigint[]): string =>
    ids.length === 0 ? '' : decoder.decode(ids, { skip_special_tokens: false })

  function likely(id: number, token: string): LikelyToken {
    const bytes = bytesOf(id)
    return { token, id, logprob: probabilities.of(id), ...(bytes && { bytes }) }
  }

  /** What it would add to the text. */
  function readAs(id: number, known: string): string {
    const text = decode([...(before ?? []), BigInt(id)])
    return text.slice(sharedLength(known, text))
  }

  function follow(id: bigint): void {
    const known = decode(before ?? [])
    const likeliest = probabilities.likeliest(top).map((each) => likely(each, readAs(each, known)))
    tokens.push({ ...likely(Number(id), ''), top: likeliest })
    before = [...(before ?? []), id].slice(-CONTEXT)
  }

  return {
    scores(_ids, scores) {
      const { data } = scores
      if (!(data instanceof Float32Array)) throw new TypeError('the scores of tokens are no float32')
      probabilities.take(data)
      return scores
    },
    follower: {
      put([row = []]) {
        // The prompt comes first, as a whole.
        if (before === undefined) before = row.slice(-CONTEXT)
        else for (const id of row) follow(id)
      },
      read: (texts) => void parts.push(...texts),
    },
    list({ text, isStopped, ends }) {
      const all = tokens.map((each, index) => withText(each, parts[index] ?? ''))
      if (isStopped) return cut(all, text.length)
      return ends.has(all.at(-1)?.id ?? -1) ? all.slice(0, -1) : all
    },
  }
}

/** The same token reads the same in both places. */
function withText({ top: others, ...own }: TokenLogprob, token: string): TokenLogprob {
  return { ...own, token, top: others.map((each) => (each.id === own.id ? { ...each, token } : each)) }
}

/** Those of which something is in so many characters; the last one may be so in part. */
function cut(all: readonly TokenLogprob[], length: number): TokenLogprob[] {
  let at = 0
  return all.flatMap((each) => {
    const part = each.token.slice(0, length - at)
    const isIn = at < length
    at += part.length
    return isIn ? [part === each.token ? each : withText(each, part)] : []
  })
}
