import { InvalidInputError } from '@x/cid'
import {
  TASKS,
  type CanonicalInput,
  type ChatMessage,
  type InputKind,
  type TaskInputKind,
  type TaskName,
  type ToolChat,
} from '@x/infer-core'

import { readChat } from './chat-input.ts'
import { bytesIn, type Reserve } from './input-bytes.ts'

/** The bytes of a file; in Node also a path or a `file:` URL. */
export type FileInput = string | URL | Uint8Array | Blob

/** What each kind of input is given as. */
export interface TaskInputs {
  text: string
  /** With the tools that the model may call, where its template takes any. */
  chat: readonly ChatMessage[] | ToolChat
  pair: { text: string; text_pair: string }
  /** Encoded: PNG, JPEG, WebP, ... */
  image: FileInput
  /** A WAV file; or samples of -1 to 1, at the model's rate. */
  audio: FileInput | Float32Array<ArrayBuffer>
  question: { question: string; context: string }
  document: { question: string; image: FileInput }
  /** A prompt of the model's own kind, or a text for its chat template. */
  prompt: { text: string; image: FileInput }
  ranking: { query: string; documents: readonly string[] }
  /** The voice as the model wants it; or a file of it, of float32 in little-endian order. */
  speech: { text: string; voice: FileInput | Float32Array<ArrayBuffer> }
}

/** One input of a task. */
export type TaskInput<Name extends TaskName = TaskName> = TaskInputs[TaskInputKind<Name>]

/** Where what is given as a path or a URL comes from. @throws {InvalidInputError} Nothing is read from there. */
export type ReadFile = (
  from: string | URL,
  options: { signal: AbortSignal | undefined; reserve: Reserve },
) => Promise<Uint8Array>

export interface ReadingOptions {
  /** Of the model, hertz; `undefined` when the task takes no sound. */
  sampleRate: number | undefined
  readFile: ReadFile
  signal?: AbortSignal | undefined
  /** Told how many bytes there are before they are copied or read, a file's once its size is known. Default: nobody is. */
  reserve?: Reserve | undefined
}

interface Reading {
  task: TaskName
  sampleRate: number | undefined
  signal: AbortSignal | undefined
  reserve: Reserve
  readFile: ReadFile
}

/**
 * Reads one input so far that it can be identified. Nothing is decoded yet. What is given is copied: it is hashed now and run
 * later, and the caller may use its memory again.
 *
 * @throws {InvalidInputError} Not what the task takes, or a URL: nothing is fetched.
 * @throws What `readFile` does.
 */
export async function readInput(
  task: TaskName,
  input: unknown,
  { sampleRate, readFile, signal, reserve = () => undefined }: ReadingOptions,
): Promise<CanonicalInput> {
  const { inputs: kinds, streams } = TASKS[task]
  // The library fails on a prompt without tokens.
  if (streams && input === '') throw new InvalidInputError(`${task} needs a text; this one is empty`, { input: '' })
  reserve(bytesIn(input))
  for (const kind of kinds) {
    const read = await READERS[kind](input, { task, sampleRate, signal, reserve, readFile })
    if (read !== undefined) return read
  }
  throw wrongKind(task, kinds, input)
}

type Reader = (input: unknown, reading: Reading) => CanonicalInput | undefined | Promise<CanonicalInput | undefined>

