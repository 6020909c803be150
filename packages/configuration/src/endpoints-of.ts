import type { Parsed } from './parse-configuration.ts'
import type { SaidEndpoint } from './schema.ts'
import { tokenReader, type ReadToken, type TokenOptions } from './token-of.ts'

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
  readonly readToken: ReadToken
}

export function createEndpoint(name: string, said: SaidEndpoint, parsed: Parsed): ConfiguredEndpoint {
  const { url, api, models } = said
  return { name, url, api, models, readToken: tokenReader(said, ['endpoints', name], parsed) }
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
