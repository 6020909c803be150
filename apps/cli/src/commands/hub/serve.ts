import { openHub, serveHub } from '@x/node'
import { InvalidInputError } from '@x/storage-core'

import { textOption, textOptions, type Command } from '../../command.ts'
import { noOperands, parseOrigins, parsePort } from '../../operands.ts'
import { readText } from '../../read-file.ts'
import { untilAborted } from '../../until-aborted.ts'

export const hubServe: Command = {
  name: 'hub serve',
  // What is fetched is kept in a new one, too.
  needsStore: (values) => values['pull-through'] !== true,
  operands: '',
  summary: 'serve the stored models as a Hugging Face hub, to this machine, until it is interrupted',
  options: {
    port: { type: 'string', metavar: 'N', help: 'default a free one' },
    'pull-through': {
      type: 'boolean',
      help: 'fetch what is not here from the hub when it is asked for, verified and kept',
    },
    'token-file': { type: 'string', metavar: 'FILE', help: 'answer only who sends the token in it' },
    cors: { type: 'string', multiple: true, metavar: 'ORIGIN', help: 'a page that may read answers; * is any' },
    'allow-host': {
      type: 'string',
      multiple: true,
      metavar: 'NAME',
      help: 'a name of the server beside those of this machine; may be repeated',
    },
  },
  notes:
    'Programs find it with HF_ENDPOINT=http://127.0.0.1:PORT; transformers.js with env.remoteHost. Ctrl-C is how it ends.',
  async run({ io, storage, keep, printer, signal }, operands, values) {
    noOperands(operands)
    const { environment } = io
    const tokenFile = textOption(values, 'token-file')
    const origins = parseOrigins('cors', textOptions(values, 'cors'))
    const tokens = tokenFile === undefined ? undefined : [{ name: 'token', token: await readToken(tokenFile) }]
    const hub = values['pull-through'] ? await openHub({ environment, signal }) : undefined
    const store = await storage()
    const { url } = await keep(
      serveHub(store, {
        environment,
        port: parsePort('port', textOption(values, 'port')),
        names: textOptions(values, 'allow-host'),
        tokens,
        ...(origins.length > 0 && { cors: { origins } }),
        ...(hub && { upstream: { hub } }),
        onWarning: (message: string) => void printer.warning(message),
      }),
    )
    await printer.result({ type: 'hub', url }, `hub  ${url}`)
    await printer.message('serving; Ctrl-C ends it')
    await untilAborted(signal)
  },
}

async function readToken(file: string): Promise<string> {
  const token = (await readText('--token-file', file)).trim()
  if (token === '') throw new InvalidInputError(`--token-file: there is no token in ${file}`, { input: file })
  return token
}
