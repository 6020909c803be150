import { isHiddenName } from '@x/model-loader'

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
    const store = await storage()
    const { roots, pins, pinned } = await store.rebuild({ signal })
    let names = 0
    for await (const { name } of store.names.list({ signal })) if (!isHiddenName(name)) names++
    await printer.result(
      // Opening a store whose journal is lost as well has pinned everything before this; the warning says so.
      { roots, pins, names, pinned: pinned.map((cid) => cid.toString()), warnings },
      [formatCount(roots, 'root'), formatCount(pins, 'pin'), formatCount(names, 'name')].join(', '),
    )
  },
}
