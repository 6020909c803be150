import type { Command } from '../command.ts'
import { formatCount } from '../format.ts'
import { noOperands } from '../operands.ts'

export const rebuild: Command = {
  name: 'rebuild',
  needsStore: true,
  operands: '',
  summary: 'make the index anew from the files of the store',
  options: {},
  async run({ storage, printer, signal, warnings }, operands) {
    noOperands(operands)
    const { roots, pins, names, pinned } = await (await storage()).rebuild({ signal })
    await printer.result(
      // Opening a store whose journal is lost as well has pinned everything before this; the warning says so.
      { roots, pins, names, pinned: pinned.map((cid) => cid.toString()), warnings },
      [formatCount(roots, 'root'), formatCount(pins, 'pin'), formatCount(names, 'name')].join(', '),
    )
  },
}
