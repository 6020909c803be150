import { oneLine } from './answer.ts'
import { RpcFailure } from './rpc-error.ts'

// The longest line that Kubo writes is a pin with its name.
const MAX_LINE_BYTES = 1024 * 1024

/** JSON values that follow one another, a line each, as Kubo streams them. */
export async function* jsonLines(pieces: AsyncIterable<Uint8Array>): AsyncGenerator {
  const decoder = new TextDecoder('utf-8', { fatal: true })
  let rest = ''
  for await (const piece of pieces) {
    rest += decode(decoder, piece)
    if (!rest.includes('\n')) {
      if (rest.length > MAX_LINE_BYTES) throw notKubo('a line without an end')
      continue
    }
    const lines = rest.split('\n')
    rest = lines.pop() ?? ''
    for (const line of lines) if (line.trim() !== '') yield parse(line)
  }
  if (rest.trim() !== '') yield parse(rest)
}

export function parse(text: string): unknown {
  try {
    const value: unknown = JSON.parse(text)
    return value
  } catch (cause) {
    throw notKubo(`no JSON: ${oneLine(text.slice(0, 60))}`, cause)
  }
}

function decode(decoder: InstanceType<typeof TextDecoder>, piece: Uint8Array): string {
  try {
    return decoder.decode(piece, { stream: true })
  } catch (cause) {
    throw notKubo('no UTF-8', cause)
  }
}

const notKubo = (why: string, cause?: unknown): RpcFailure =>
  new RpcFailure(`not an answer of Kubo: ${why}`, { kind: 'foreign', cause })
