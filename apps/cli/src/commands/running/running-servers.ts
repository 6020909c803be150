import { decideGates } from '@x/gating'
import { createServerClient, listRunFiles, readTokenFile, type RunFile, type ServerClient } from '@x/server/running'
import { NotFoundError } from '@x/storage-core'

import { textOption, type Context, type OptionSpec, type Values } from '../../command.ts'
import { UsageError } from '../../usage-error.ts'

/** Of commands that ask a server which runs. */
export const SERVER: Readonly<Record<string, OptionSpec>> = {
  url: { type: 'string', metavar: 'URL', help: 'of the server; default the one that runs on the store' },
  'token-file': { type: 'string', metavar: 'FILE', help: 'of --url: a token for admin stands first in it' },
}

export const ABOUT_SERVERS =
  'A server that `serve --model` started is found by a file in its store, which holds a token that nobody else on this machine can read.'

/** A server, and what it can be asked with. */
export interface RunningServer {
  url: string
  client: ServerClient
  /** By which it was found; `undefined`: by `--url`. */
  file: RunFile | undefined
}

/** The server of `--url`, or all that run on the store. */
export async function runningServers(context: Context, values: Values): Promise<RunningServer[]> {
  const { io, printer, storage } = context
  const gates = decideGates({ environment: io.environment })
  const url = textOption(values, 'url')
  const tokenFile = textOption(values, 'token-file')
  if ((url === undefined) !== (tokenFile === undefined))
    throw new UsageError('--url and --token-file are wanted together, or neither')
  if (url !== undefined && tokenFile !== undefined) {
    const [{ token } = { token: '' }] = await readTokenFile(tokenFile, (message) => void printer.warning(message))
    return [{ url, client: createServerClient({ url, token }, gates), file: undefined }]
  }
  const files = await listRunFiles((await storage()).directory)
  return files.map((file) => ({ url: file.url, client: createServerClient(file, gates), file }))
}

/** @throws {NotFoundError} None runs. @throws {UsageError} Several do. */
export async function onlyServer(context: Context, values: Values): Promise<RunningServer> {
  const [server, ...others] = await runningServers(context, values)
  if (!server) throw new NotFoundError('server', { message: 'no server runs on this store; serve --model starts one' })
  if (others.length === 0) return server
  const urls = [server, ...others].map(({ url }) => url).join(', ')
  throw new UsageError(`several servers run on this store (${urls}): --url and --token-file say which`)
}
