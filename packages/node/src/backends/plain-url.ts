import { InvalidInputError } from '@x/storage-core'

/** Of any scheme; a multiaddr begins with a slash. */
export const isUrl = (address: string): boolean => !address.startsWith('/')

/**
 * @param what - What the address is of; the `input` of the error.
 * @throws {InvalidInputError} It is no URL of http(s), or has a user or password. The message shows none of it.
 */
export function webUrl(address: string, what: string): URL {
  const url = URL.parse(address)
  if (url === null || (url.protocol !== 'http:' && url.protocol !== 'https:'))
    throw new InvalidInputError(`the address of a ${what} is no URL of http or https`, { input: what })
  if (url.username !== '' || url.password !== '')
    throw new InvalidInputError(`${url.host}: a URL with a user or password is not taken`, { input: what })
  return url
}

/**
 * As `webUrl`, of an address that is shown as it is, in messages of others: nothing in it could be a secret.
 *
 * @throws {InvalidInputError} Also for a query or fragment.
 */
export function plainUrl(address: string, what: string): URL {
  const url = webUrl(address, what)
  if (url.search === '' && url.hash === '') return url
  throw new InvalidInputError(`${url.host}: a URL without query and fragment is wanted`, { input: what })
}
