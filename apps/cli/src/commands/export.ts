import { exportStaticDirectory } from '@x/node'

import { BACKEND, textOption, type Command } from '../command.ts'
import { formatBytes, formatCount, printable } from '../format.ts'
import { parseCids } from '../operands.ts'
import { UsageError } from '../usage-error.ts'

export const exportRoots: Command = {
  name: 'export',
  needsStore: true,
  operands: 'CID... --static DIR',
  summary: 'write roots into a folder that any web server can serve; pull --from static=URL reads it',
  options: {
    static: { type: 'string', metavar: 'DIR', help: 'the folder; what is in it stays' },
    ...BACKEND,
  },
  async run({ source, printer, signal }, operands, values) {
    const roots = parseCids(operands, 'export')
    const directory = textOption(values, 'static')
    if (directory === undefined || directory === '') throw new UsageError('export: --static DIR is wanted')
    const from = await source()
    for (const root of roots) {
      const bar = printer.progress(root.toString())
      const { objects, bytes } = await exportStaticDirectory(from, root, directory, {
        signal,
        onProgress: (written) => bar.update({ bytes: written }),
      })
      await printer.result(
        { cid: root.toString(), path: directory, objects, bytes },
        `${root}  ${formatCount(objects, 'object')}, ${formatBytes(bytes)} to ${printable(directory)}`,
      )
    }
  },
}
