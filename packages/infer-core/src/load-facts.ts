import { encodeDagCbor, InvalidInputError, type Block } from '@x/cid'

import { decodeBlock } from './decode-block.ts'

/** What loading a model found out, as it is kept under `encodeLoadKey`: with it results are looked up without loading the model. */
export interface LoadFacts {
  /** Paths of the files that a run reads. */
  files: readonly string[]
  /** What its last run was on. */
  executionProvider: string
  /** Which variant is run, by session; the files of that; and why that one. */
  dtype: { dtype: Readonly<Record<string, string>>; files: readonly string[]; reason: string }
  /** Why the same input may have another result each time; `undefined`: it has not. */
  random: string | undefined
}

/** `{ files: [path], executionProvider, dtype: { dtype: { session: name }, files: [path], reason }, random: text or null }`. */
export function encodeLoadFacts({ files, executionProvider, dtype, random }: LoadFacts): Promise<Block> {
  return encodeDagCbor({
    files: [...files],
    executionProvider,
    dtype: { dtype: { ...dtype.dtype }, files: [...dtype.files], reason: dtype.reason },
    random: random ?? null,
  })
}

/**
 * What `encodeLoadFacts` made a block of; the bytes were verified.
 *
 * @throws {InvalidInputError} It is none.
 */
export function decodeLoadFacts(bytes: Uint8Array): LoadFacts {
  return decodeBlock('what loading a model found out', bytes, (value) => {
    const { files, executionProvider, dtype, random } = fieldsOf(value)
    const { dtype: bySession, files: ofDtype, reason } = fieldsOf(dtype)
    return {
      files: textsIn(files, 'files'),
      executionProvider: textIn(executionProvider, 'executionProvider'),
      dtype: {
        dtype: Object.fromEntries(
          Object.entries(fieldsOf(bySession)).map(([session, name]) => [session, textIn(name, `dtype ${session}`)]),
        ),
        files: textsIn(ofDtype, 'the files of dtype'),
        reason: textIn(reason, 'the reason of dtype'),
      },
      random: random === null ? undefined : textIn(random, 'random'),
    }
  })
}

function fieldsOf(value: unknown): Record<string, unknown> {
  if (typeof value === 'object' && value !== null && !Array.isArray(value))
    return Object.fromEntries(Object.entries(value))
  throw refusal('there is no map where one is wanted')
}

function textIn(value: unknown, what: string): string {
  if (typeof value === 'string') return value
  throw refusal(`${what} is no text`)
}

function textsIn(value: unknown, what: string): string[] {
  if (Array.isArray(value)) return value.map((item: unknown) => textIn(item, `one of ${what}`))
  throw refusal(`${what} is no list`)
}

const refusal = (why: string): InvalidInputError =>
  new InvalidInputError(`not what loading a model found out: ${why}`, { input: 'facts' })
