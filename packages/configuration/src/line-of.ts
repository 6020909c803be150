/** Where something stands in what a document says: the keys that lead to it, and places in arrays. */
export type KeyPath = readonly (string | number)[]

/** Whether there is a value at the end of it. */
export function holds(value: unknown, path: KeyPath): boolean {
  const [key, ...rest] = path
  if (key === undefined) return value !== undefined
  if (typeof value !== 'object' || value === null || !Object.hasOwn(value, key)) return false
  return holds(Reflect.get(value, key), rest)
}

/**
 * The line on which the statement begins that first says something at a path: `[a.b]`, `a.b = 1` and `a = { b = 1 }` all do for `a.b`. Where
 * nothing does, the line of what is nearest above it.
 *
 * The parser itself is asked which beginnings of the text are whole documents, and which of them have the path: so every way of TOML to write
 * a key is understood as it understands it.
 *
 * @param parse - Throws for what is no document.
 * @param text - A document.
 * @returns From 1.
 */
export function lineOf(parse: (text: string) => unknown, text: string, path: KeyPath): number {
  let known = [...path]
  const whole = parse(text)
  while (known.length > 0 && !holds(whole, known)) known = known.slice(0, -1)
  if (known.length === 0) return 1
  const lines = text.split('\n')
  // The first `without` lines are a document that has not got it; the first `within` one that has.
  let [without, within] = [0, lines.length]
  for (;;) {
    const document = nearMiddle(without, within, (end) => attempt(() => parse(`${lines.slice(0, end).join('\n')}\n`)))
    if (document === undefined) break
    if (holds(document.value, known)) within = document.end
    else without = document.end
  }
  const statement = lines.slice(without, within).findIndex((line) => !/^\s*(?:#.*)?$/.test(line))
  return without + Math.max(statement, 0) + 1
}

/** The document nearest to the middle that ends strictly between two lines. */
function nearMiddle(
  without: number,
  within: number,
  documentTo: (end: number) => { value: unknown } | undefined,
): { end: number; value: unknown } | undefined {
  const middle = Math.floor((without + within) / 2)
  for (let away = 0; away <= within - without; away += 1) {
    for (const end of away === 0 ? [middle] : [middle + away, middle - away]) {
      if (end <= without || end >= within) continue
      const document = documentTo(end)
      if (document) return { end, value: document.value }
    }
  }
  return undefined
}

/** `undefined`: it threw. */
function attempt(parse: () => unknown): { value: unknown } | undefined {
  try {
    return { value: parse() }
  } catch {
    return undefined
  }
}
