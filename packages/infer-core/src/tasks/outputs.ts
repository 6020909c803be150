import { list, number, record, tensor, text, type Shape } from '../shape.ts'
import type { Tensor } from '../tensor.ts'

/** The likeliest first. */
export type Labels = { label: string; score: number }[]

export const labels: Shape<Labels> = list(record({ label: text, score: number }))

/** A message of a chat. */
export type Message = { role: string; content: string }

export const message: Shape<Message> = record({ role: text, content: text })

/** Corners in pixels of the image that was given, or as parts of it where the option says so. */
type Box = { xmin: number; ymin: number; xmax: number; ymax: number }

export type Boxes = { label: string; score: number; box: Box }[]

export const boxes: Shape<Boxes> = list(
  record({ label: text, score: number, box: record({ xmin: number, ymin: number, xmax: number, ymax: number }) }),
)

/** Bytes `[height, width, channels]` from the upper left, row by row; one channel is grey, four have alpha last. */
export type Picture = Tensor

export const picture: Shape<Picture> = tensor({ type: 'uint8', dims: ['height', 'width', 'channels'] })
