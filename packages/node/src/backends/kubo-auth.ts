import type { Environment } from '@x/gating'
import { InvalidInputError } from '@x/storage-core'

/** As Kubo's own `API.Authorizations` writes it: `bearer:TOKEN` or `basic:USER:PASSWORD`. */
export const KUBO_AUTH_VARIABLE = 'IPFS_ACCELERATE_KUBO_AUTH'

export type KuboAuth = { bearer: string } | { username: string; password: string }

/**
 * How to prove to a daemon who we are; `undefined` where nothing is set. Only from the environment, for other users of the
 * machine see command lines.
 *
 * @throws {InvalidInputError} It is of neither form, or cannot be sent. The message does not show it.
 */
export function kuboAuthOf(environment: Environment): KuboAuth | undefined {
  const text = environment[KUBO_AUTH_VARIABLE]
  if (text === undefined || text === '') return undefined
  const [, bearer] = /^bearer:(.+)$/s.exec(text) ?? []
  if (bearer !== undefined) {
    if (/^[\x21-\x7e]+$/.test(bearer)) return { bearer }
    throw refusal('has a character that no header can have, such as a space or a line break')
  }
  const [, username, password] = /^basic:([^:]+):(.*)$/s.exec(text) ?? []
  if (username !== undefined && password !== undefined) return { username, password }
  throw refusal('is neither bearer:TOKEN nor basic:USER:PASSWORD')
}

const refusal = (why: string): InvalidInputError =>
  new InvalidInputError(`${KUBO_AUTH_VARIABLE} ${why}`, { input: KUBO_AUTH_VARIABLE })
