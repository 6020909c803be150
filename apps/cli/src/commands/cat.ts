import { textOption, type Command } from '../command.ts'
import { onlyOperand, parseByteCount, parseCidPath } from '../operands.ts'

export const cat: Command = {
  name: 'cat',
  needsStore: true,
  operands: 'CID[/path]',
  summary: 'write the verified bytes of a file to standard output',
  options: {
    offset: { type: 'string', placeholder: 'N', help: 'first byte; default 0' },
    length: { type: 'string', placeholder: 'N', help: 'most bytes; default to the end' },
  },
  async run({ storage, printer, signal }, operands, values) {
    const { root, path } = parseCidPath(onlyOperand(operands, 'CID[/path]'))
    const offset = parseByteCount('offset', textOption(values, 'offset'))
    const length = parseByteCount('length', textOption(values, 'length'))
    const store = await storage()
    // Each piece is written before the next one is asked for.
    for await (const piece of store.cat(root, { path, offset, length, signal, reuse: true })) await printer.bytes(piece)
  },
}
