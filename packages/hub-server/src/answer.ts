/** An answer whose body has not been read yet. */
export interface Answer {
  status: number
  headers: Record<string, string>
  /** `undefined` for none. */
  body: AsyncGenerator<Uint8Array> | undefined
}

const encoder = new TextEncoder()

export async function* once(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  if (bytes.length > 0) yield bytes
}

const JSON_TYPE = { 'content-type': 'application/json; charset=utf-8' }

export function jsonAnswer(value: unknown, headers: Record<string, string> = {}, status = 200): Answer {
  const bytes = encoder.encode(JSON.stringify(value))
  return { status, headers: { ...JSON_TYPE, 'content-length': String(bytes.length), ...headers }, body: once(bytes) }
}

const BATCH = 1000

/** An object whose last field is a list that may be long: it is written as it is read. */
export function listAnswer(
  facts: Record<string, unknown>,
  name: string,
  items: Iterable<unknown>,
  headers: Record<string, string>,
): Answer {
  async function* pieces(): AsyncGenerator<Uint8Array> {
    let text = JSON.stringify({ ...facts, [name]: [] }).slice(0, -2)
    let count = 0
    for (const item of items) {
      text += `${count === 0 ? '' : ','}${JSON.stringify(item)}`
      count += 1
      if (count % BATCH !== 0) continue
      yield encoder.encode(text)
      text = ''
    }
    yield encoder.encode(`${text}]}`)
  }
  return { status: 200, headers: { ...JSON_TYPE, ...headers }, body: pieces() }
}
