import { exportCarFile } from '@x/node'
import { exportCar, importCar } from '@x/storage-core'

import { BACKEND, MAX_BYTES, textOption, type Command } from '../command.ts'
import { formatBytes, formatCount, printable } from '../format.ts'
import { assertLocal } from '../local-options.ts'
import { nameOption } from '../name-option.ts'
import { onlyOperand, parseCids } from '../operands.ts'
import { assertSparesInputs } from '../spare-inputs.ts'
import { UsageError } from '../usage-error.ts'
import { readCar } from './read-car.ts'

export const carExport: Command = {
  name: 'car export',
  needsStore: true,
  operands: 'CID',
  summary: 'write a DAG as a CAR, to standard output or a file',
  options: {
    output: { type: 'string', short: 'o', metavar: 'FILE', help: 'where to write it; default standard output' },
    force: { type: 'boolean', help: 'replace FILE when it is there' },
    ...BACKEND,
  },
  async run(context, operands, values) {
    const { io, printer, signal } = context
    const [root] = parseCids([onlyOperand(operands, 'CID')], 'car export')
    const out = textOption(values, 'output') ?? '-'
    if (root === undefined || out === '') throw new UsageError('car export: -o is empty')
    if (out === '-' && values['force']) throw new UsageError('car export: --force needs -o FILE')
    if (out === '-' && io.stdout.isTTY) {
      throw new UsageError('car export: a CAR is no text for a terminal; -o FILE, or redirect the output')
    }
    if (out !== '-') await assertSparesInputs(context, out)
    const from = await context.source()
    // How large the CAR will be is not known: what its content repeats is in it once.
    const bar = printer.progress(root.toString())
    const onProgress = (bytes: number): void => bar.update({ bytes })
    if (out === '-') {
      try {
        for await (const piece of exportCar(from, root, { signal, onProgress })) await printer.bytes(piece)
      } finally {
        bar.clear()
      }
      return
    }
    const size = await exportCarFile(from, root, out, { force: values['force'] === true, signal, onProgress })
    await printer.result({ cid: root.toString(), path: out, size }, `${root}  ${formatBytes(size)}  ${printable(out)}`)
  },
}

export const carImport: Command = {
  name: 'car import',
  operands: 'FILE',
  summary: 'store the blocks of a CAR, checked, and its roots; - is standard input',
  options: {
    name: { type: 'string', metavar: 'N', help: 'a name that shall point to its root' },
    'no-pin': { type: 'boolean', help: 'let garbage collection take its roots' },
    ...MAX_BYTES,
    ...BACKEND,
  },
  async run(context, operands, values) {
    const { printer } = context
    const file = onlyOperand(operands, 'CAR file')
    const name = nameOption('car import', values)
    assertLocal('car import', values, ['max-bytes'])
    const { roots, blocks, size } = await readCar(context, file, (store, pieces, options) =>
      importCar(store, pieces, { ...options, name, pin: !values['no-pin'] }),
    )
    const cids = roots.map((cid) => cid.toString())
    await printer.result(
      { path: file, roots: cids, blocks, size },
      [...cids, `${formatCount(blocks, 'block')}, ${formatBytes(size)} from ${printable(file)}`].join('\n'),
    )
  },
}
