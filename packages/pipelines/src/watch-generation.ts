import { InvalidInputError } from '@x/cid'
import type { RunTokens } from '@x/infer-core'

import type { GenerationFacts } from './generation-facts.ts'
import type { TokenStreamer } from './text-stream.ts'
import type { WrittenText } from './written-text.ts'

interface Watched {
  streamer: TokenStreamer
  /** What the model read and wrote; `undefined`: it has not begun. */
  tokens(): RunTokens | undefined
}

/**
 * Counts the tokens of a text while it is generated. It is to end where the model has no places for more.
 *
 * @param mostRead - Tokens to which the library cuts a prompt, as the tokenizer says; `Infinity`: it cuts none.
 * @param text - Is told of each token as well.
 * @param onFull - Called when there are places for no more.
 * @throws {InvalidInputError} The prompt leaves no place for a token; `put` throws it, before anything is computed.
 */
export function watchGeneration(
  { places, ends }: GenerationFacts,
  mostRead: number,
  text: WrittenText | undefined,
  onFull: () => void,
): Watched {
  let [read, written] = [0, 0]
  let hasBegun = false
  let last: bigint | undefined

  return {
    streamer: {
      put(rows) {
        const [row = []] = rows
        if (!hasBegun) {
          hasBegun = true
          read = row.length
          assertRoom(read, places, mostRead)
        } else {
          written += row.length
          last = row.at(-1)
          if (read + written >= places) onFull()
        }
        text?.put(rows)
      },
      end() {
        text?.end()
      },
    },
    tokens() {
      if (!hasBegun) return undefined
      const isAtEnd = last !== undefined && ends.has(Number(last))
      const ended = text?.isStopped ? 'stop' : isAtEnd ? 'model' : 'length'
      return { input: read, cut: 0, output: written, ended }
    },
  }
}

/** A prompt as long as what the library cuts to may have been cut. */
function assertRoom(read: number, places: number, mostRead: number): void {
  const most = Math.min(places, mostRead)
  if (read < most) return
  const many = read < mostRead ? read : `at least ${read}`
  throw new InvalidInputError(`the prompt has ${many} tokens, and the model takes at most ${most - 1}`, {
    input: 'prompt',
  })
}
