import { UnsupportedError } from '@x/storage-core'

/**
 * Loads a package that not everybody installs.
 *
 * @throws {UnsupportedError} It is not installed; the message says how to get it.
 */
export async function loadPackage<T>(name: string, load: () => Promise<T>): Promise<T> {
  try {
    return await load()
  } catch (cause) {
    if (!isMissing(cause, name)) throw cause
    throw new UnsupportedError(`${name} is not installed: npm install ${name}`, { cause })
  }
}

/** That it is this package that is missing, and not one that it needs itself. */
function isMissing(error: unknown, name: string): boolean {
  if (!(error instanceof Error) || !('code' in error) || error.code !== 'ERR_MODULE_NOT_FOUND') return false
  return error.message.includes(`'${name}'`)
}
