import { InvalidInputError } from '@x/cid'

/** Where a hub is. */
export interface Endpoint {
  /** For messages. */
  readonly label: string
  /** Its path ends with a slash. */
  readonly base: URL
}

/** @throws {InvalidInputError} It is no address that can be asked. Its message holds no secret. */
export function createEndpoint(text: string): Endpoint {
  const base = URL.parse(text)
  // What cannot be parsed may hold a password all the same.
  if (base === null) throw new InvalidInputError('the endpoint is not a URL', { input: 'endpoint' })
  const label = `${base.protocol}//${base.host}${base.pathname.replace(/\/+$/, '')}`
  const refuse = (why: string): never => {
    throw new InvalidInputError(`endpoint ${label}: ${why}`, { input: label })
  }
  if (base.protocol !== 'http:' && base.protocol !== 'https:') refuse('only http: and https: are asked')
  if (base.username !== '' || base.password !== '') refuse('a hub takes a token, no user and password')
  if (base.search !== '' || base.hash !== '') refuse('it has a query or a fragment')
  base.pathname = `${base.pathname.replace(/\/+$/, '')}/`
  return { label, base }
}
