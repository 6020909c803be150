import type { KeyPath } from './line-of.ts'
import { parseToml } from './parse-configuration.ts'

/** Lines, from 0, without the last. */
export interface Span {
  start: number
  end: number
}

/** A `[table]`. */
export interface Section {
  path: KeyPath
  start: number
  /** The last line that is neither empty nor a comment. */
  lastStatement: number
}

/** The lines of the statement that begins on one. */
export function spanOf(lines: readonly string[], start: number): Span {
  for (let end = start + 1; end < lines.length; end += 1) if (isDocument(lines.slice(start, end))) return { start, end }
  return { start, end: Math.max(lines.length, start) }
}

/** Every `[table]` of a document, in order. */
export function headersOf(lines: readonly string[]): Section[] {
  const found: Section[] = []
  for (let index = 0; index < lines.length; index = spanOf(lines, index).end) {
    const path = headerPath(lines[index] ?? '')
    const last = found.at(-1)
    if (path !== undefined) found.push({ path, start: index, lastStatement: index })
    if (path === undefined && last && !/^\s*(?:#.*)?$/.test(lines[index] ?? ''))
      last.lastStatement = spanOf(lines, index).end - 1
  }
  return found
}

function isDocument(lines: readonly string[]): boolean {
  try {
    parseToml(`${lines.join('\n')}\n`)
    return true
  } catch {
    return false
  }
}

/** `undefined`: the line is no header of a table. */
function headerPath(line: string): string[] | undefined {
  if (!/^\s*\[(?!\[)/.test(line) || !isDocument([line])) return undefined
  const path: string[] = []
  let value = parseToml(`${line}\n`)
  while (typeof value === 'object' && value !== null) {
    const [only] = Object.keys(value)
    if (only === undefined) return path
    path.push(only)
    value = Reflect.get(value, only)
  }
  return undefined
}
