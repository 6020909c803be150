import type { CanonicalInput, OutputValue, Params } from '@x/infer-core'

import { createStopText } from './stop-text.ts'
import { createTextStream, sharedLength, type Decoder, type TokenStreamer } from './text-stream.ts'

/** The text that is made of tokens as they come, without the prompt, and ends before the first stop text. */
export interface WrittenText<Id = bigint> extends TokenStreamer<Id> {
  /** What was given so far. */
  readonly text: string
  /** A stop text came, or a token that one names. */
  readonly isStopped: boolean
  /** The prompt as its tokens read, without what those behind it changed at its end. */
  prompt(): string
}

/** Is told of the tokens themselves. */
export interface TokenFollower<Id> {
  /** As of a streamer, before anything is made of them. */
  put(rows: readonly (readonly Id[])[]): void
  /** Of so many tokens, those after the ones told of before, the text that each adds. None is told of the last where they add nothing. */
  read(texts: readonly string[]): void
}

interface WrittenTextOptions<Id> {
  stops: readonly string[]
  /** Tokens that end it too: those which a stop text names and which stand for no text. */
  stopIds?: ReadonlySet<Id> | undefined
  onText?: ((piece: string) => void) | undefined
  follower?: TokenFollower<Id> | undefined
  /** Called when one came. */
  onStop?: (() => void) | undefined
}

export function createWrittenText<Id>(
  decoder: Decoder<Id>,
  { stops, stopIds, onText, follower, onStop }: WrittenTextOptions<Id>,
): WrittenText<Id> {
  let text = ''
  const ids: Id[] = []
  let prompted: number | undefined
  let isStoppedByToken = false
  const stopText = createStopText(stops, (piece) => {
    text += piece
    onText?.(piece)
  })
  const stream = createTextStream(decoder, (piece, split) => {
    follower?.read(split())
    stopText.give(piece)
    if (stopText.isStopped) onStop?.()
  })

  const decode = (some: Id[]): string => decoder.decode(some, { skip_special_tokens: true })

  function end(): void {
    if (isStoppedByToken) return
    stream.end()
    stopText.end()
  }

  return {
    get text() {
      return text
    },
    get isStopped() {
      return isStoppedByToken || stopText.isStopped
    },
    prompt() {
      const prompt = decode(ids.slice(0, prompted))
      return prompt.slice(0, sharedLength(prompt, decode(ids)))
    },
    put([row = []]) {
      if (isStoppedByToken) return
      follower?.put([row])
      const at = prompted === undefined ? -1 : row.findIndex((id) => stopIds?.has(id))
      const read = at === -1 ? row : row.slice(0, at)
      ids.push(...read)
      prompted ??= ids.length
      stream.put([read])
      if (at === -1) return
      end()
      isStoppedByToken = true
      onStop?.()
    },
    end,
  }
}

/** Those that the parameters of a task name. */
export const stopsIn = ({ stop }: Readonly<Record<string, unknown>>): string[] | undefined =>
  Array.isArray(stop) ? stop.map(String) : undefined

/** What a task gives that writes a text: as the library has it, after the prompt where that is asked for. */
export function generatedFrom(
  input: CanonicalInput,
  params: Params,
  prompt: string,
  text: string,
): { generated_text: OutputValue } {
  if (input.kind === 'chat') {
    return {
      generated_text: [...input.messages.map((message) => ({ ...message })), { role: 'assistant', content: text }],
    }
  }
  const isWhole = input.kind === 'text' && params['return_full_text'] !== false
  return { generated_text: isWhole ? prompt + text : text }
}
