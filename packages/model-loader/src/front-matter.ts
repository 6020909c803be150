/** The value of a field: text, or a list's items that are text. `undefined`: something else. */
export type FrontMatterValue = string | string[] | undefined

/** `key:`, `"key":` or `'key':` at the beginning of a line. */
const FIELD = /^(?:(["'])([\w-]+)\1|([\w-]+))[ \t]*:(?:[ \t](.*))?$/
/** What is text only in quotes: YAML 1.2's core schema. */
const NOT_TEXT =
  /^(?:~|null|Null|NULL|true|True|TRUE|false|False|FALSE|[-+]?\d+|0o[0-7]+|0x[\da-fA-F]+|[-+]?(?:\.\d+|\d+(?:\.\d*)?)(?:[eE][-+]?\d+)?|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN))$/
/** No plain scalar begins with these; `-`, `?` and `:` only before a space. */
const NOT_PLAIN = /^(?:[[\]{},#&*!|>%@`"']|[-?:](?:\s|$))/

/**
 * Reads fields at the top of a model card's YAML: texts, and lists of texts, in any of YAML's styles. Whatever else a field
 * has (maps, lists in lists, aliases, types) is left out, and no other field is looked into.
 *
 * A stranger wrote it: parsers of all of YAML nest, and take minutes for a kilobyte. Here nothing nests, and each
 * character is read a fixed number of times.
 *
 * @param yaml - What stands between the lines `---`.
 */
export function readFrontMatter(yaml: string, names: readonly string[]): Record<string, FrontMatterValue> {
  const found = new Map<string, string[]>()
  let lines: string[] | undefined
  for (const line of yaml.split(/\r\n|\r|\n/)) {
    const [isField, , quoted, bare, rest = ''] = FIELD.exec(line) ?? []
    const name = quoted ?? bare ?? ''
    if (isField !== undefined) {
      lines = [rest]
      // Of two the last counts.
      if (names.includes(name)) found.set(name, lines)
    } else if (line === '' || /^[ \t#\]-]/.test(line)) lines?.push(line)
    else lines = undefined
  }
  return Object.fromEntries(Array.from(found, ([name, value]) => [name, valueOf(value)]))
}

function valueOf([first = '', ...below]: string[]): FrontMatterValue {
  if (!isNothing(first))
    return first.trimStart().startsWith('[') ? flowList([first, ...below]) : scalar([first, ...below])
  const at = below.findIndex((line) => !isNothing(line))
  const start = below[at]
  if (start === undefined) return undefined
  if (/^ *-(?:[ \t]|$)/.test(start)) return blockList(below.slice(at))
  return start.trimStart().startsWith('[') ? flowList(below.slice(at)) : scalar(below.slice(at))
}

/** Blank, or a comment. */
const isNothing = (line: string): boolean => /^[ \t]*(?:#|$)/.test(line)

const indentOf = (line: string): number => line.length - line.trimStart().length

function blockList(lines: readonly string[]): string[] | undefined {
  const indent = indentOf(lines[0] ?? '')
  const items: string[][] = []
  for (const line of lines) {
    if (indentOf(line) === indent && /^-(?:[ \t]|$)/.test(line.slice(indent))) items.push([line.slice(indent + 1)])
    else if (isNothing(line) || indentOf(line) > indent) items.at(-1)?.push(line)
    else return undefined
  }
  return items.map((item) => scalar(item)).filter((item) => item !== undefined)
}

/** One text, whatever its style. */
function scalar(lines: readonly string[]): string | undefined {
  const at = lines.findIndex((line) => !isNothing(line))
  const head = (lines[at] ?? '').trim()
  if (/^[|>]/.test(head)) return blockScalar(head, lines.slice(at + 1))
  const text = lines.slice(at).join('\n').trimStart()
  if (head.startsWith('"') || head.startsWith("'")) {
    const { value, end } = quotedAt(text, 0)
    const after = end === undefined ? '' : (text.slice(end).split('\n', 1)[0] ?? '')
    return isNothing(after) ? value : undefined
  }
  return plain(lines.slice(at).map((line) => withoutComment(line)))
}

function plain(lines: readonly string[]): string | undefined {
  const text = lines.join('\n').trim()
  if (text === '' || NOT_PLAIN.test(text) || /:(?:\s|$)/.test(text)) return undefined
  const folded = fold(text)
  return NOT_TEXT.test(folded) ? undefined : folded
}

function withoutComment(line: string): string {
  const at = line.search(/[ \t]#/)
  return isNothing(line) ? '' : at === -1 ? line : line.slice(0, at)
}

/** One line break is a space, more are one less. */
function fold(text: string): string {
  let folded = ''
  let breaks = 0
  for (const [index, line] of text.split('\n').entries()) {
    const part = line.trim()
    if (index > 0) breaks++
    if (part === '' && index > 0) continue
    folded += (breaks === 0 ? '' : breaks === 1 ? ' ' : '\n'.repeat(breaks - 1)) + part
    breaks = 0
  }
  return folded
}

/** `|` keeps its lines, `>` folds them; `-` takes the break at the end, `+` and a given indentation are left out. */
function blockScalar(head: string, lines: readonly string[]): string | undefined {
  const [isKnown, style, chomp] = /^([|>])(-?)(?:[ \t]+#.*)?$/.exec(head) ?? []
  if (isKnown === undefined) return undefined
  const indent = indentOf(lines.find((line) => line.trim() !== '') ?? '')
  // Not by a pattern: from each run of breaks one looks for the end anew.
  const last = lines.findLastIndex((line) => line.slice(Math.min(indent, indentOf(line))) !== '')
  const text = lines
    .slice(0, last + 1)
    .map((line) => line.slice(Math.min(indent, indentOf(line))))
    .join('\n')
  if (indent === 0 || text === '') return undefined
  return (style === '|' ? text : fold(text)) + (chomp === '-' ? '' : '\n')
}

/** The items up to `]`; `undefined`: there is none, or a list or a map in it. */
function flowList(lines: readonly string[]): string[] | undefined {
  const text = lines.join('\n')
  const items: string[] = []
  let at = text.indexOf('[') + 1
  while (at < text.length) {
    const first = text[at] ?? ''
    if (first === ']') return items
    if (first === '[' || first === '{') return undefined
    if (first === ',' || first.trim() === '') at++
    else if (first === '#') at = endOfLine(text, at)
    else if (first === '"' || first === "'") {
      const { value, end } = quotedAt(text, at)
      if (value === undefined || end === undefined) return undefined
      items.push(value)
      at = end
    } else {
      const start = at
      while (at < text.length && !',[]{}'.includes(text[at] ?? '') && !isComment(text, at)) at++
      const item = plain([text.slice(start, at)])
      if (item !== undefined) items.push(item)
    }
  }
  return undefined
}

const isComment = (text: string, at: number): boolean => text[at] === '#' && /\s/.test(text[at - 1] ?? '')

function endOfLine(text: string, at: number): number {
  const end = text.indexOf('\n', at)
  return end === -1 ? text.length : end
}

/** A quoted text, and where it ends. `value` is missing where an escape means nothing, both where no quote ends it. */
function quotedAt(text: string, start: number): { value?: string; end?: number } {
  const quote = text[start]
  for (let at = start + 1; at < text.length; at++) {
    if (quote === '"' && text[at] === '\\') at++
    else if (text[at] === quote && quote === "'" && text[at + 1] === quote) at++
    else if (text[at] === quote) {
      const raw = text.slice(start + 1, at)
      const value = quote === "'" ? foldQuoted(raw).replaceAll("''", "'") : unescaped(raw)
      return value === undefined ? { end: at + 1 } : { value, end: at + 1 }
    }
  }
  return {}
}

/** As `fold`, but for blanks at both ends, which are inside the quotes. */
const foldQuoted = (raw: string): string => (raw.includes('\n') ? fold(raw) : raw)

const ESCAPES: Readonly<Record<string, string>> = {
  n: '\n',
  t: '\t',
  r: '\r',
  '"': '"',
  '\\': '\\',
  '/': '/',
  ' ': ' ',
  '0': '\0',
}

function unescaped(raw: string): string | undefined {
  let isKnown = true
  // A line that ends with a backslash goes on without a space.
  const text = foldQuoted(raw.replace(/\\\n[ \t]*/g, '')).replace(
    /\\(?:x([\da-fA-F]{2})|u([\da-fA-F]{4})|(.))/gs,
    (_all, byte: string | undefined, unit: string | undefined, other: string | undefined) => {
      const code = byte ?? unit
      const meant = code === undefined ? ESCAPES[other ?? ''] : String.fromCharCode(Number.parseInt(code, 16))
      isKnown &&= meant !== undefined
      return meant ?? ''
    },
  )
  return isKnown ? text : undefined
}
