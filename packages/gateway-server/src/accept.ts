/** One entry of an `Accept` header. */
export interface AcceptEntry {
  /** In small letters, such as `application/vnd.ipld.car` or `*` + `/*`. */
  type: string
  /** Names in small letters; `q` is not among them. */
  parameters: ReadonlyMap<string, string>
  /** From 0, not wanted, to 1. */
  quality: number
}

const TOKEN = /^[!#$%&'*+.^_`|~\w-]+$/

/**
 * Reads an `Accept` header. What is malformed is left out, as if it had not been sent.
 *
 * @see https://www.rfc-editor.org/rfc/rfc9110#name-accept
 */
export function parseAccept(header: string): AcceptEntry[] {
  return splitOutsideQuotes(header, ',').flatMap((text) => parseEntry(text) ?? [])
}

function parseEntry(text: string): AcceptEntry | undefined {
  const [type = '', ...rest] = splitOutsideQuotes(text, ';')
  const halves = type.split('/')
  if (halves.length !== 2 || !halves.every((half) => TOKEN.test(half))) return undefined
  const parameters = new Map<string, string>()
  let quality = 1
  for (const parameter of rest.filter((item) => item !== '')) {
    const at = parameter.indexOf('=')
    const name = parameter.slice(0, Math.max(at, 0)).toLowerCase()
    if (!TOKEN.test(name)) return undefined
    const value = unquote(parameter.slice(at + 1))
    if (name !== 'q') parameters.set(name, value)
    else if (/^(?:0(?:\.\d{0,3})?|1(?:\.0{0,3})?)$/.test(value)) quality = Number(value)
    else return undefined
  }
  return { type: type.toLowerCase(), parameters, quality }
}

const unquote = (value: string): string =>
  /^".*"$/.test(value) ? value.slice(1, -1).replaceAll(/\\(.)/g, '$1') : value

/** Parts without the spaces around them. */
function splitOutsideQuotes(text: string, separator: ',' | ';'): string[] {
  const parts: string[] = []
  let start = 0
  let isQuoted = false
  for (let at = 0; at < text.length; at++) {
    const character = text[at]
    if (character === '\\' && isQuoted) at += 1
    else if (character === '"') isQuoted = !isQuoted
    else if (character === separator && !isQuoted) {
      parts.push(text.slice(start, at).trim())
      start = at + 1
    }
  }
  return [...parts, text.slice(start).trim()]
}
