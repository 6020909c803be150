import path from 'node:path'

import { readVariable, type Environment } from '@x/gating'

import type { Parsed } from './parse-configuration.ts'
import { readText, whyUnread } from './read-text.ts'
import type { SaidEndpoint } from './schema.ts'

/** An endpoint as @x/remote-inference takes it. */
export interface EndpointToAsk {
  name: string
  url: string
  api: 'openai' | 'tei' | 'ipfs-accelerate'
  token?: string | undefined
  models: Readonly<Record<string, string>>
}

/** An endpoint as a file has it. */
export interface ConfiguredEndpoint extends Omit<EndpointToAsk, 'token'> {
  /** Gets what it is asked with from where the file says; `undefined`: it says nothing of one. */
  readonly readToken: (options: TokenOptions) => Promise<string | undefined>
}

export interface TokenOptions {
  /** Default `process.env`. */
  environment?: Environment | undefined
  /** Hears that others may read the file of a token. */
  onWarning?: ((message: string) => void) | undefined
}

export function createEndpoint(name: string, said: SaidEndpoint, { file, complain }: Parsed): ConfiguredEndpoint {
  const { url, api, models } = said
  const key = (last: string): string[] => ['endpoints', name, last]
  return {
    name,
    url,
    api,
    models,
    async readToken({ environment = process.env, onWarning }) {
      const [variable, tokenFile] = [said['token-env'], said['token-file']]
      if (variable !== undefined) {
        const token = readVariable(environment, variable)
        // Its name is not shown: somebody may have written the token itself.
        if (token === undefined) throw complain(key('token-env'), 'the variable that it names is not set')
        return token
      }
      if (tokenFile === undefined) return undefined
      const { text, shared } = await readText(path.resolve(path.dirname(file), tokenFile)).catch((error: unknown) => {
        throw complain(key('token-file'), `the file that it names cannot be read: ${whyUnread(error)}`)
      })
      const token = text.trim()
      if (!/^[\x21-\x7e]+$/.test(token)) throw complain(key('token-file'), 'the file that it names has no token alone')
      if (shared.byOthers) {
        const what = 'the file that it names can be read or written by others of this machine; chmod 600 ends that'
        onWarning?.(complain(key('token-file'), what).message)
      }
      return token
    },
  }
}

/**
 * The endpoints of a configuration, with their tokens.
 *
 * @throws {InvalidInputError} A token is not where the file says. No token is in the message.
 */
export async function endpointsOf(
  { endpoints }: { endpoints: readonly ConfiguredEndpoint[] },
  options: TokenOptions = {},
): Promise<EndpointToAsk[]> {
  return Promise.all(
    endpoints.map(async ({ readToken, ...endpoint }) => ({ ...endpoint, token: await readToken(options) })),
  )
}
