import type { Command } from '../../command.ts'
import { printable } from '../../format.ts'
import { onlyOperand } from '../../operands.ts'
import { ABOUT_SERVERS, onlyServer, SERVER } from './running-servers.ts'

export const unload: Command = {
  name: 'unload',
  needsStore: true,
  operands: 'MODEL',
  summary: 'have a server that runs serve a model no more, by its name there or its CID',
  options: {
    drain: { type: 'boolean', help: 'wait for requests that are about it; default: they are a reason not to' },
    ...SERVER,
  },
  notes: `What was asked before is answered. It stays in the store.\n${ABOUT_SERVERS}`,
  async run(context, operands, values) {
    const { printer, signal } = context
    const given = onlyOperand(operands, 'model').replace(/^ipfs:\/\//, '')
    const { client } = await onlyServer(context, values)
    const { name, cid } = await client.unload(given, { drain: values['drain'] === true, signal })
    await printer.result({ name, cid }, `${cid}  ${printable(name)}`)
  },
}
