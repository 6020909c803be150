import { pathSource } from '@x/node'
import { InvalidInputError, type AbortOptions, type ContentStore, type ImportCarOptions } from '@x/storage-core'

import type { Context } from '../command.ts'

/**
 * Has a CAR read, with a bar of its bytes and blocks.
 *
 * @param file - `-` is standard input.
 * @param into - Reads it into the store.
 * @throws {InvalidInputError} What it says is wrong with the CAR, with the name of the file.
 */
export async function readCar<T>(
  context: Context,
  file: string,
  into: (
    store: ContentStore,
    pieces: AsyncIterable<Uint8Array>,
    options: Pick<ImportCarOptions, 'signal' | 'onProgress'>,
  ) => Promise<T>,
): Promise<T> {
  const { printer, signal } = context
  const source = await openCar(context, file)
  const bar = printer.progress(file, { total: { bytes: source.size }, unit: 'block' })
  let read = 0
  const store = await context.store()
  try {
    return await into(
      store,
      counted(source.open({ signal }), (length) => (read += length)),
      { signal, onProgress: ({ blocks: items }) => bar.update({ bytes: read, items }) },
    )
  } catch (cause) {
    // What reads pieces does not know whose they are.
    if (!(cause instanceof InvalidInputError)) throw cause
    const from = file === '-' ? 'standard input' : file
    throw new InvalidInputError(`${from}: ${cause.message}`, { input: file, cause })
  }
}

interface OpenedCar {
  open(options: AbortOptions): AsyncIterable<Uint8Array>
  /** Bytes; `undefined` when not known beforehand. */
  size?: number | undefined
}

async function openCar({ io }: Context, file: string): Promise<OpenedCar> {
  if (file === '-') return { open: () => io.stdin }
  const source = await pathSource(file)
  if (source.type === 'file') return source
  throw new InvalidInputError(`${file} is a ${source.type}, not a CAR file`, { input: file })
}

async function* counted(
  source: AsyncIterable<Uint8Array>,
  onRead: (length: number) => void,
): AsyncGenerator<Uint8Array> {
  for await (const piece of source) {
    onRead(piece.length)
    yield piece
  }
}
