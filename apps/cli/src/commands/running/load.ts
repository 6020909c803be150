import path from 'node:path'

import { parseReference } from '@x/model-loader'

import { textOption, type Command } from '../../command.ts'
import { printable } from '../../format.ts'
import { onlyOperand } from '../../operands.ts'
import { DTYPE, dtypeOption } from '../../task-options.ts'
import { ABOUT_SERVERS, onlyServer, SERVER } from './running-servers.ts'

export const load: Command = {
  name: 'load',
  needsStore: true,
  operands: 'REF',
  summary: 'have a server that runs serve another model, too',
  options: {
    name: {
      type: 'string',
      metavar: 'N',
      help: 'what clients may call it beside its CID; default as it is named in the store',
    },
    task: {
      type: 'string',
      metavar: 'T',
      help: 'what for; default what its repository says; raw-tensors: its graphs alone',
    },
    dtype: DTYPE,
    ...SERVER,
  },
  notes: `It is opened, verified and held against its policy by the server, from the server's store. Interrupted, it is not served.\n${ABOUT_SERVERS}`,
  async run(context, operands, values) {
    const { printer, signal } = context
    const given = onlyOperand(operands, 'model reference')
    const { client } = await onlyServer(context, values)
    const bar = printer.progress(given, { unit: 'block' })
    const wanted = {
      reference: absolute(given),
      name: textOption(values, 'name'),
      task: textOption(values, 'task'),
      dtype: dtypeOption(values),
    }
    const { name, cid, tasks } = await client.load(wanted, {
      signal,
      onEvent({ event, bytes, blocks }) {
        if (event === 'progress') bar.update({ bytes: Number(bytes), items: Number(blocks) })
      },
    })
    bar.clear()
    await printer.result({ name, cid, tasks }, `${cid}  ${tasks.join(',') || 'raw-tensors'}  ${printable(name)}`)
  },
}

/** The server has a directory of its own to work in. */
function absolute(reference: string): string {
  const parsed = parseReference(reference)
  if (parsed.kind !== 'path' || /^(?:file:|~)/.test(parsed.path)) return reference
  return path.resolve(parsed.path)
}
