import { readFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'

import { InvalidInputError } from '@x/cid'
import { TASKS, type CanonicalInput, type ChatMessage, type InputKind, type TaskName } from '@x/infer-core'
import { BackendError, NotFoundError } from '@x/storage-core'

/**
 * One input. Text for a text task, or a chat for text-generation. For an image its encoded bytes (PNG, JPEG, WebP, ...),
 * for sound the bytes of a WAV file, or for either a path or a `file:` URL. Samples are sound at the model's rate.
 */
export type TaskInput = string | URL | readonly ChatMessage[] | Uint8Array | Float32Array<ArrayBuffer>

/**
 * Reads one input so far that it can be identified. Nothing is decoded yet.
 *
 * @param sampleRate - Of the model, hertz; `undefined` when the task takes no sound.
 * @throws {InvalidInputError} Not what the task takes, or a URL: nothing is fetched.
 * @throws {NotFoundError} There is no such file.
 */
export async function readInput(
  task: TaskName,
  input: TaskInput,
  sampleRate: number | undefined,
  signal?: AbortSignal,
): Promise<CanonicalInput> {
  const kinds = TASKS[task].inputs
  if (task === 'text-generation' && input === '') {
    throw new InvalidInputError('text-generation needs a prompt; this one is empty', { input: '' })
  }
  if (typeof input === 'string' && kinds.includes('text')) return { kind: 'text', text: input }
  if (isChat(input) && kinds.includes('chat')) return { kind: 'chat', messages: input }
  if (input instanceof Float32Array && kinds.includes('audio') && sampleRate !== undefined) {
    return { kind: 'samples', samples: input, sampleRate }
  }
  const kind = kinds.find((candidate) => candidate === 'image' || candidate === 'audio')
  if (kind === undefined) throw wrongKind(task, kinds, input)
  if (input instanceof Uint8Array) return { kind, bytes: input }
  if (typeof input === 'string' || input instanceof URL) return { kind, bytes: await readLocalFile(input, signal) }
  throw wrongKind(task, kinds, input)
}

async function readLocalFile(input: string | URL, signal: AbortSignal | undefined): Promise<Uint8Array> {
  const path = toPath(input)
  try {
    return await readFile(path, { signal })
  } catch (cause) {
    signal?.throwIfAborted()
    const code = typeof cause === 'object' && cause !== null && 'code' in cause ? cause.code : undefined
    if (code === 'ENOENT') throw new NotFoundError(path, { message: `input ${path}: there is no such file`, cause })
    if (code === 'EISDIR') throw new InvalidInputError(`input ${path} is a directory`, { input: path, cause })
    throw new BackendError(`input ${path} cannot be read`, { cause, retryable: false })
  }
}

function toPath(input: string | URL): string {
  const text = String(input)
  if (/^file:/i.test(text)) return fileURLToPath(text)
  // Two letters at least: one is a Windows drive.
  if (/^[a-z][a-z0-9+.-]+:/i.test(text)) {
    throw new InvalidInputError(`input ${text.slice(0, 80)}: nothing is fetched; give a file or its bytes`, {
      input: text,
    })
  }
  return text
}

const isChat = (input: TaskInput): input is readonly ChatMessage[] =>
  Array.isArray(input) &&
  input.length > 0 &&
  input.every(
    (message: unknown) =>
      typeof message === 'object' &&
      message !== null &&
      'role' in message &&
      'content' in message &&
      typeof message.role === 'string' &&
      typeof message.content === 'string',
  )

function wrongKind(task: TaskName, kinds: readonly InputKind[], input: unknown): InvalidInputError {
  const given = typeof input === 'object' && input !== null ? input.constructor.name : typeof input
  return new InvalidInputError(`${task} takes ${kinds.join(' or ')}, not ${given}`, { input: given })
}
