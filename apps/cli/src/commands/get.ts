import { exportPath } from '@x/node'

import { BACKEND, textOption, type Command } from '../command.ts'
import { contentBar } from '../content-bar.ts'
import { formatBytes, printable } from '../format.ts'
import { onlyOperand } from '../operands.ts'
import { resolveRoot } from '../resolve-root.ts'
import { UsageError } from '../usage-error.ts'

export const get: Command = {
  name: 'get',
  needsStore: true,
  operands: 'CID[/path] -o OUT',
  summary: 'write a verified file or directory to disk; OUT must not exist',
  options: { output: { type: 'string', short: 'o', metavar: 'OUT', help: 'where to write it' }, ...BACKEND },
  async run(context, operands, values) {
    const { source, printer, signal } = context
    const { root, path } = await resolveRoot(context, onlyOperand(operands, 'CID[/path]'))
    const out = textOption(values, 'output')
    if (out === undefined || out === '') throw new UsageError('get: -o OUT is wanted')
    const from = await source()
    const bar = await contentBar(context, root, { label: out, path })
    const { cid, size } = await exportPath(from, root, out, {
      path,
      signal,
      onProgress: (bytes) => bar.update({ bytes }),
    })
    await printer.result(
      { cid: cid.toString(), path: out, size },
      `${cid.toString()}  ${formatBytes(size)}  ${printable(out)}`,
    )
  },
}
