import { InvalidInputError } from '@x/cid'

import { quoted } from './quoted.ts'
import { digestOf, type CreateSha256, type Sha256 } from './sha256.ts'
import type { Tensor, TensorTable } from './tensor-table.ts'

/** Fed a file of external data piece by piece. */
export interface DataHasher {
  push(bytes: Uint8Array): void
  /**
   * The table with the digests of the tensors in this file.
   *
   * @throws {InvalidInputError} The file is too short for them.
   */
  end(): TensorTable
}

export interface DataHasherOptions {
  createSha256: CreateSha256
  /** What messages call the file. Default: its path. */
  label?: string | undefined
}

interface Range {
  offset: number
  end: number
  /** Of this very range. */
  tensors: Tensor[]
  digest?: Uint8Array
}

/**
 * Hashes the tensors of an ONNX table that lie in a file of external data. Each byte is hashed once, whatever the table
 * says: tensors with the same place share a digest, and one that begins inside another gets none.
 *
 * @param file - As tables have it: the path relative to the graph's folder.
 */
export function createDataHasher(
  table: TensorTable,
  file: string,
  { createSha256, label = file }: DataHasherOptions,
): DataHasher {
  const ranges = rangesOf(table, file)
  let size = 0
  /** What was looked at: not more when no tensor is left. */
  let offset = 0
  let index = 0
  let running: Sha256 | undefined

  /** Moves on to the next range that does not begin before here; those without bytes are done at once. */
  function next(): Range | undefined {
    for (; ; index++) {
      const range = ranges[index]
      if (range === undefined || running !== undefined) return range
      if (range.offset < offset) continue
      if (range.offset > offset) return range
      if (range.end > range.offset) {
        running = createSha256()
        return range
      }
      range.digest = digestOf(createSha256())
    }
  }

  return {
    push(bytes) {
      size += bytes.length
      let position = 0
      while (position < bytes.length) {
        const range = next()
        if (range === undefined) return
        const until = running === undefined ? range.offset : range.end
        const piece = bytes.subarray(position, position + (until - offset))
        running?.update(piece)
        position += piece.length
        offset += piece.length
        if (running === undefined || offset < range.end) continue
        range.digest = digestOf(running)
        running = undefined
        index++
      }
    },
    end() {
      // Empty ones at the end of the file.
      next()
      const missing = ranges.find(({ end }) => end > size)
      if (missing !== undefined) {
        const name = quoted(missing.tensors[0]?.name ?? '')
        throw new InvalidInputError(
          `${label} ends at byte ${size}, and tensor ${name} lies at ${missing.offset} to ${missing.end}`,
          { input: label },
        )
      }
      const digests = new Map(
        ranges.flatMap(({ tensors, digest }) => tensors.map((tensor) => [tensor, digest] as const)),
      )
      const tensors = table.tensors.map((tensor) => {
        const sha256 = digests.get(tensor)
        return sha256 === undefined ? tensor : { ...tensor, sha256 }
      })
      return { ...table, tensors }
    },
  }
}

/** By offset, those with the same place as one. */
function rangesOf(table: TensorTable, file: string): Range[] {
  const ranges = new Map<string, Range>()
  for (const tensor of table.tensors) {
    if (tensor.file !== file) continue
    const { offset, length } = tensor
    const place = `${offset}:${length}`
    const range = ranges.get(place) ?? { offset, end: offset + length, tensors: [] }
    range.tensors.push(tensor)
    ranges.set(place, range)
  }
  return [...ranges.values()].toSorted((a, b) => a.offset - b.offset || a.end - b.end)
}
