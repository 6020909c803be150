import { InvalidInputError } from '@x/storage-core'
import { parse, TomlError } from 'smol-toml'

import { complaintsOf, shownPath, wordsOf } from './complaints.ts'
import { lineOf, type KeyPath } from './line-of.ts'
import { SCHEMA, type Said } from './schema.ts'

/** What a file says, and where. */
export interface Parsed {
  readonly file: string
  readonly said: Said
  /** `file:line` of a key of it. */
  readonly place: (path: KeyPath) => string
  /** An error about a key of it: `file:line: key: what`. */
  readonly complain: (path: KeyPath, what: string) => InvalidInputError
}

/** TOML 1.0, of which nothing may shadow what every object has. @throws {TomlError} */
export const parseToml = (text: string): unknown =>
  parse(text, { unsafeKeyBehaviour: 'throw', maxDepth: 16, useLegacyDate: true })

/**
 * @param file - For errors.
 * @throws {InvalidInputError} It is no TOML, or says what no configuration does. The message names file and line, the key, and what is wrong,
 *   and never shows the value.
 */
export function parseConfiguration(text: string, file: string): Parsed {
  const document = tomlOf(text, file)
  const place = (path: KeyPath): string => `${file}:${lineOf(parseToml, text, path)}`
  const complain = (path: KeyPath, what: string): InvalidInputError =>
    new InvalidInputError(`${place(path)}: ${shownPath(path)}: ${what}`, { input: file })
  const checked = SCHEMA.safeParse(document, { error: wordsOf })
  if (checked.success) return { file, said: checked.data, place, complain }
  const [first] = checked.error.issues
    .flatMap(complaintsOf)
    .map((complaint) => ({ ...complaint, line: lineOf(parseToml, text, complaint.path) }))
    .toSorted((a, b) => a.line - b.line)
  if (!first) throw checked.error
  throw complain(first.path, first.what)
}

/**
 * What a text says, as TOML alone.
 *
 * @throws {InvalidInputError} It is none; with file and line.
 */
export function tomlOf(text: string, file: string): unknown {
  try {
    return parseToml(text)
  } catch (error) {
    if (!(error instanceof TomlError)) throw error
    // Its other lines show the text, which may have a secret in it, and so is the error itself no cause.
    const [what = ''] = error.message.replace('Invalid TOML document: ', '').split('\n')
    throw new InvalidInputError(`${file}:${error.line}: ${what}`, { input: file })
  }
}
