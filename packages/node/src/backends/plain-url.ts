import { InvalidInputError } from '@x/storage-core'

/** Of any scheme; a multiaddr begins with a slash. */
export const isUrl = (address: string): boolean => !address.startsWith('/')

/**
 * Holds where an address is shown as it is, in messages of others: it has nothing in it that could be a secret.
 *
 * @throws {InvalidInputError} It is no URL of http(s), or has a user, password, query or fragment. The message shows none of it.
 */
export function assertPlainUrl(address: string): void {
  const url = URL.parse(address)
  if (url === null || (url.protocol !== 'http:' && url.protocol !== 'https:'))
    throw new InvalidInputError('the address is no URL of http or https', { input: 'backend' })
  if (url.username !== '' || url.password !== '' || url.search !== '' || url.hash !== '')
    throw new InvalidInputError(`${url.host}: a URL without user, password, query and fragment is wanted`, {
      input: 'backend',
    })
}
