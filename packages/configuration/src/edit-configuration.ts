import { isDeepStrictEqual } from 'node:util'

import { InvalidInputError } from '@x/storage-core'
import { parse, stringify } from 'smol-toml'

import { shownPath } from './complaints.ts'
import { holds, lineOf, type KeyPath } from './line-of.ts'
import { parseConfiguration, parseToml, tomlOf } from './parse-configuration.ts'
import { headersOf, spanOf } from './statements.ts'

/** One key and what it is to say. */
export interface Assignment {
  /** As TOML writes it: `gates.kubo`, `endpoints.lab.url`, `endpoints."my lab".url`. */
  key: string
  /** As TOML writes it, or a text alone: `off`, `"off"`, `true`, `["a", "b"]`. */
  value: string
}

/**
 * What a key of a configuration says; `undefined`: it is not there.
 *
 * @param file - For errors.
 * @throws {InvalidInputError} `key` is no key, or the text is no configuration.
 */
export function readKey(text: string, file: string, key: string): unknown {
  const path = pathOf(key)
  parseConfiguration(text, file)
  return path.reduce<unknown>(
    (value, each) => (isTable(value) && Object.hasOwn(value, each) ? value[each] : undefined),
    parseToml(text),
  )
}

/**
 * The text with keys set; comments, order and all other lines stay as they are.
 *
 * @param file - For errors.
 * @throws {InvalidInputError} What it would say is no configuration, a secret in it for one; or the key stands where it cannot be changed by
 *   line, inside a table on one line. No value is in the message.
 */
export function withKeys(text: string, file: string, assignments: readonly Assignment[]): string {
  tomlOf(text, file)
  // Most words are no TOML and so texts. What is TOML may be meant as a text: a model that is called 123.
  const tries = [valueOf, (value: string): unknown => value]
  const errors: unknown[] = []
  for (const read of tries) {
    try {
      const edited = assignments.reduce((before, { key, value }) => set(before, file, pathOf(key), read(value)), text)
      parseConfiguration(edited, `${file} (as it would be)`)
      return edited
    } catch (error) {
      errors.push(error)
    }
  }
  throw errors[0]
}

/**
 * The text without a key, or without a table and what is below it; `undefined`: it is not there.
 *
 * @throws As `withKeys`.
 */
export function withoutKey(text: string, file: string, key: string): string | undefined {
  const path = pathOf(key)
  const document = tomlOf(text, file)
  if (!holds(document, path)) return undefined
  const lines = text.split('\n')
  const wanted = removed(document, path)
  // A comment below the last statement may be about the next table.
  const sections = headersOf(lines).flatMap(({ path: at, start, lastStatement }) =>
    isWithin(at, path) ? [{ start, end: lastStatement + 1 }] : [],
  )
  const spans = sections.length > 0 ? sections : [spanOf(lines, lineOf(parseToml, text, path) - 1)]
  const edited = lines
    .filter((_line, index) => !spans.some(({ start, end }) => index >= start && index < end))
    .join('\n')
  if (!says(edited, wanted) && !says(edited, withoutEmpty(wanted, path.slice(0, -1)))) throw byHand(text, file, path)
  parseConfiguration(edited, `${file} (as it would be)`)
  return edited
}

type Table = Record<string, unknown>

const isTable = (value: unknown): value is Table =>
  typeof value === 'object' && value !== null && !Array.isArray(value) && !(value instanceof Date)

const isWithin = (path: KeyPath, above: KeyPath): boolean => above.every((key, index) => path[index] === key)

