import { exportPath } from '@x/node'

import { textOption, type Command } from '../command.ts'
import { formatBytes, printable } from '../format.ts'
import { onlyOperand, parseCidPath } from '../operands.ts'
import { UsageError } from '../usage-error.ts'

export const get: Command = {
  name: 'get',
  reads: true,
  operands: 'CID[/path] -o OUT',
  summary: 'write a verified file or directory to disk; OUT must not exist',
  options: { output: { type: 'string', short: 'o', placeholder: 'OUT', help: 'where to write it' } },
  async run({ storage, printer, signal }, operands, values) {
    const { root, path } = parseCidPath(onlyOperand(operands, 'CID[/path]'))
    const out = textOption(values, 'output')
    if (out === undefined || out === '') throw new UsageError('get: -o OUT is wanted')
    const store = await storage()
    const { size: total } = await store.stat(root, { path, signal })
    const bar = printer.progress(out, total)
    const { cid, size } = await exportPath(store, root, out, { path, signal, onProgress: (done) => bar.update(done) })
    await printer.result(
      { cid: cid.toString(), path: out, size },
      `${cid.toString()}  ${formatBytes(size)}  ${printable(out)}`,
    )
  },
}
