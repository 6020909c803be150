import type { Environment } from '@x/gating'
import { InvalidInputError } from '@x/storage-core'

/**
 * The number that a variable has; `undefined`: it is not set.
 *
 * @throws {InvalidInputError} It is no whole number above 0.
 */
export function wholeNumber(environment: Environment, variable: string): number | undefined {
  const value = environment[variable]?.trim()
  if (value === undefined || value === '') return undefined
  const number = Number(value)
  if (Number.isSafeInteger(number) && number > 0) return number
  throw new InvalidInputError(`${variable}: ${JSON.stringify(value)} is no whole number above 0`, { input: value })
}
