import crypto from 'node:crypto'

import type { Scope } from '@x/inference-server'
import { InvalidInputError } from '@x/storage-core'

/** What a token may be for. */
export type TokenScope = Exclude<Scope, 'none'>

export interface Token {
  /** Visible ASCII, 16 characters or more. */
  token: string
  /** Who asks with it, for logs, and to be served in turn with others. */
  name: string
  scopes: readonly TokenScope[]
  /** How often it may ask, at the most as many at once. Default: any number of times. */
  requestsPerMinute?: number | undefined
}

/** Whose token stands in an `Authorization` header; `undefined`: nobody's that is known. */
export type Identify = (authorization: string | null) => Token | undefined

const SCOPES: readonly string[] = ['infer', 'read', 'write', 'admin'] satisfies readonly TokenScope[]
const DEFAULT_SCOPES: readonly TokenScope[] = ['infer', 'read']

const isScope = (text: string): text is TokenScope => SCOPES.includes(text)

/**
 * Reads the lines of a file of tokens: `TOKEN [NAME [SCOPE,SCOPE [N/min]]]`. Without scopes a token is for `infer` and `read`. A
 * line that begins with `#` is a comment.
 *
 * @throws {InvalidInputError} A line that is something else, or a file without tokens; it says which line, and nothing of a token.
 */
export function parseTokens(text: string): Token[] {
  const lines = text.split(/\r?\n/).map((line, index) => ({ fields: line.trim().split(/\s+/), at: index + 1 }))
  const ofTokens = lines.filter(({ fields: [first = ''] }) => first !== '' && !first.startsWith('#'))
  const tokens = ofTokens.map(({ fields, at }) => parseLine(fields, at))
  const lineNumbers = ofTokens.map(({ at }) => at)
  assertTokens(tokens, (index) => `line ${lineNumbers[index]}`)
  return tokens
}

function parseLine(fields: readonly string[], at: number): Token {
  const [token = '', name = `line-${at}`, scopes, rate, ...more] = fields
  if (more.length > 0) throw wrong(at, 'it has more than a token, a name, scopes and a rate')
  // Else who forgets the name gives the token other rights than those that stand there.
  if (name.split(',').every(isScope)) throw wrong(at, 'scopes stand where the name of the token is to stand')
  const listed = scopes?.split(',') ?? DEFAULT_SCOPES
  const known = listed.filter(isScope)
  if (known.length < listed.length) throw wrong(at, `its scopes are not of ${SCOPES.join(', ')}`)
  const [, perMinute] = /^([1-9]\d{0,8})\/min$/.exec(rate ?? '') ?? []
  if (rate !== undefined && perMinute === undefined)
    throw wrong(at, 'what stands behind the scopes is no rate such as 60/min')
  return { token, name, scopes: known, ...(perMinute !== undefined && { requestsPerMinute: Number(perMinute) }) }
}

const wrong = (at: number, what: string): InvalidInputError =>
  new InvalidInputError(`line ${at} of the tokens: ${what}`, { input: String(at) })

/**
 * @param placeOf - Of a token, for messages, which say nothing else of it.
 * @throws {InvalidInputError} There is none, one is there twice, or one can be guessed, or stand in no header.
 */
function assertTokens(
  tokens: readonly Token[],
  placeOf = (index: number): string => `token ${index + 1} of ${tokens.length}`,
): void {
  if (tokens.length === 0) throw new InvalidInputError('there is no token, so nobody could ask', { input: '' })
  for (const [index, { token, scopes }] of tokens.entries()) {
    // Where the name stands first, it is the token that stands in its place.
    const invalid = (what: string): InvalidInputError =>
      new InvalidInputError(`${placeOf(index)}: its token ${what}`, { input: placeOf(index) })
    if (!/^[!-~]{16,}$/.test(token)) throw invalid('is not visible ASCII of 16 characters or more')
    if (scopes.length === 0) throw invalid('is for nothing')
    const first = tokens.findIndex((other) => other.token === token)
    if (first < index) throw invalid(`is that of ${placeOf(first)}`)
  }
}

/**
 * Looks bearer tokens up. How long it takes says nothing about them: digests of all are compared to the end.
 *
 * @throws {InvalidInputError} As `parseTokens`.
 */
export function createIdentify(tokens: readonly Token[]): Identify {
  assertTokens(tokens)
  const known = tokens.map((token) => ({ digest: digestOf(token.token), token }))
  return (authorization) => {
    const [, given] = /^Bearer +([!-~]+) *$/i.exec(authorization ?? '') ?? []
    if (given === undefined) return undefined
    const digest = digestOf(given)
    let found: Token | undefined
    for (const entry of known) if (crypto.timingSafeEqual(entry.digest, digest)) found = entry.token
    return found
  }
}

const digestOf = (text: string): Buffer => crypto.createHash('sha256').update(text).digest()
