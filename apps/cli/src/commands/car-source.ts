import { pathSource } from '@x/node'
import { InvalidInputError, type AbortOptions } from '@x/storage-core'

import type { Context } from '../command.ts'

interface OpenedCar {
  open(options: AbortOptions): AsyncIterable<Uint8Array>
  /** Bytes; `undefined` when not known beforehand. */
  size?: number | undefined
}

/** @param file - `-` is standard input. */
export async function openCar({ io }: Context, file: string): Promise<OpenedCar> {
  if (file === '-') return { open: () => io.stdin }
  const source = await pathSource(file)
  if (source.type === 'file') return source
  throw new InvalidInputError(`${file} is a ${source.type}, not a CAR file`, { input: file })
}

export async function* counted(
  source: AsyncIterable<Uint8Array>,
  onRead: (length: number) => void,
): AsyncGenerator<Uint8Array> {
  for await (const piece of source) {
    onRead(piece.length)
    yield piece
  }
}
