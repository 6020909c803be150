import { HttpError, type Admitted, type Scope } from '@x/inference-server'
import { InvalidInputError } from '@x/storage-core'

import { createIdentify, type Token } from './tokens.ts'

export interface AdmissionOptions {
  /** Who may ask. Default: everybody, to infer and to read. */
  tokens?: readonly Token[] | undefined
  /** Requests under way at most. Default 512. */
  maxInFlight?: number | undefined
  /** Of those, by one token. Default 128. */
  maxInFlightPerToken?: number | undefined
  /**
   * Of who runs the server: for `admin` and nothing else, on this machine too, however many requests are under way. It decides of nobody else
   * whether a token is wanted. Visible ASCII, 16 characters or more. Default: none.
   */
  adminToken?: string | undefined
}

export interface Admission {
  /**
   * Lets a request in for what it wants to do, and counts it until it is released.
   *
   * @throws {HttpError} 401: nobody is known by that token. 403: it is not for that. 429: too many, or too often.
   */
  admit: (request: Request, scope: Scope) => Admitted
  /** Whether who asks has to show a token. */
  readonly needsToken: boolean
  /** Whether it is of somebody who may ask at all. */
  knows: (request: Request) => boolean
  /** Requests under way. */
  inFlight: () => number
}

/** What is counted of somebody who asks. */
interface Account {
  name: string
  scopes: ReadonlySet<Scope>
  most: number
  inFlight: number
  takeTurn: () => number
}

/**
 * Who may ask, for what, and how much at a time.
 *
 * @param now - Milliseconds that never go back.
 * @throws {InvalidInputError} Tokens or numbers that cannot be.
 */
export function createAdmission(options: AdmissionOptions, now: () => number = () => performance.now()): Admission {
  const { tokens, maxInFlight = 512, maxInFlightPerToken = 128, adminToken } = options
  assertCount('maxInFlight', maxInFlight)
  assertCount('maxInFlightPerToken', maxInFlightPerToken)
  const accounts = new Map(tokens?.map((token) => [token, accountOf(token, maxInFlightPerToken, now)]))
  const identify = tokens && createIdentify(tokens)
  const isAdministrator =
    adminToken === undefined
      ? undefined
      : createIdentify([{ token: adminToken, name: 'administrator', scopes: ['admin'] }])
  const everybody: Account = {
    name: 'anonymous',
    // Who changes something shows who they are.
    scopes: new Set(['infer', 'read']),
    most: maxInFlight,
    inFlight: 0,
    takeTurn: () => 0,
  }
  let inFlight = 0

  const accountFor = (request: Request): Account | undefined => {
    if (!identify) return everybody
    const token = identify(request.headers.get('authorization'))
    return token && accounts.get(token)
  }
  return {
    admit(request, scope) {
      if (scope === 'none') return { caller: 'anonymous', release: () => undefined }
      if (scope === 'admin' && isAdministrator?.(request.headers.get('authorization')))
        return { caller: 'administrator', release: () => undefined }
      const account = accountFor(request)
      if (!account) throw unknown(request)
      if (!account.scopes.has(scope)) throw notFor(scope, tokens !== undefined)
      if (account.inFlight >= account.most || inFlight >= maxInFlight) throw busy()
      const waitMs = account.takeTurn()
      if (waitMs > 0) throw tooOften(waitMs)
      account.inFlight += 1
      inFlight += 1
      return {
        caller: account.name,
        release() {
          account.inFlight -= 1
          inFlight -= 1
        },
      }
    },
    needsToken: tokens !== undefined,
    knows: (request) => accountFor(request) !== undefined,
    inFlight: () => inFlight,
  }
}

function accountOf({ name, scopes, requestsPerMinute }: Token, most: number, now: () => number): Account {
  if (requestsPerMinute !== undefined) assertCount('requestsPerMinute', requestsPerMinute)
  const takeTurn = requestsPerMinute === undefined ? (): number => 0 : createBucket(requestsPerMinute, now)
  return { name, scopes: new Set(scopes), most, inFlight: 0, takeTurn }
}

/** More than sums of fractions are off by, less than anybody waits. */
const ROUNDING_MS = 1e-3

/** So many turns in a minute, which come back one by one. @returns Takes a turn, or says how long until there is one, in milliseconds. */
function createBucket(perMinute: number, now: () => number): () => number {
  const msEach = 60_000 / perMinute
  /** When all turns will have come back. */
  let fullAt = now()
  return () => {
    const at = now()
    const backMs = Math.max(fullAt - at, 0) + msEach
    const waitMs = Math.ceil(backMs - 60_000 - ROUNDING_MS)
    if (waitMs > 0) return waitMs
    fullAt = at + backMs
    return 0
  }
}

function assertCount(name: string, value: number): void {
  if (Number.isSafeInteger(value) && value >= 1) return
  throw new InvalidInputError(`${name} ${value} is no whole number from 1`, { input: String(value) })
}

function unknown({ headers }: Request): HttpError {
  const message = headers.has('authorization')
    ? 'the token is not known here'
    : 'a token is wanted: Authorization: Bearer'
  return new HttpError(401, message, {
    type: 'authentication_error',
    code: 'invalid_api_key',
    headers: { 'www-authenticate': 'Bearer' },
  })
}

function notFor(scope: Scope, hasTokens: boolean): HttpError {
  const message = hasTokens ? `the token is not for ${scope}` : `${scope} needs a token, and the server has none`
  return new HttpError(403, message, { type: 'permission_error', code: 'insufficient_scope' })
}

// When there will be room is not known.
const busy = (): HttpError => tooMany('as many requests are under way as may', 'server_busy', 1000)

const tooOften = (waitMs: number): HttpError =>
  tooMany('the token has asked as often as it may', 'rate_limit_exceeded', waitMs)

function tooMany(message: string, code: string, waitMs: number): HttpError {
  const headers = { 'retry-after': String(Math.ceil(waitMs / 1000)), 'retry-after-ms': String(waitMs) }
  return new HttpError(429, message, { type: 'rate_limit_error', code, headers })
}
