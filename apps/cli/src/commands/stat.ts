import { isHiddenName } from '@x/model-loader'
import { findRoot } from '@x/storage-core'

import { BACKEND, type Command } from '../command.ts'
import { formatBytes, formatTable, printable } from '../format.ts'
import { onlyOperand } from '../operands.ts'
import { resolveRoot } from '../resolve-root.ts'

export const stat: Command = {
  name: 'stat',
  needsStore: true,
  operands: 'CID[/path]',
  summary: 'type and size; of a root also its pin, names and time',
  options: { ...BACKEND },
  async run(context, operands) {
    const { source, printer, signal } = context
    const { root, path } = await resolveRoot(context, onlyOperand(operands, 'CID[/path]'))
    const from = await source()
    const { cid, type, size, target } = await from.stat(root, { path, signal })
    const record = await findRoot(from, cid, { signal })
    const names = record?.names.filter((name) => !isHiddenName(name)) ?? []
    const rows = [
      ['cid', cid.toString()],
      ['type', type],
      ['size', `${formatBytes(size)} (${size})`],
      ...(target === undefined ? [] : [['target', printable(target)]]),
      ...(record ? rootRows(record, names) : [['root', 'no']]),
    ]
    await printer.result(
      {
        cid: cid.toString(),
        type,
        size,
        ...(target !== undefined && { target }),
        root: record ? { pinned: record.pinned, names, addedAt: record.addedAt } : null,
      },
      formatTable(rows),
    )
  },
}

const rootRows = ({ pinned, addedAt }: { pinned: boolean; addedAt: string }, names: readonly string[]): string[][] => [
  ['pinned', pinned ? 'yes' : 'no'],
  ['names', names.map(printable).join(' ')],
  ['added', addedAt],
]
