import type { LikelyToken, TokenLogprob } from '@x/infer-core'

import { badRequest } from '../http-error.ts'

/** As a chat has them. */
export interface ChatLogprobs {
  content: ChatTokenLogprob[]
  refusal: null
}

interface ChatToken {
  token: string
  logprob: number
  /** Of UTF-8. A token may be part of a character. */
  bytes: number[]
}

interface ChatTokenLogprob extends ChatToken {
  top_logprobs: ChatToken[]
}

/** As OpenAI's older API has them: lists of the same length. */
export interface TextLogprobs {
  tokens: string[]
  token_logprobs: number[]
  /** By their texts: so many as were asked for, and the one that was written where it is none of them. */
  top_logprobs: Record<string, number>[]
  /** Where each begins in the text. Characters, as Unicode counts them. */
  text_offset: number[]
}

/**
 * How many tokens are wanted for each of a chat; `undefined`: nothing is.
 *
 * @throws {HttpError} 400: so many are wanted, and not `logprobs` itself.
 */
export function topOfChat({
  logprobs,
  top_logprobs: top,
}: {
  logprobs?: boolean | null | undefined
  top_logprobs?: number | null | undefined
}): number | undefined {
  if (logprobs) return top ?? 0
  if (top) throw badRequest('top_logprobs takes logprobs: true', { param: 'top_logprobs', code: 'invalid_value' })
  return undefined
}

const encoder = new TextEncoder()

const toChatToken = ({ token, logprob, bytes }: LikelyToken): ChatToken => ({
  token,
  logprob,
  bytes: bytes ?? Array.from(encoder.encode(token)),
})

export function toChatLogprobs(logprobs: readonly TokenLogprob[] | undefined): ChatLogprobs | null {
  if (logprobs === undefined) return null
  const content = logprobs.map((each) => ({ ...toChatToken(each), top_logprobs: each.top.map(toChatToken) }))
  return { content, refusal: null }
}

export function toTextLogprobs(logprobs: readonly TokenLogprob[] | undefined): TextLogprobs | null {
  if (logprobs === undefined) return null
  let at = 0
  return {
    tokens: logprobs.map(({ token }) => token),
    token_logprobs: logprobs.map(({ logprob }) => logprob),
    top_logprobs: logprobs.map((each) => byText([...each.top, each])),
    text_offset: logprobs.map(({ token }) => {
      const begin = at
      at += Array.from(token).length
      return begin
    }),
  }
}

/** Of several with the same text the first. */
function byText(tokens: readonly LikelyToken[]): Record<string, number> {
  return Object.fromEntries(tokens.toReversed().map(({ token, logprob }) => [token, logprob]))
}
