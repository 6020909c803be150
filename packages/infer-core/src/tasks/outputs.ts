import { list, number, optional, record, tensor, text, type Shape } from '../shape.ts'
import type { Tensor } from '../tensor.ts'

/** The likeliest first. */
export type Labels = { label: string; score: number }[]

export const labels: Shape<Labels> = list(record({ label: text, score: number }))

/** A message of a chat. */
export type Message = { role: string; content: string }

export const message: Shape<Message> = record({ role: text, content: text })

/**
 * A token that a model may write; `token` what it adds to the text, and `logprob` the natural logarithm of its probability, a float32.
 * `bytes` are there where they are the UTF-8 of no text, because a character has several tokens.
 */
export type LikelyToken = { token: string; id: number; logprob: number; bytes?: number[] | undefined }

/** One that was written, and the likeliest at its place, the likeliest first. */
export type TokenLogprob = LikelyToken & { top: LikelyToken[] }

/**
 * A text that a model wrote; with `top_logprobs` each of its tokens, without the one that ended it. Their `token` make together what was
 * written behind the prompt; that of an image lacks the space which may be before it.
 */
export type Written<Text> = { generated_text: Text; logprobs?: TokenLogprob[] | undefined }

const likely = { token: text, id: number, logprob: number, bytes: optional(list(number)) }

export const written = <Text extends {}>(generated: Shape<Text>): Shape<Written<Text>> => {
  const logprobs: Shape<TokenLogprob[] | undefined> = optional(list(record({ ...likely, top: list(record(likely)) })))
  const shape = record({ generated_text: generated, logprobs })
  return { text: shape.text, is: (value): value is Written<Text> => shape.is(value) }
}

/** Corners in pixels of the image that was given, or as parts of it where the option says so. */
type Box = { xmin: number; ymin: number; xmax: number; ymax: number }

export type Boxes = { label: string; score: number; box: Box }[]

export const boxes: Shape<Boxes> = list(
  record({ label: text, score: number, box: record({ xmin: number, ymin: number, xmax: number, ymax: number }) }),
)

/** Bytes `[height, width, channels]` from the upper left, row by row; one channel is grey, four have alpha last. */
export type Picture = Tensor

export const picture: Shape<Picture> = tensor({ type: 'uint8', dims: ['height', 'width', 'channels'] })
