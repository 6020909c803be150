import type { Context } from './command.ts'
import { printable } from './format.ts'

/** Prints a text while it is written. */
export interface TextPieces {
  /** Throws what the output failed with, so that the text is not written to its end for nobody; not where that is wanted. */
  add: (piece: string) => void
  /** Waits until all is printed. Whether there was any. */
  end: () => Promise<boolean>
}

/**
 * Below the input that it is made of, or with `--json` an object for each piece.
 *
 * @param options.toTheEnd - The text is wanted also where the output failed, which `end` throws. Default false.
 */
export function printPieces(
  { printer }: Pick<Context, 'printer'>,
  input: string,
  { toTheEnd = false }: { toTheEnd?: boolean } = {},
): TextPieces {
  let written: Promise<void> | undefined
  let failed: { error: unknown } | undefined

  const write = (piece: string): Promise<void> => {
    if (printer.json) return printer.result({ input, piece }, piece)
    const lines = piece.split('\n').map(printable).join('\n  ')
    return printer.bytes(new TextEncoder().encode(written === undefined ? `${printable(input)}\n  ${lines}` : lines))
  }

  return {
    add(piece) {
      if (failed && !toTheEnd) throw failed.error
      const next = written === undefined ? write(piece) : written.then(() => write(piece))
      written = next
      next.catch((error: unknown) => {
        failed ??= { error }
      })
    },
    async end() {
      if (written === undefined) return false
      await written
      if (!printer.json) await printer.bytes(new TextEncoder().encode('\n'))
      return true
    },
  }
}
