import { createHash } from 'node:crypto'

import { InvalidInputError } from '@x/cid'
import { fixtureModel, type FixtureName } from '@x/fixtures'

import { createTensorScanner, type RangeReader, type ScannedFile } from '../src/index.ts'

export const sha256 = (): ReturnType<typeof createHash> => createHash('sha256')

export function digestOf(bytes: Uint8Array): Uint8Array {
  return Uint8Array.from(sha256().update(bytes).digest())
}

/** What a scanner says of bytes that come in pieces of these sizes, the last size again and again. */
export function scan(path: string, bytes: Uint8Array, ...sizes: readonly number[]): ScannedFile {
  const scanner = createTensorScanner(path, { createSha256: sha256 })
  if (scanner === undefined) throw new Error(`no scanner for ${path}`)
  for (let at = 0, index = 0; at < bytes.length; index++) {
    const size = sizes[Math.min(index, sizes.length - 1)] ?? bytes.length
    // A copy, as pieces of a stream are: what a scanner keeps must not change with them.
    const piece = Uint8Array.from(bytes.subarray(at, at + size))
    scanner.push(piece)
    piece.fill(0xee)
    at += size
  }
  return scanner.end()
}

export function rangesOf(bytes: Uint8Array): RangeReader {
  return {
    size: bytes.length,
    read: async (offset, length) => Uint8Array.from(bytes.subarray(offset, offset + length)),
  }
}

export function text(content: string): Uint8Array<ArrayBuffer> {
  return new TextEncoder().encode(content)
}

/** The message with which these bytes are refused, whole and byte by byte; any other error is none. */
export function refusalOf(path: string, bytes: Uint8Array): string {
  const messages = [bytes.length, 1].map((size) => {
    try {
      scan(path, bytes, size)
    } catch (error) {
      if (error instanceof InvalidInputError && error.input === path && error.message.startsWith(`${path} is not a `)) {
        return error.message
      }
      throw error
    }
    return 'nothing is refused'
  })
  return messages[0] === messages[1] ? (messages[0] ?? '') : messages.join(', but in pieces: ')
}

/** Fixtures with all that a graph may have: weights beside it and subgraphs among it. Others differ in their numbers alone. */
const NAMES: readonly FixtureName[] = [
  'tiny-bert',
  'tiny-bert-external',
  'tiny-sentiment',
  'tiny-gpt',
  'tiny-vit',
  'tiny-ctc',
  'tiny-clip',
  'tiny-bart',
]

/** Their graphs, by name and path. */
export function fixtureGraphs(): (readonly [name: string, bytes: Uint8Array<ArrayBuffer>])[] {
  return NAMES.flatMap((name) =>
    Object.entries(fixtureModel(name).files)
      .filter(([path]) => path.endsWith('.onnx'))
      .map(([path, bytes]) => [`${name}/${path}`, bytes] as const),
  )
}
