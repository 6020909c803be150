import { InvalidInputError } from '@x/cid'

/** One segment of a name in a store, and no more: a registry's name is a stranger's. */
const NAME = /^[A-Za-z0-9](?:[A-Za-z0-9._-]{0,98}[A-Za-z0-9])?$/

/** @throws {InvalidInputError} It is no name for a registry. */
export function assertRegistryName(name: string): void {
  if (NAME.test(name)) return
  const shown = JSON.stringify(name.slice(0, 120))
  throw new InvalidInputError(
    `registry ${shown}: a name has up to 100 letters, digits, and . _ - between its ends, such as models.example.org`,
    { input: name.slice(0, 120) },
  )
}
