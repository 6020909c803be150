import { InvalidInputError } from '@x/storage-core'

import type { HubToken } from './hub-options.ts'

/** Who sent a request; `undefined` for nobody that is known. */
export type Identify = (authorization: string | null) => Promise<HubToken | undefined>

/**
 * Looks a bearer token up. How long it takes says nothing about the tokens: digests of all of them are compared to the end.
 *
 * @throws {InvalidInputError} No token, or one that no header can carry.
 */
export function createCredentials(tokens: readonly HubToken[]): Identify {
  if (tokens.length === 0) throw new InvalidInputError('tokens: there is none, so nobody could ask', { input: '' })
  for (const { token, name } of tokens) {
    if (!/^[!-~]+$/.test(token))
      throw new InvalidInputError(`the token of ${name} is not visible ASCII`, { input: name })
  }
  let known: Promise<readonly { digest: Uint8Array; token: HubToken }[]> | undefined
  return async (authorization) => {
    known ??= Promise.all(tokens.map(async (token) => ({ digest: await digestOf(token.token), token })))
    const [, given] = /^Bearer +([!-~]+) *$/i.exec(authorization ?? '') ?? []
    if (given === undefined) return undefined
    const digest = await digestOf(given)
    let found: HubToken | undefined
    for (const entry of await known) if (isSame(entry.digest, digest)) found = entry.token
    return found
  }
}

const digestOf = async (text: string): Promise<Uint8Array> =>
  new Uint8Array(await crypto.subtle.digest('SHA-256', new TextEncoder().encode(text)))

function isSame(a: Uint8Array, b: Uint8Array): boolean {
  let difference = a.length ^ b.length
  for (const [index, byte] of a.entries()) difference |= byte ^ (b[index] ?? 0)
  return difference === 0
}
