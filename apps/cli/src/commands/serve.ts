import { serveGateway, servePeer } from '@x/node'

import { textOption, textOptions, type Command } from '../command.ts'
import { noOperands, parsePort } from '../operands.ts'
import { untilAborted } from '../until-aborted.ts'
import { UsageError } from '../usage-error.ts'

export const serve: Command = {
  name: 'serve',
  needsStore: true,
  operands: '--gateway | --peer | --lan',
  summary: 'serve what is stored to others, until it is interrupted',
  options: {
    gateway: { type: 'boolean', help: 'as a trustless gateway over HTTP, to this machine' },
    port: { type: 'string', metavar: 'N', help: 'of the gateway; default a free one' },
    'allow-host': {
      type: 'string',
      multiple: true,
      metavar: 'NAME',
      help: 'a name of the gateway beside those of this machine; may be repeated',
    },
    peer: { type: 'boolean', help: 'to IPFS peers that are told the address' },
    lan: { type: 'boolean', help: 'to IPFS peers on this network, which find it by mDNS' },
    listen: {
      type: 'string',
      multiple: true,
      metavar: 'MULTIADDR',
      help: 'where the peer listens; may be repeated',
    },
    'pinned-only': { type: 'boolean', help: 'serve what is pinned and below it, and nothing else' },
  },
  notes: 'Ctrl-C is how it ends: the exit code is then 0.',
  async run({ io, storage, keep, printer, signal }, operands, values) {
    noOperands(operands)
    const { gateway, peer, lan } = values
    if (!gateway && !peer && !lan) throw new UsageError('serve: --gateway, --peer or --lan is wanted')
    const port = parsePort('port', textOption(values, 'port'))
    const names = textOptions(values, 'allow-host')
    if ((port !== undefined || names.length > 0) && !gateway)
      throw new UsageError('serve: --port and --allow-host are for --gateway')
    const listen = textOptions(values, 'listen')
    if (listen.length > 0 && !peer && !lan) throw new UsageError('serve: --listen is for --peer and --lan')
    if (values['pinned-only'] && gateway) throw new UsageError('serve: --pinned-only is for --peer and --lan')
    const store = await storage()
    const common = {
      environment: io.environment,
      onWarning: (message: string) => void printer.warning(message),
    }
    if (gateway) {
      const { url } = await keep(serveGateway(store, { ...common, port, names }))
      await printer.result({ type: 'gateway', url }, `gateway  ${url}`)
    }
    if (peer || lan) {
      const served = await keep(
        servePeer(store, {
          ...common,
          lan: lan === true,
          ...(listen.length > 0 && { listen }),
          serve: values['pinned-only'] ? 'pinned' : 'all',
        }),
      )
      const addresses = served.addresses()
      await printer.result(
        { type: 'peer', peerId: served.peerId, addresses },
        addresses.map((address) => `peer  ${address}`).join('\n'),
      )
    }
    await printer.message('serving; Ctrl-C ends it')
    await untilAborted(signal)
  },
}
