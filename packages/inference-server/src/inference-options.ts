import { InvalidInputError } from '@x/storage-core'

import type { Admit } from './admit.ts'

export interface InferenceHandlerOptions {
  /** The longest JSON body of a request; it is read whole, and parsed in one go. Bytes. Default 8_388_608. */
  maxBodyBytes?: number | undefined
  /** The longest body of a request whose tensors are binary. Bytes. Default 67_108_864. */
  maxTensorBytes?: number | undefined
  /**
   * Of bodies that are held at a time, from when they come until they are answered; twice their length, for what is made of them. More are 429.
   * Bytes. Default 536_870_912.
   */
  maxBodiesBytes?: number | undefined
  /** Of one who asks. Default 268_435_456. */
  maxBodiesBytesPerCaller?: number | undefined
  /** Of the program that serves, for clients that ask. Default: it is not said. */
  version?: string | undefined
  /** How long a client may send nothing of a body that it promised. Default 30_000. */
  stallTimeoutMs?: number | undefined
  /** How long a request may take, with its answer. Default 600_000. */
  deadlineMs?: number | undefined
  /**
   * Of one text, in UTF-16 code units. Longer ones are refused before they are made tokens, in which a thread does nothing else for
   * seconds. Default 400_000.
   */
  maxTextCharacters?: number | undefined
  /** Texts of one request at most. Default 2048. */
  maxInputs?: number | undefined
  /** Texts of one request that are handed on at a time; the others wait here. Default 64. */
  windowInputs?: number | undefined
  /** Prompts of one request of completions. Default 32. */
  maxPrompts?: number | undefined
  /** Tokens of an answer in a chat whose request says no number. Default 1024. */
  defaultMaxTokens?: number | undefined
  /** How long a streamed answer waits for its first piece before its headers are sent, after which an error has no status. Default 10_000. */
  firstPieceMs?: number | undefined
  /** How long a client may read nothing of a streamed answer that there is for it. 0: any time. Default 60_000. */
  readTimeoutMs?: number | undefined
  /** UTF-16 code units of a streamed answer that may wait for the client to read them. Default 1_048_576. */
  maxUnreadCharacters?: number | undefined
  /** Asked once the route is known, before anything is read. Default: everybody is let in, as `anonymous`. */
  admit?: Admit | undefined
  /** Called once for each request, when it has its answer, a streamed one to its end. Not to throw. */
  onRequest?: ((event: InferenceRequestEvent) => void) | undefined
}

/** What became of one request. Nothing of what was sent or answered is in it. */
export interface InferenceRequestEvent {
  /** What the answer's `x-request-id` says. */
  id: string
  method: string
  /** As in the URL, percent-encoded, without its query. */
  path: string
  /** Of those that there are, as its table has it; `undefined`: none. */
  route?: string | undefined
  /** `undefined`: the client went away before there was an answer. */
  status: number | undefined
  /** The CID of the model that was asked for. */
  model?: string | undefined
  durationMs: number
  outcome: 'finished' | 'cancelled' | 'failed'
  /** What was behind an error. Its message may name local paths. */
  error?: unknown
}

export type Limits = Readonly<Record<(typeof NAMES)[number], number>>

const NAMES = [
  'maxBodyBytes',
  'maxTensorBytes',
  'maxBodiesBytes',
  'maxBodiesBytesPerCaller',
  'stallTimeoutMs',
  'deadlineMs',
  'maxTextCharacters',
  'maxInputs',
  'windowInputs',
  'maxPrompts',
  'defaultMaxTokens',
  'firstPieceMs',
  'readTimeoutMs',
  'maxUnreadCharacters',
] as const

const DEFAULTS: Limits = {
  maxBodyBytes: 8 * 2 ** 20,
  maxTensorBytes: 64 * 2 ** 20,
  maxBodiesBytes: 512 * 2 ** 20,
  maxBodiesBytesPerCaller: 256 * 2 ** 20,
  stallTimeoutMs: 30_000,
  deadlineMs: 600_000,
  maxTextCharacters: 400_000,
  maxInputs: 2048,
  windowInputs: 64,
  maxPrompts: 32,
  defaultMaxTokens: 1024,
  firstPieceMs: 10_000,
  readTimeoutMs: 60_000,
  maxUnreadCharacters: 2 ** 20,
}

/** A timer that is set for longer goes off at once. Milliseconds. */
const LONGEST_TIMER = 2 ** 31 - 1

/** @throws {InvalidInputError} One is no whole number from 1 (0: any time to read), or a time that no timer takes. */
export function toLimits(options: InferenceHandlerOptions): Limits {
  const limits = { ...DEFAULTS }
  for (const name of NAMES) {
    const given = options[name]
    if (given === undefined) continue
    const least = name === 'readTimeoutMs' ? 0 : 1
    const most = name.endsWith('Ms') ? LONGEST_TIMER : Number.MAX_SAFE_INTEGER
    if (!Number.isSafeInteger(given) || given < least || given > most) {
      throw new InvalidInputError(`${name} ${given} is no whole number from ${least} to ${most}`, {
        input: String(given),
      })
    }
    limits[name] = given
  }
  return limits
}
