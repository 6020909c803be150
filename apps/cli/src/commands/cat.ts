import { BACKEND, textOption, type Command } from '../command.ts'
import { onlyOperand, parseByteCount } from '../operands.ts'
import { resolveRoot } from '../resolve-root.ts'

export const cat: Command = {
  name: 'cat',
  needsStore: true,
  operands: 'CID[/path]',
  summary: 'write the verified bytes of a file to standard output',
  options: {
    offset: { type: 'string', metavar: 'N', help: 'first byte; default 0' },
    length: { type: 'string', metavar: 'N', help: 'most bytes; default to the end' },
    ...BACKEND,
  },
  async run(context, operands, values) {
    const { source, printer, signal } = context
    const { root, path } = await resolveRoot(context, onlyOperand(operands, 'CID[/path]'))
    const offset = parseByteCount('offset', textOption(values, 'offset'))
    const length = parseByteCount('length', textOption(values, 'length'))
    const from = await source()
    // Each piece is written before the next one is asked for.
    for await (const piece of from.cat(root, { path, offset, length, signal, reuse: true })) await printer.bytes(piece)
  },
}
