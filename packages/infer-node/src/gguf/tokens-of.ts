import { InvalidInputError } from '@x/cid'
import type { LlamaModel, Token } from 'node-llama-cpp'

export interface TokensOptions {
  /** How many tokens there may be. */
  most: number
  /** What the text is, for messages: `text`, `prompt`. */
  what: string
  /** What messages call the model. */
  label: string
  signal: AbortSignal | undefined
}

/**
 * Characters that are made tokens at a time: llama.cpp does it in this thread, which hears nothing else meanwhile, and of what is no word to the model
 * it takes four times as long for twice as many.
 */
const PIECE = 4096
/** Of a text in words there are about four in a token; more are spaces, or what is no word to the model. */
const CHARACTERS_PER_TOKEN = 64
/** So many more come of a piece than of it as part of the whole at most: what a token becomes that is cut in two, and what a text begins with. */
const MORE_OF_A_PIECE = 32

/**
 * The tokens of a text, special ones taken as such. One that is too long is refused before all of it is made tokens, so that the event loop
 * stands still for no longer than the longest text takes that the model has room for.
 *
 * @returns Perhaps a few more than `most`: how many are too many is for whoever asks to say.
 * @throws {InvalidInputError} There are more, or more than 64 characters for each that there may be.
 */
export async function tokensOf(model: LlamaModel, text: string, options: TokensOptions): Promise<Token[]> {
  if (text.length > PIECE) await assertMayFit(model, text, options)
  return model.tokenize(text, true)
}

async function assertMayFit(
  model: LlamaModel,
  text: string,
  { most, what, label, signal }: TokensOptions,
): Promise<void> {
  const takes = `${label} takes at most ${most} tokens`
  const longest = Math.max(PIECE, CHARACTERS_PER_TOKEN * most)
  if (text.length > longest) {
    throw new InvalidInputError(
      `the ${what} has ${text.length} characters; ${takes}, so none of more than ${longest}`,
      {
        input: what,
      },
    )
  }
  let count = 0
  for (let from = 0; from < text.length; from = endOf(text, from)) {
    count += model.tokenize(text.slice(from, endOf(text, from)), true).length - MORE_OF_A_PIECE
    if (count > most) throw new InvalidInputError(`the ${what} has more tokens; ${takes}`, { input: what })
    await new Promise(setImmediate)
    signal?.throwIfAborted()
  }
}

/** The two halves of one character stay together. */
function endOf(text: string, from: number): number {
  const end = from + PIECE
  return (text.codePointAt(end - 1) ?? 0) > 0xff_ff ? end + 1 : end
}