/** @throws {InvalidInputError} It is no key as TOML writes one. */
function pathOf(key: string): string[] {
  const path: string[] = []
  try {
    if (/[\n\r#]/.test(key)) throw new SyntaxError('more than a key')
    let value: unknown = parse(`${key} = 0`, { unsafeKeyBehaviour: 'throw' })
    while (isTable(value)) {
      const [only = '', ...others] = Object.keys(value)
      if (others.length > 0) throw new SyntaxError('more than a key')
      path.push(only)
      value = value[only]
    }
    if (value !== 0) throw new SyntaxError('more than a key')
  } catch {
    // The parser's error shows the text, which may be a secret in the wrong place.
    throw new InvalidInputError('that is no key; write it as gates.kubo or endpoints.NAME.url', { input: 'key' })
  }
  return path
}

function valueOf(text: string): unknown {
  try {
    if (/[\n\r]/.test(text)) return text
    const { x, ...others } = parse(`x = ${text}`)
    return Object.keys(others).length > 0 || x === undefined ? text : x
  } catch {
    return text
  }
}

/** As the right side of a statement. */
function written(path: KeyPath, value: unknown): string {
  if (isTable(value)) throw new InvalidInputError(`${shownPath(path)}: is a table; set its keys`, { input: 'value' })
  return stringify({ x: value }).trim().slice('x = '.length)
}

const keyText = (keys: readonly string[]): string =>
  keys.map((key) => (/^[A-Za-z0-9_-]+$/.test(key) ? key : JSON.stringify(key))).join('.')

function set(text: string, file: string, path: readonly string[], value: unknown): string {
  const document = parseToml(text)
  const wanted = assigned(document, path, value)
  const said = written(path, value)
  const candidates = holds(document, path) ? replacements(text, path, said) : insertions(text, path, said)
  const edited = candidates.find((candidate) => says(candidate, wanted))
  if (edited === undefined) throw byHand(text, file, path)
  return edited
}

/** Whether it is a document that says just this. */
function says(text: string, wanted: unknown): boolean {
  try {
    // The parser's objects have another prototype than those that are made of them here.
    return isDeepStrictEqual(structuredClone(parseToml(text)), structuredClone(wanted))
  } catch {
    return false
  }
}

const byHand = (text: string, file: string, path: KeyPath): InvalidInputError =>
  new InvalidInputError(
    `${file}:${lineOf(parseToml, text, path)}: ${shownPath(path)}: stands where it cannot be changed by line; edit it by hand`,
    { input: file },
  )

function replacements(text: string, path: KeyPath, said: string): string[] {
  const lines = text.split('\n')
  const { start, end } = spanOf(lines, lineOf(parseToml, text, path) - 1)
  const [line = ''] = lines.slice(start, end)
  const [head = ''] = /^[^=]*=[ \t]*/.exec(line) ?? []
  // Where a value on one line has a `#` too, the comment is the longest rest that leaves a statement.
  const rests = [...line.matchAll(/[ \t]*#/g)].map(({ index }) => line.slice(index))
  const comment = rests.find((rest) => end - start === 1 && isStatement(line.slice(0, line.length - rest.length))) ?? ''
  const carriage = line.endsWith('\r') && comment === '' ? '\r' : ''
  return [[...lines.slice(0, start), `${head}${said}${comment}${carriage}`, ...lines.slice(end)].join('\n')]
}

function isStatement(line: string): boolean {
  try {
    return Object.keys(parse(line)).length === 1
  } catch {
    return false
  }
}

function insertions(text: string, path: readonly string[], said: string): string[] {
  const table = path.slice(0, -1)
  const lines = text.split('\n')
  const carriage = text.includes('\r\n') ? '\r' : ''
  const after = (index: number, line: string): string =>
    [...lines.slice(0, index), `${line}${carriage}`, ...lines.slice(index)].join('\n')
  const header = headersOf(lines).find(({ path: at }) => isDeepStrictEqual(at, table))
  const own = header && after(header.lastStatement + 1, `${keyText(path.slice(-1))} = ${said}`)
  const end = text === '' || text.endsWith('\n') ? text : `${text}${carriage}\n`
  const gap = text === '' ? '' : `${carriage}\n`
  const appended = `${end}${gap}[${keyText(table)}]${carriage}\n${keyText(path.slice(-1))} = ${said}${carriage}\n`
  // A table that dotted keys made cannot have a header too.
  const [first = ''] = path
  const line = holds(parseToml(text), [first]) ? lineOf(parseToml, text, [first]) - 1 : 0
  const dotted = after(spanOf(lines, line).end, `${keyText(path)} = ${said}`)
  return [...(own === undefined ? [] : [own]), appended, dotted]
}

function assigned(document: unknown, [key = '', ...rest]: readonly string[], value: unknown): Table {
  const table = isTable(document) ? document : {}
  return { ...table, [key]: rest.length === 0 ? value : assigned(table[key], rest, value) }
}

function removed(document: unknown, [key = '', ...rest]: readonly string[]): Table {
  const { [key]: below, ...others } = isTable(document) ? document : {}
  return rest.length === 0 ? others : { ...others, [key]: removed(below, rest) }
}

/** The table that `[a.b]` makes of `a` goes with it. */
function withoutEmpty(document: unknown, [key = '', ...rest]: readonly string[]): Table {
  const { [key]: below, ...others } = isTable(document) ? document : {}
  const left = rest.length === 0 ? below : withoutEmpty(below, rest)
  return isTable(left) && Object.keys(left).length === 0 ? others : { ...others, [key]: left }
}
