import { isHiddenName } from '@x/model-loader'
import type { ContentStore } from '@x/storage-core'

import { BACKEND, type Command, type Context } from '../command.ts'
import { formatBytes, printable } from '../format.ts'
import { onlyOperand } from '../operands.ts'
import { resolveRoot } from '../resolve-root.ts'

export const ls: Command = {
  name: 'ls',
  needsStore: true,
  operands: '[CID[/path]]',
  summary: 'list what is stored, or the entries of a directory',
  options: { ...BACKEND },
  async run(context, operands) {
    if (operands.length === 0) return listRoots(context, await context.store('list of roots; give a CID'))
    const { root, path } = await resolveRoot(context, onlyOperand(operands, 'CID[/path]'))
    const source = await context.source()
    for await (const { cid, name, type, size, target } of source.ls(root, { path, signal: context.signal })) {
      const entry = { cid: cid.toString(), name, type, size, ...(target !== undefined && { target }) }
      const shown = target === undefined ? printable(name) : `${printable(name)} -> ${printable(target)}`
      await context.printer.result(
        entry,
        `${entry.cid}  ${formatBytes(size)}  ${shown}${type === 'directory' ? '/' : ''}`,
      )
    }
    return undefined
  },
}

async function listRoots({ printer, signal }: Context, store: ContentStore): Promise<void> {
  for await (const { cid, names, type, size, pinned, addedAt } of store.roots({ signal })) {
    const shown = names.filter((name) => !isHiddenName(name))
    await printer.result(
      { cid: cid.toString(), name: shown[0] ?? null, names: shown, type, size, pinned, addedAt },
      [cid.toString(), formatBytes(size), pinned ? 'pinned' : 'unpinned', addedAt, shown.map(printable).join(' ')].join(
        '  ',
      ),
    )
  }
}
