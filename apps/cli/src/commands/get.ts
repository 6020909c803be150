import { exportPath } from '@x/node'

import { textOption, type Command } from '../command.ts'
import { contentBar } from '../content-bar.ts'
import { formatBytes, printable } from '../format.ts'
import { onlyOperand, parseCidPath } from '../operands.ts'
import { UsageError } from '../usage-error.ts'

export const get: Command = {
  name: 'get',
  needsStore: true,
  operands: 'CID[/path] -o OUT',
  summary: 'write a verified file or directory to disk; OUT must not exist',
  options: { output: { type: 'string', short: 'o', placeholder: 'OUT', help: 'where to write it' } },
  async run(context, operands, values) {
    const { storage, printer, signal } = context
    const { root, path } = parseCidPath(onlyOperand(operands, 'CID[/path]'))
    const out = textOption(values, 'output')
    if (out === undefined || out === '') throw new UsageError('get: -o OUT is wanted')
    const store = await storage()
    const bar = await contentBar(context, root, { label: out, path })
    const { cid, size } = await exportPath(store, root, out, {
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
