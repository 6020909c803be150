import type { LikelyToken, Params, TokenLogprob } from '@x/infer-core'

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

export interface TokenLogprobs<Id> {
  follower: TokenFollower<Id>
  /** Of each token of the text, but for the one that ended it. Together their `token` are the text. */
  list(ended: Ended): TokenLogprob[]
}

interface LogprobsOptions<Id> {
  /** Of the token that comes next. */
  probabilities: {
    of(id: Id): number
    likeliest(): readonly Id[]
  }
  /** Of tokens that are part of a character, where that is known. */
  bytesOf?: ((id: Id) => number[] | undefined) | undefined
}

/** How many tokens before one are decoded with it: what a token reads as depends on them. */
const CONTEXT = 5

/** Follows a text while it is generated, with what the model made of each token. */
export function createTokenLogprobs<Id extends number | bigint>(
  decoder: Decoder<Id>,
  { probabilities, bytesOf }: LogprobsOptions<Id>,
): TokenLogprobs<Id> {
  const tokens: TokenLogprob[] = []
  const parts: string[] = []
  let before: Id[] | undefined

  const decode = (ids: Id[]): string => (ids.length === 0 ? '' : decoder.decode(ids, { skip_special_tokens: false }))

  function likely(id: Id, token: string): LikelyToken {
    const bytes = bytesOf?.(id)
    return { token, id: Number(id), logprob: probabilities.of(id), ...(bytes && { bytes }) }
  }

  /** What it would add to the text. */
  function readAs(id: Id, known: string): string {
    const text = decode([...(before ?? []), id])
    return text.slice(sharedLength(known, text))
  }

  function follow(id: Id): void {
    const known = decode(before ?? [])
    const likeliest = probabilities.likeliest().map((each) => likely(each, readAs(each, known)))
    tokens.push({ ...likely(id, ''), top: likeliest })
    before = [...(before ?? []), id].slice(-CONTEXT)
  }

  return {
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
