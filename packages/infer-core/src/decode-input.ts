import { CID, InvalidInputError } from '@x/cid'

import { decodeOutput, type CanonicalInput } from './canonical.ts'
import { parseTool, toChatMessage, type ChatMessage } from './chat.ts'
import { decodeBlock } from './decode-block.ts'
import { fieldsOf } from './fields-of.ts'
import type { Params, ParamValue } from './params.ts'
import { isRawTensors } from './raw-tensors.ts'
import { tensorFromBytes } from './tensor.ts'

/** An input as its block has it: all of it, or the CID of the file that it was. */
export type DecodedInput =
  | Exclude<CanonicalInput, { bytes: Uint8Array }>
  | { kind: 'file'; what: 'image' | 'audio'; cid: CID }

/**
 * The input that `encodeInput` made a block of; the bytes were verified. A file's own bytes are not in it.
 *
 * @throws {InvalidInputError} It is none.
 */
export function decodeInput(bytes: Uint8Array): DecodedInput {
  const fields = decodeBlock('an input', bytes, fieldsOf)
  const { text, text_pair: pair, chat, question, context, query, documents, samples, sampleRate, voice } = fields
  for (const what of ['image', 'audio'] as const) {
    const cid = CID.asCID(fields[what])
    if (cid !== null) return { kind: 'file', what, cid }
  }
  if (typeof text === 'string' && typeof pair === 'string') return { kind: 'pair', text, text_pair: pair }
  if (typeof text === 'string')
    return voice === undefined ? { kind: 'text', text } : { kind: 'speech', text, voice: vector(voice) }
  if (Array.isArray(chat)) return { kind: 'chat', messages: chat.map(toMessage), ...toolsIn(fields.tools) }
  if (typeof question === 'string' && typeof context === 'string') return { kind: 'question', question, context }
  if (typeof query === 'string' && Array.isArray(documents)) {
    return { kind: 'ranking', query, documents: documents.map(String) }
  }
  if (fields.tensors !== undefined) {
    const { tensors } = fieldsOf(decodeOutput(bytes))
    if (isRawTensors(tensors)) return { kind: 'tensors', tensors }
  }
  if (samples !== undefined && typeof sampleRate === 'number') {
    return { kind: 'samples', samples: vector(samples), sampleRate }
  }
  throw refusal('input', Object.keys(fields).join(', ') || 'nothing')
}

/**
 * The parameters that `encodeParams` made a block of; the bytes were verified.
 *
 * @throws {InvalidInputError} They are none.
 */
export function decodeParams(bytes: Uint8Array): Params {
  return Object.fromEntries(
    Object.entries(decodeBlock('parameters', bytes, fieldsOf)).map(([key, value]) => {
      if (isParam(value)) return [key, value]
      throw refusal('parameters', key)
    }),
  )
}

const isParam = (value: unknown): value is ParamValue =>
  ['string', 'number', 'boolean'].includes(typeof value) ||
  (Array.isArray(value) && value.every((item) => typeof item === 'string'))

function vector(value: unknown): Float32Array {
  const { type, dims, data } = fieldsOf(value)
  if (type === 'float32' && Array.isArray(dims) && data instanceof Uint8Array) {
    const { data: numbers } = tensorFromBytes(type, dims.map(Number), data)
    if (numbers instanceof Float32Array) return numbers
  }
  throw refusal('input', 'a tensor that is none')
}

function toMessage(value: unknown): ChatMessage {
  const message = toChatMessage(value)
  if (message) return message
  throw refusal('input', 'a message that is none')
}

function toolsIn(value: unknown): { tools?: readonly string[] } {
  if (value === undefined) return {}
  if (!Array.isArray(value)) throw refusal('input', 'tools that are none')
  const tools = value.map(String)
  for (const tool of tools) parseTool(tool)
  return { tools }
}

const refusal = (what: string, found: string): InvalidInputError =>
  new InvalidInputError(`a block of ${found.slice(0, 80)} is no ${what}`, { input: what })