/** `undefined`: the input is of another kind. */
const READERS: Readonly<Record<InputKind, Reader>> = {
  text: (input) => (typeof input === 'string' ? { kind: 'text', text: input } : undefined),
  chat: (input, { reserve }) => readChat(input, reserve),
  async image(input, reading) {
    return isFile(input) ? { kind: 'image', bytes: await readBytes(input, reading) } : undefined
  },
  async audio(input, reading) {
    const { sampleRate } = reading
    if (isSamples(input) && sampleRate !== undefined) return { kind: 'samples', samples: input.slice(), sampleRate }
    return isFile(input) ? { kind: 'audio', bytes: await readBytes(input, reading) } : undefined
  },
  pair(input) {
    const { text, text_pair } = partsOf(input, ['text', 'text_pair'])
    return typeof text === 'string' && typeof text_pair === 'string' ? { kind: 'pair', text, text_pair } : undefined
  },
  question(input, { task }) {
    const { question, context } = partsOf(input, ['question', 'context'])
    if (typeof question !== 'string' || typeof context !== 'string') return undefined
    assertFilled(task, { question, context })
    return { kind: 'question', question, context }
  },
  async document(input, reading) {
    const { question, image } = partsOf(input, ['question', 'image'])
    if (typeof question !== 'string' || !isFile(image)) return undefined
    assertFilled(reading.task, { question })
    return { kind: 'document', question, bytes: await readBytes(image, reading) }
  },
  async prompt(input, reading) {
    const { text, image } = partsOf(input, ['text', 'image'])
    if (typeof text !== 'string' || !isFile(image)) return undefined
    assertFilled(reading.task, { text })
    return { kind: 'prompt', text, bytes: await readBytes(image, reading) }
  },
  ranking(input, { task }) {
    const { query, documents } = partsOf(input, ['query', 'documents'])
    if (typeof query !== 'string' || !isTexts(documents)) return undefined
    assertFilled(task, { query, documents })
    return { kind: 'ranking', query, documents: [...documents] }
  },
  async speech(input, reading) {
    const { text, voice } = partsOf(input, ['text', 'voice'])
    if (typeof text !== 'string') return undefined
    assertFilled(reading.task, { text })
    if (isSamples(voice)) return { kind: 'speech', text, voice: voice.slice() }
    return isFile(voice) ? { kind: 'speech', text, voice: floats(await readBytes(voice, reading)) } : undefined
  },
}

const isSamples = (input: unknown): input is Float32Array<ArrayBuffer> => input instanceof Float32Array

const isFile = (input: unknown): input is FileInput =>
  typeof input === 'string' || input instanceof URL || input instanceof Uint8Array || input instanceof Blob

const isTexts = (value: unknown): value is readonly string[] =>
  Array.isArray(value) && value.every((item) => typeof item === 'string')

/** The parts of an object that has these and no others; else none. */
function partsOf(input: unknown, names: readonly string[]): Record<string, unknown> {
  if (typeof input !== 'object' || input === null) return {}
  const parts = Object.entries(input)
  return parts.length === names.length && parts.every(([name]) => names.includes(name)) ? Object.fromEntries(parts) : {}
}

function assertFilled(task: TaskName, parts: Readonly<Record<string, string | readonly string[]>>): void {
  for (const [name, { length }] of Object.entries(parts))
    if (length === 0) throw new InvalidInputError(`${task}: ${name} is empty`, { input: name })
}

function floats(bytes: Uint8Array): Float32Array {
  if (bytes.length === 0 || bytes.length % 4 !== 0) {
    throw new InvalidInputError(`a voice of ${bytes.length} bytes is no list of float32`, { input: 'voice' })
  }
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  return Float32Array.from({ length: bytes.length / 4 }, (_, index) => view.getFloat32(index * 4, true))
}

async function readBytes(input: FileInput, { readFile, signal, reserve }: Reading): Promise<Uint8Array> {
  // A copy even of a Buffer, whose own `slice` makes none.
  if (input instanceof Uint8Array) return Uint8Array.from(input)
  if (!(input instanceof Blob)) return readFile(input, { signal, reserve })
  reserve(input.size)
  return new Uint8Array(await input.arrayBuffer())
}

/** As a user would write it. */
const WRITTEN: Readonly<Record<InputKind, string>> = {
  text: 'text',
  chat: 'chat',
  image: 'image',
  audio: 'audio',
  pair: '{ text, text_pair }',
  question: '{ question, context }',
  document: '{ question, image }',
  prompt: '{ text, image }',
  ranking: '{ query, documents }',
  speech: '{ text, voice }',
}

function wrongKind(task: TaskName, kinds: readonly InputKind[], input: unknown): InvalidInputError {
  const wanted = kinds.map((kind) => WRITTEN[kind]).join(' or ')
  const given = nameOf(input)
  return new InvalidInputError(`${task} takes ${wanted}, not ${given}`, { input: given })
}

function nameOf(input: unknown): string {
  if (typeof input !== 'object' || input === null) return typeof input
  const prototype: unknown = Object.getPrototypeOf(input)
  if (prototype !== Object.prototype && prototype !== null) return input.constructor.name
  const parts = Object.entries(input).map(([name, value]: [string, unknown]) =>
    typeof value === 'string' ? name : `${name}: ${Array.isArray(value) ? 'list' : typeof value}`,
  )
  return `{ ${parts.join(', ')} }`
}
