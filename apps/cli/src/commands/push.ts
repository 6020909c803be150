import { canBeWritten, openBackend, parseBackendSpec } from '@x/node'
import { pull } from '@x/storage-core'

import { textOption, type Command } from '../command.ts'
import { formatBytes, formatCount } from '../format.ts'
import { nameOption } from '../name-option.ts'
import { onlyOperand, parseCids } from '../operands.ts'
import { UsageError } from '../usage-error.ts'

export const push: Command = {
  name: 'push',
  needsStore: true,
  operands: 'CID --to B',
  summary: 'send a whole DAG from the local store to another, and pin it there',
  options: {
    to: { type: 'string', metavar: 'B', help: 'where to: kubo=URL, the one kind that can be written' },
    name: { type: 'string', metavar: 'N', help: 'a name that shall point to it there' },
    'no-pin': { type: 'boolean', help: 'do not pin it there' },
  },
  async run({ io, storage, printer, signal }, operands, values) {
    const [root] = parseCids([onlyOperand(operands, 'CID')], 'push')
    const to = textOption(values, 'to')
    if (root === undefined || to === undefined) throw new UsageError('push: --to is wanted')
    const spec = parseBackendSpec(to, io.environment)
    if (!canBeWritten(spec.kind)) throw new UsageError(`push: ${spec.kind} can only be read`)
    const name = nameOption('push', values)
    const local = await storage()
    const backend = await openBackend(spec, { local: storage, environment: io.environment, signal })
    try {
      if (backend.store === undefined) throw new UsageError(`push: ${backend.name} can only be read`)
      const bar = printer.progress(root.toString(), { unit: 'block' })
      const { fetched, blocks } = await pull(backend.store, local, root, {
        name,
        pin: !values['no-pin'],
        signal,
        onProgress: (done) => bar.update({ bytes: done.fetched, items: done.blocks }),
      })
      await printer.result(
        { cid: root.toString(), to: backend.name, sent: fetched, blocks },
        `${root}  sent ${formatBytes(fetched)}, ${formatCount(blocks, 'block')} to ${backend.name}`,
      )
    } finally {
      await backend.close()
    }
  },
}
